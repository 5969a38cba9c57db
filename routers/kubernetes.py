"""Provider `kubernetes`: Services only. All traffic always goes to the primary, and nothing is written (routers:NOP-01)."""

from flagger_py.api.canary import Canary
from flagger_py.api.capabilities import Capabilities
from flagger_py.rollout.traffic import ALL_PRIMARY, Routes, Traffic
from flagger_py.routers.base import Router, RouterError, Watched


class KubernetesRouter(Router):
    """For workloads without a mesh or an ingress that can split traffic."""

    @classmethod
    def resources(cls, provider: str) -> tuple[Watched, ...]:
        return ()

    @classmethod
    def capabilities(cls, provider: str) -> Capabilities:
        return Capabilities()

    async def get_routes(self, canary: Canary) -> Routes:
        return ALL_PRIMARY

    async def set_routes(self, canary: Canary, traffic: Traffic) -> None:
        if traffic.routes != ALL_PRIMARY:
            routes = traffic.routes
            asked = f"{routes.primary}/{routes.canary}{' with mirroring' if routes.mirrored else ''}"
            raise RouterError(f"{canary}: traffic {asked}: provider kubernetes cannot split traffic, only 100/0 is possible")

    async def finalize(self, canary: Canary) -> None:
        """Nothing was written, so nothing is put back."""
