"""Contour: HTTPProxy."""

from flagger_py.routers.contour.router import ContourRouter

__all__ = ["ContourRouter"]
