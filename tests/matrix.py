"""Which strategy works with which traffic provider and target. One table: tests hold each cell, and `docs/compatibility.md` shows it."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from flagger_py.api import support
from flagger_py.api.canary import Canary

STEPS: Final = {"stepWeight": 25, "maxWeight": 50}
ITERATIONS: Final = {"iterations": 2}
HEADER: Final = [{"headers": {"x-user": {"exact": "insider"}}}]
COOKIE: Final = {"cookieName": "canary"}
COOKIES: Final = {"cookieName": "canary", "primaryCookieName": "primary"}

GATEWAY_API: Final = ("gatewayapi:v1", "gatewayapi:v1beta1")
SPLITTING: Final = (*GATEWAY_API, "istio", "contour")
WEIGHING: Final = (*SPLITTING, "knative")
"""`knative` splits by weight, and cannot tell one request from another."""
PROVIDERS: Final = (*WEIGHING, "kubernetes")
TARGETS: Final[Mapping[str, str]] = {
    support.DEPLOYMENT: "apps/v1",
    support.DAEMON_SET: "apps/v1",
    support.CORE_SERVICE: "v1",
    support.KNATIVE_SERVICE: "serving.knative.dev/v1",
}
"""What can be rolled out, with its API version. Only `knative` takes Knative Services, and nothing else (engine:VAL-21)."""


@dataclass(frozen=True)
class Strategy:
    """One row: fields of the analysis, and what becomes of them with each provider.

    A provider is in one of three places: it does it, it leaves out a part of it and says so, or it refuses.
    """

    name: str
    analysis: Mapping[str, Any]
    works: tuple[str, ...] = ()
    warned: Mapping[str, str] | None = None
    """By provider, a part of the warning."""
    refused: Mapping[str, str] | None = None
    """By provider, a part of the reason."""
    with_traffic: tuple[str, ...] = ()
    """The providers on which it is shown with real requests."""
    spec: Mapping[str, Any] | None = None


def each(providers: tuple[str, ...], text: str) -> dict[str, str]:
    return {provider: text.format(provider=provider) for provider in providers}


_NO_SPLIT: Final = {"kubernetes": "step weights and match have no effect"}
_NO_MIRROR: Final = each(("contour", "knative"), "provider {provider} cannot mirror requests")
_NO_AFFINITY: Final = each(("contour", "knative", "kubernetes"), "provider {provider} cannot pin sessions")
_NO_MATCH: Final = {"knative": "provider knative cannot route by request"}
_EXCLUDES_MATCH: Final = each((*GATEWAY_API, "istio"), "and match exclude each other")

STRATEGIES: Final = (
    Strategy("weighted", STEPS, WEIGHING, warned=_NO_SPLIT, with_traffic=SPLITTING),
    Strategy("weighted, listed steps", {"stepWeights": [10, 30, 50]}, WEIGHING, warned=_NO_SPLIT, with_traffic=SPLITTING),
    Strategy("weighted, promoted in stages", {**STEPS, "stepWeightPromotion": 50}, WEIGHING, warned=_NO_SPLIT),
    Strategy(
        "weighted, matching users only",
        {**STEPS, "match": HEADER},
        warned={**each(WEIGHING, "applies to matching requests only"), **_NO_SPLIT},
    ),
    Strategy(
        "weighted with mirroring",
        {**STEPS, "mirror": True},
        ("istio",),
        warned={"kubernetes": "is ignored by provider kubernetes"},
        refused={**each(GATEWAY_API, "provider {provider} can mirror requests with iterations only"), **_NO_MIRROR},
    ),
    Strategy(
        "weighted with mirroring, in part",
        {**STEPS, "mirror": True, "mirrorWeight": 50},
        ("istio",),
        warned={"kubernetes": "is ignored by provider kubernetes"},
        refused={**each(GATEWAY_API, "provider {provider} can mirror requests with iterations only"), **_NO_MIRROR},
        with_traffic=("istio",),
    ),
    Strategy(
        "weighted with session affinity",
        {**STEPS, "sessionAffinity": COOKIE},
        (*GATEWAY_API, "istio"),
        refused=_NO_AFFINITY,
    ),
    Strategy(
        "weighted with session affinity, primary too",
        {**STEPS, "sessionAffinity": COOKIES},
        ("gatewayapi:v1", "istio"),
        refused={"gatewayapi:v1beta1": "can pin sessions to the canary only", **_NO_AFFINITY},
        with_traffic=("gatewayapi:v1", "istio"),
    ),
    Strategy(
        "weighted with mirroring and session affinity",
        {**STEPS, "mirror": True, "sessionAffinity": COOKIE},
        refused={
            **each(GATEWAY_API, "provider {provider} can mirror requests with iterations only"),
            "istio": "mirroring and sessionAffinity exclude each other",
            **_NO_MIRROR,
            "kubernetes": "cannot pin sessions",
        },
    ),
    Strategy(
        "A/B test by header, exact",
        {**ITERATIONS, "match": HEADER},
        SPLITTING,
        warned=_NO_SPLIT,
        refused=_NO_MATCH,
        with_traffic=("gatewayapi:v1", "istio", "contour"),
    ),
    Strategy(
        "A/B test by header, prefix",
        {**ITERATIONS, "match": [{"headers": {"x-user": {"prefix": "inside"}}}]},
        ("istio", "contour"),
        warned=_NO_SPLIT,
        refused={**each(GATEWAY_API, "cannot compare by"), **_NO_MATCH},
        with_traffic=("istio", "contour"),
    ),
    Strategy(
        "A/B test by header, suffix",
        {**ITERATIONS, "match": [{"headers": {"x-user": {"suffix": "sider"}}}]},
        ("istio", "contour"),
        warned=_NO_SPLIT,
        refused={**each(GATEWAY_API, "cannot compare by"), **_NO_MATCH},
        with_traffic=("contour",),
    ),
    Strategy(
        "A/B test by header or cookie, regex",
        {**ITERATIONS, "match": [{"headers": {"cookie": {"regex": r"^(.*;\s*)?tester=yes(;.*)?$"}}}]},
        (*GATEWAY_API, "istio"),
        warned=_NO_SPLIT,
        refused={"contour": "cannot compare by regex", **_NO_MATCH},
        with_traffic=("gatewayapi:v1", "istio"),
    ),
    Strategy(
        "A/B test by query parameter",
        {**ITERATIONS, "match": [{"queryParams": {"beta": {"exact": "yes"}}}]},
        (*GATEWAY_API, "istio"),
        warned=_NO_SPLIT,
        refused={"contour": "cannot compare queryParams", **_NO_MATCH},
    ),
    Strategy(
        "A/B test by labels of the client",
        {**ITERATIONS, "match": [{"sourceLabels": {"app": "tester"}}]},
        ("istio",),
        warned=_NO_SPLIT,
        refused={**each((*GATEWAY_API, "contour"), "cannot compare source labels"), **_NO_MATCH},
    ),
    Strategy(
        "A/B test with session affinity",
        {**ITERATIONS, "match": HEADER, "sessionAffinity": COOKIE},
        refused={**_EXCLUDES_MATCH, **_NO_AFFINITY},
    ),
    Strategy(
        "blue/green",
        ITERATIONS,
        PROVIDERS,
        with_traffic=("contour", "kubernetes"),
    ),
    Strategy(
        "blue/green with mirroring",
        {**ITERATIONS, "mirror": True},
        (*GATEWAY_API, "istio"),
        warned={"kubernetes": "is ignored by provider kubernetes"},
        refused=_NO_MIRROR,
        with_traffic=("gatewayapi:v1",),
    ),
    Strategy(
        "blue/green with mirroring, in part",
        {**ITERATIONS, "mirror": True, "mirrorWeight": 50},
        ("istio",),
        warned={"kubernetes": "is ignored by provider kubernetes"},
        refused={**each(GATEWAY_API, "provider {provider} mirrors all requests or none"), **_NO_MIRROR},
        with_traffic=("istio",),
    ),
    Strategy(
        "blue/green with session affinity",
        {**ITERATIONS, "sessionAffinity": COOKIE},
        warned=each((*GATEWAY_API, "istio"), "has no effect with iterations"),
        refused=_NO_AFFINITY,
    ),
    Strategy("skipAnalysis", STEPS, WEIGHING, warned=_NO_SPLIT, spec={"skipAnalysis": True}),
)


@dataclass(frozen=True)
class Cell:
    """A strategy with a provider and a target."""

    strategy: Strategy
    provider: str
    target: str

    @property
    def refusal(self) -> str | None:
        return (self.strategy.refused or {}).get(self.provider)

    @property
    def warning(self) -> str | None:
        return (self.strategy.warned or {}).get(self.provider)

    def canary(self, namespace: str = "test", name: str = "web") -> dict[str, Any]:
        """A Canary that asks for it."""
        target = {"apiVersion": TARGETS[self.target], "kind": self.target.rpartition(" ")[2], "name": name}
        service: dict[str, Any] = {"port": 80}
        if self.provider in GATEWAY_API:
            service["gatewayRefs"] = [{"name": "gateway", "namespace": namespace}]
        analysis = {"interval": "10s", "threshold": 2, **deepcopy(dict(self.strategy.analysis))}
        spec = {"provider": self.provider, "targetRef": target, "service": service, "analysis": analysis, **(self.strategy.spec or {})}
        metadata = {"name": name, "namespace": namespace}
        return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": metadata, "spec": spec}

    def model(self) -> Canary:
        return Canary.model_validate(self.canary())

    def __str__(self) -> str:
        return f"{self.strategy.name}, {self.provider}, {self.target}"


def cells() -> Iterator[Cell]:
    """All combinations whose target fits the provider."""
    for strategy in STRATEGIES:
        for provider in PROVIDERS:
            for target in TARGETS:
                if (target == support.KNATIVE_SERVICE) == (provider == "knative"):
                    yield Cell(strategy, provider, target)


def shown_with_traffic(name: str) -> tuple[str, ...]:
    """The providers on which a strategy is shown with real requests."""
    return next(strategy.with_traffic for strategy in STRATEGIES if strategy.name == name)
