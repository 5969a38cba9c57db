"""A router in 40 lines: one HTTPRoute per Canary that splits everything below a path of its own, `/<name of the apex Service>`.

All it does is to say which objects carry the traffic, how they look for given weights, and which weights they carry. The base class
fetches, compares by meaning, creates, patches, and keeps what others own.
"""

from flagger_py.api.canary import Canary
from flagger_py.api.capabilities import Capabilities
from flagger_py.objects.resource import Manifest, Ref, Resource
from flagger_py.rollout.traffic import Pending, Routes, Traffic
from flagger_py.routers import Backends, Live, ManifestRouter, Watched, draft, percentages, refusal, service_of

HTTP_ROUTE = Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")


class ExampleRouter(ManifestRouter):
    """Weights, and nothing else: a Canary that asks for more is refused, because `capabilities` does not name it."""

    @classmethod
    def resources(cls, provider: str) -> tuple[Watched, ...]:
        return (Watched(HTTP_ROUTE),)

    @classmethod
    def capabilities(cls, provider: str) -> Capabilities:
        return Capabilities(weights=True)

    def routing_objects(self, canary: Canary) -> tuple[Ref, ...]:
        return (Backends.of(canary).route(HTTP_ROUTE),)

    def read(self, canary: Canary, live: Live) -> Routes | Pending:
        (ref,) = self.routing_objects(canary)
        if ref not in live:
            return Pending(f"{ref} does not exist yet")
        backends = Backends.of(canary)
        rules = live[ref].get("spec", {}).get("rules", [])
        weights = {backend.get("name"): backend.get("weight") for rule in rules for backend in rule.get("backendRefs", [])}
        return Routes(*percentages(ref, "spec.rules", weights.get(backends.primary), weights.get(backends.canary)))

    def render(self, canary: Canary, traffic: Traffic, live: Live) -> dict[Ref, Manifest]:
        service, backends = service_of(canary), Backends.of(canary)
        (ref,) = self.routing_objects(canary)
        if not service.gateway_refs:
            raise refusal(canary, "service.gatewayRefs", [], "must name at least one Gateway")
        route = draft(canary, ref, live, self.settings)
        weights = {backends.primary: traffic.routes.primary, backends.canary: traffic.routes.canary}
        # Everything that the server would fill in is written out, so that what is read back equals it.
        split = [{"group": "", "kind": "Service", "name": name, "port": backends.port, "weight": weights[name]} for name in weights]
        path = {"type": "PathPrefix", "value": f"/{backends.apex}"}
        parents = [{"group": "gateway.networking.k8s.io", "kind": "Gateway", **parent.to_manifest()} for parent in service.gateway_refs]
        route["spec"] = {"parentRefs": parents, "rules": [{"matches": [{"path": path}], "backendRefs": split}]}
        return {ref: route}
