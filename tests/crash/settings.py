"""What is rolled out in the crash suite: a strategy on a router, with the traffic that a good and a bad version get."""

from dataclasses import dataclass, field, replace
from typing import Any, Final

from flagger_py.objects.resource import DAEMON_SET, DEPLOYMENT, Manifest, Resource
from flagger_py.rollout.traffic import ALL_CANARY, ALL_PRIMARY, MIRRORED, Routes
from tests.memory import scaling
from tests.memory.cluster import NAMESPACE, canary

STAGES: Final = ("confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion", "post-rollout", "event")
HOOKS: Final = "http://hooks.test/"
ALERTS: Final = "http://alerts.test/"
_ROLLED_BACK: Final = frozenset({"confirm-rollout", "pre-rollout", "rollout", "post-rollout"})
_PROMOTED: Final = _ROLLED_BACK | {"confirm-promotion"}


@dataclass(frozen=True)
class Setting:
    """One strategy on one router."""

    analysis: Manifest
    good: tuple[Routes, ...]
    """The traffic in turn, from the initialisation to the promotion."""
    bad: tuple[Routes, ...]
    """The same for a version that is rolled back."""
    promoted: frozenset[str] = _PROMOTED
    """The stages of the hooks that a promotion must have called."""
    rolled_back: frozenset[str] = _ROLLED_BACK
    provider: str = "gatewayapi:v1"
    target: Resource = DEPLOYMENT
    spec: Manifest = field(default_factory=dict)
    autoscaler: Manifest | None = None
    """A ScaledObject of the target, in whose hands the primary loses a pod while the canary takes traffic."""
    is_judged: bool = True
    """A bad version is one that fails its checks; else one whose pods never get ready."""

    def canary(self) -> Manifest:
        """With a hook of every stage, and an alert."""
        webhooks: list[Any] = [{"name": stage, "type": stage, "url": HOOKS + stage} for stage in STAGES]
        alerts = [{"name": "on-call", "severity": "info", "providerRef": {"name": "on-call"}}]
        manifest = canary(kind=self.target.kind, webhooks=webhooks, alerts=alerts, **self.analysis)
        for key in [key for key, value in self.analysis.items() if value is None]:
            del manifest["spec"]["analysis"][key]
        manifest["spec"] |= {"provider": self.provider, **self.spec}
        return manifest


_NO_STEPS: Final = {"stepWeight": None, "maxWeight": None, "iterations": 2}
_COOKIES: Final = {"cookieName": "canary", "primaryCookieName": "primary"}
_WEIGHTS: Final = (ALL_PRIMARY, Routes(80, 20), Routes(60, 40), ALL_PRIMARY)
_USERS: Final = [{"headers": {"x-user": {"exact": "insider"}}}]

WEIGHTED: Final = Setting({}, _WEIGHTS, (ALL_PRIMARY, Routes(80, 20), ALL_PRIMARY), promoted=_PROMOTED | {"confirm-traffic-increase"})
AB_TEST: Final = Setting({**_NO_STEPS, "match": _USERS}, (ALL_PRIMARY, ALL_CANARY, ALL_PRIMARY), (ALL_PRIMARY, ALL_CANARY, ALL_PRIMARY))
BLUE_GREEN: Final = Setting(_NO_STEPS, (ALL_PRIMARY, ALL_CANARY, ALL_PRIMARY), (ALL_PRIMARY,))
MIRRORED_BLUE_GREEN: Final = Setting(
    {**_NO_STEPS, "mirror": True}, (ALL_PRIMARY, MIRRORED, ALL_CANARY, ALL_PRIMARY), (ALL_PRIMARY, MIRRORED, ALL_PRIMARY)
)
MIRRORED_WEIGHTED: Final = replace(
    WEIGHTED, analysis={"mirror": True}, good=(ALL_PRIMARY, MIRRORED, *_WEIGHTS[1:]), bad=(ALL_PRIMARY, MIRRORED, ALL_PRIMARY)
)
AFFINITY: Final = replace(WEIGHTED, analysis={"sessionAffinity": _COOKIES})
SKIPPED: Final = Setting(
    {},
    (ALL_PRIMARY,),
    (ALL_PRIMARY,),
    promoted=frozenset({"confirm-rollout", "post-rollout"}),
    rolled_back=frozenset({"confirm-rollout", "post-rollout"}),
    spec={"skipAnalysis": True},
    is_judged=False,
)
NO_ROUTER: Final = replace(BLUE_GREEN, good=(), bad=(), provider="kubernetes")

SETTINGS: Final[dict[str, Setting]] = {
    "weighted": WEIGHTED,
    "A/B test": AB_TEST,
    "blue/green": BLUE_GREEN,
    "blue/green with a mirror": MIRRORED_BLUE_GREEN,
    "session affinity": AFFINITY,
    "skipped analysis": SKIPPED,
    "weighted on gatewayapi:v1beta1": replace(WEIGHTED, provider="gatewayapi:v1beta1"),
    "weighted on istio": replace(WEIGHTED, provider="istio"),
    "weighted on contour": replace(WEIGHTED, provider="contour"),
    "blue/green on kubernetes": NO_ROUTER,
    "weighted with a mirror on istio": replace(MIRRORED_WEIGHTED, provider="istio"),
    "weighted, of a DaemonSet": replace(WEIGHTED, target=DAEMON_SET),
    "weighted, with a ScaledObject": replace(
        WEIGHTED, spec={"autoscalerRef": scaling.reference("ScaledObject")}, autoscaler=scaling.scaled_object(least=1)
    ),
    "A/B test of a DaemonSet on istio": replace(AB_TEST, target=DAEMON_SET, provider="istio"),
}

ALERT_PROVIDER_MANIFEST: Final[Manifest] = {
    "apiVersion": "flagger.app/v1beta1",
    "kind": "AlertProvider",
    "metadata": {"name": "on-call", "namespace": NAMESPACE},
    "spec": {"type": "generic", "address": ALERTS},
}
