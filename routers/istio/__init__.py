"""Istio: VirtualService and DestinationRule."""

from flagger_py.routers.istio.router import IstioRouter

__all__ = ["IstioRouter"]
