"""Provider `contour`: an HTTPProxy named as the apex Service, which a root proxy of the user includes (routers:CON)."""

from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.api.capabilities import Capabilities, MatchKind
from flagger_py.objects.resource import Manifest, Ref, Resource
from flagger_py.rollout.traffic import Pending, Routes, Traffic
from flagger_py.routers.backends import Backends, percentages
from flagger_py.routers.base import Watched
from flagger_py.routers.branches import analysis_of
from flagger_py.routers.contour.routes import Route, is_ours, render_routes
from flagger_py.routers.manifest import Live, ManifestRouter
from flagger_py.routers.ownership import draft, set_apex_metadata

HTTP_PROXY = Resource("projectcontour.io", "v1", "httpproxies", "HTTPProxy")


class ContourRouter(ManifestRouter):
    """Weights, and A/B tests by headers."""

    @classmethod
    def resources(cls, provider: str) -> tuple[Watched, ...]:
        return (Watched(HTTP_PROXY),)

    @classmethod
    def capabilities(cls, provider: str) -> Capabilities:
        return Capabilities(weights=True, header_match=frozenset({MatchKind.EXACT, MatchKind.PREFIX, MatchKind.SUFFIX}))

    def routing_objects(self, canary: Canary) -> tuple[Ref, ...]:
        return (Backends.of(canary).route(HTTP_PROXY),)

    def read(self, canary: Canary, live: Live) -> Routes | Pending:
        """Of the first route with both versions; in an A/B test the last one is what the test leaves over (routers:CON-11)."""
        backends = Backends.of(canary)
        ref = backends.route(HTTP_PROXY)
        if ref not in live:
            return Pending(f"{ref} does not exist yet")
        splits = [_weights(route) for route in (live[ref].get("spec") or {}).get("routes") or [] if is_ours(route, backends)]
        splits = [weights for weights in splits if {backends.primary, backends.canary} <= weights.keys()]
        if not splits:
            return Pending(f"{ref} does not route to {backends.primary} and {backends.canary} yet")
        primary, weight = percentages(ref, "spec.routes", splits[0][backends.primary], splits[0][backends.canary])
        is_rest_kept = any(not weights[backends.canary] for weights in splits)
        return Routes(primary, weight, everyone=bool(analysis_of(canary).match) and weight > 0 and not is_rest_kept)

    def render(self, canary: Canary, traffic: Traffic, live: Live) -> dict[Ref, Manifest]:
        ref = Backends.of(canary).route(HTTP_PROXY)
        proxy = draft(canary, ref, live, self.settings)
        set_apex_metadata(proxy, canary, self.settings)
        spec = proxy.get("spec") or {}
        proxy["spec"] = {**spec, "routes": render_routes(canary, traffic, spec.get("routes") or [])}
        if self.settings.ingress_class:
            proxy["spec"]["ingressClassName"] = self.settings.ingress_class
        return {ref: proxy}

    def normalise(self, ref: Ref, spec: Any) -> Any:
        return {**spec, "routes": [_normal_route(route) for route in spec.get("routes") or []]}


def _weights(route: Route) -> dict[str, int]:
    return {service.get("name", ""): service.get("weight") or 0 for service in route.get("services") or []}


def _normal_route(route: Route) -> Route:
    """A weight that is not said is 0 beside others (routers:CON-01); a retry count that is 0 or not said is 1, as the CRD defaults it."""
    normal = {**route, "services": [{"weight": 0, **service} for service in route.get("services") or []]}
    if policy := route.get("retryPolicy"):
        normal["retryPolicy"] = {**policy, "count": policy.get("count") or 1}
    return normal
