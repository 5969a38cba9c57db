"""The routers of the Gateway API: one HTTPRoute per Canary, named as its apex Service (routers:GW, GWB)."""

from typing import Any, ClassVar

from flagger_py.api.canary import Canary
from flagger_py.api.capabilities import Capabilities, MatchKind
from flagger_py.objects.patch import MergePatch, pinned
from flagger_py.objects.resource import Manifest, Ref, Resource
from flagger_py.rollout.traffic import Pending, Routes, Traffic, asked
from flagger_py.routers.backends import Backends, service_of
from flagger_py.routers.base import RouterError, Watched
from flagger_py.routers.gatewayapi.defaults import normal_spec
from flagger_py.routers.gatewayapi.features import V1, V1BETA1, Features
from flagger_py.routers.gatewayapi.reading import not_accepted, read_routes
from flagger_py.routers.gatewayapi.rules import render_rules
from flagger_py.routers.manifest import Live, ManifestRouter
from flagger_py.routers.ownership import draft, set_apex_metadata
from flagger_py.routers.refusal import refusal

GROUP = "gateway.networking.k8s.io"
NUDGED = "flagger.app/nudged-generation"
"""On a route: the generation for which its gateway was asked to look again."""
_COMPARISONS = frozenset({MatchKind.EXACT, MatchKind.REGEX})


class GatewayApiRouter(ManifestRouter):
    """What the served versions have in common."""

    route: ClassVar[Resource]
    features: ClassVar[Features]

    @classmethod
    def resources(cls, provider: str) -> tuple[Watched, ...]:
        return (Watched(cls.route),)

    @classmethod
    def capabilities(cls, provider: str) -> Capabilities:
        return Capabilities(
            weights=True,
            header_match=_COMPARISONS,
            query_match=_COMPARISONS,
            mirror_iterations=True,
            session_affinity=True,
            primary_cookie=cls.features.primary_cookie,
        )

    def routing_objects(self, canary: Canary) -> tuple[Ref, ...]:
        return (Backends.of(canary).route(self.route),)

    def read(self, canary: Canary, live: Live) -> Routes | Pending:
        ref = Backends.of(canary).route(self.route)
        if ref not in live:
            return Pending(f"{ref} does not exist yet")
        route = live[ref]
        _refuse_old_version(ref, route)
        routes = read_routes(canary, ref, route)
        objection = self.objection(ref, route)
        return Pending(objection, asked(routes)) if objection else routes

    def objection(self, ref: Ref, manifest: Manifest) -> str:
        return not_accepted(ref, manifest) if self.features.readiness_gate else ""

    async def nudge(self, canary: Canary) -> None:
        """Turn the order of the backends round, which has no meaning, and note the generation that this leads to.

        Contour looks at an HTTPRoute again only where its generation is another; for that the spec must change.
        """
        ref = Backends.of(canary).route(self.route)
        route = await self.objects.get(ref)
        if route is None or (route["metadata"].get("annotations") or {}).get(NUDGED) == str(route["metadata"].get("generation")):
            return
        rules = [{**rule, "backendRefs": rule["backendRefs"][::-1]} if rule.get("backendRefs") else rule for rule in route["spec"]["rules"]]
        noted = {NUDGED: str(route["metadata"].get("generation", 0) + 1)}
        change = {"metadata": {"annotations": noted}, "spec": {"rules": rules}}
        await self.objects.patch(ref, pinned(MergePatch(change), route))

    def render(self, canary: Canary, traffic: Traffic, live: Live) -> dict[Ref, Manifest]:
        ref = Backends.of(canary).route(self.route)
        _refuse_old_version(ref, live.get(ref, {}))
        route = draft(canary, ref, live, self.settings)
        set_apex_metadata(route, canary, self.settings)
        route["spec"] = self._spec(canary, traffic, route.get("spec") or {})
        return {ref: route}

    def normalise(self, ref: Ref, spec: Any) -> Any:
        return normal_spec(spec, ref.namespace)

    def _spec(self, canary: Canary, traffic: Traffic, live: dict[str, Any]) -> dict[str, Any]:
        service = service_of(canary)
        if not service.gateway_refs:
            raise refusal(canary, "service.gatewayRefs", [], "must name at least one Gateway, or a Service for a mesh")
        spec = {key: value for key, value in live.items() if key != "hostnames"}
        spec["parentRefs"] = [{"group": parent.group, "kind": parent.kind, **parent.to_manifest()} for parent in service.gateway_refs]
        if service.hosts:
            spec["hostnames"] = list(service.hosts)
        spec["rules"] = render_rules(canary, traffic, live.get("rules") or [], self.features)
        return spec


class GatewayApiV1Router(GatewayApiRouter):
    """Provider `gatewayapi:v1`."""

    route = Resource(GROUP, "v1", "httproutes", "HTTPRoute")
    features = V1


class GatewayApiV1Beta1Router(GatewayApiRouter):
    """Provider `gatewayapi:v1beta1`: no time-outs, no CORS, no cookie of the primary, and no wait for the gateway (routers:GWB-01)."""

    route = Resource(GROUP, "v1beta1", "httproutes", "HTTPRoute")
    features = V1BETA1


def _refuse_old_version(ref: Ref, route: Manifest) -> None:
    if route.get("apiVersion") == f"{GROUP}/v1alpha2":
        raise RouterError(f"{ref}: apiVersion: {GROUP}/v1alpha2 is not supported; write it as {ref.resource.api_version}")
