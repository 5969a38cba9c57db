"""Gateway API: HTTPRoute in the versions `v1` and `v1beta1`."""

from flagger_py.routers.gatewayapi.router import GatewayApiV1Beta1Router, GatewayApiV1Router

__all__ = ["GatewayApiV1Beta1Router", "GatewayApiV1Router"]
