"""What is wrong with a Canary, case by case: the change to a valid one, where the problem is found, and whether the CRD refuses it, too."""

from dataclasses import dataclass, field
from typing import Any

from flagger_py.api.problems import ProblemSeverity
from tests.unit.api.manifests import ABSENT, changed, valid_canary

INVALID, NOT_SUPPORTED, WARNING = ProblemSeverity.INVALID, ProblemSeverity.NOT_SUPPORTED, ProblemSeverity.WARNING


@dataclass(frozen=True, kw_only=True)
class Case:
    """`changes` to the valid Canary of a provider give a problem at `path`; `admission` says that the API server refuses it, too."""

    rule: str
    changes: dict[str, Any] = field(default_factory=dict)
    path: str
    severity: ProblemSeverity = INVALID
    provider: str = "istio"
    says: str = ""
    admission: bool = False

    @property
    def id(self) -> str:
        return f"{self.rule} {self.path}"

    def manifest(self) -> dict[str, Any]:
        return changed(valid_canary(self.provider), self.changes)


A = "spec.analysis"
S = "spec.service"
HEADER = [{"headers": {"x-canary": {"exact": "always"}}}]
TO_ITERATIONS = {f"{A}.stepWeight": ABSENT, f"{A}.maxWeight": ABSENT, f"{A}.iterations": 5}
TO_STEPS = {f"{A}.stepWeight": ABSENT, f"{A}.maxWeight": ABSENT}
AB_TEST = {**TO_ITERATIONS, f"{A}.match": HEADER}

ANALYSIS = [
    Case(
        rule="API-05",
        changes={f"{A}.stepWeight": ABSENT},
        path=A,
        says="exactly one of iterations, stepWeight, stepWeights",
        admission=True,
    ),
    Case(rule="API-05", changes={f"{A}.iterations": 5}, path=A, says="exactly one of", admission=True),
    Case(rule="API-06", changes={A: ABSENT}, path=A, says="is required", admission=True),
    Case(rule="API-06", changes={A: {}}, path=A, says="interval, threshold", admission=True),
    Case(rule="VAL-06", changes={f"{A}.interval": "-1m"}, path=f"{A}.interval", says="a duration such as", admission=True),
    Case(rule="VAL-06", changes={f"{A}.interval": ""}, path=f"{A}.interval", says="a duration such as", admission=True),
    # engine:WGT-02
    Case(rule="GAP-02", changes={f"{A}.maxWeight": 120}, path=f"{A}.maxWeight", says="from 0 to 100", admission=True),
    Case(rule="GAP-03", changes={f"{A}.stepWeight": 0}, path=f"{A}.stepWeight", says="from 1 to 100", admission=True),
    Case(rule="GAP-03", changes={**TO_STEPS, f"{A}.stepWeights": []}, path=f"{A}.stepWeights", says="at least 1", admission=True),
    Case(rule="GAP-03", changes={**TO_ITERATIONS, f"{A}.iterations": 0}, path=f"{A}.iterations", says="at least 1", admission=True),
    Case(rule="VAL-26", changes={f"{A}.stepWeight": 150}, path=f"{A}.stepWeight", says="from 1 to 100", admission=True),
    Case(
        rule="GAP-04", changes={**TO_STEPS, f"{A}.stepWeights": [10, 30, 20]}, path=f"{A}.stepWeights", says="rise strictly", admission=True
    ),
    Case(rule="GAP-04", changes={**TO_STEPS, f"{A}.stepWeights": [10, 10]}, path=f"{A}.stepWeights", says="rise strictly", admission=True),
    Case(
        rule="GAP-04", changes={**TO_STEPS, f"{A}.stepWeights": [0, 10]}, path=f"{A}.stepWeights[0]", says="from 1 to 100", admission=True
    ),
    Case(
        rule="GAP-05", changes={f"{A}.stepWeight": ABSENT, f"{A}.stepWeights": [1, 60]}, path=f"{A}.maxWeight", severity=WARNING, says="60"
    ),
    Case(rule="GAP-06", changes={f"{A}.stepWeight": 20}, path=f"{A}.stepWeight", severity=WARNING, says="20, 40, 60"),
    Case(rule="GAP-08", changes={f"{A}.stepWeightPromotion": -1}, path=f"{A}.stepWeightPromotion", says="from 0 to 100", admission=True),
    Case(rule="issue 3", changes={f"{A}.threshold": -1}, path=f"{A}.threshold", says="at least 0", admission=True),
    Case(rule="GAP-15", changes={f"{A}.interval": "1mfoo"}, path=f"{A}.interval", severity=WARNING, says="60 s"),
    Case(rule="GAP-17", changes={f"{A}.interval": "9s"}, path=f"{A}.interval", severity=WARNING, says="10 s"),
    Case(rule="GAP-53", changes={f"{A}.canaryReadyThreshold": 101}, path=f"{A}.canaryReadyThreshold", says="from 0 to 100", admission=True),
    Case(
        rule="GAP-53", changes={f"{A}.primaryReadyThreshold": -1}, path=f"{A}.primaryReadyThreshold", says="from 0 to 100", admission=True
    ),
    Case(
        rule="GAP-54", changes={"spec.progressDeadlineSeconds": -1}, path="spec.progressDeadlineSeconds", says="at least 0", admission=True
    ),
    Case(rule="GAP-54", changes={"spec.progressDeadlineSeconds": 0}, path="spec.progressDeadlineSeconds", severity=WARNING),
]

STRATEGY = [
    Case(rule="GAP-09", changes={f"{A}.match": HEADER}, path=f"{A}.match", severity=WARNING, says="needs iterations"),
    Case(rule="GAP-09", provider="nginx", changes={f"{A}.match": HEADER}, path=f"{A}.match", says="nginx"),
    Case(rule="GAP-10", changes={**TO_ITERATIONS, f"{A}.match": [{}]}, path=f"{A}.match[0]", severity=WARNING, says="everybody"),
    Case(
        rule="VAL-10",
        changes={**TO_ITERATIONS, f"{A}.match": [{"headers": {"x": {}}}]},
        path=f"{A}.match[0].headers[x]",
        says="exactly one of exact, prefix, suffix, regex",
        admission=True,
    ),
    Case(
        rule="VAL-10",
        changes={**TO_ITERATIONS, f"{A}.match": [{"queryParams": {"q": {"exact": "a", "regex": "b"}}}]},
        path=f"{A}.match[0].queryParams[q]",
        says="at most one of",
        admission=True,
    ),
    Case(
        rule="GAP-11",
        provider="gatewayapi:v1",
        changes={**AB_TEST, f"{A}.match": [{"headers": {"x-canary": {"prefix": "a"}}}]},
        path=f"{A}.match[0].headers[x-canary].prefix",
        says="it can by exact, regex",
        admission=True,
    ),
    Case(
        rule="GAP-11",
        provider="gatewayapi:v1",
        changes={**AB_TEST, f"{A}.match": [{"queryParams": {"q": {"prefix": "a"}}}]},
        path=f"{A}.match[0].queryParams[q].prefix",
        admission=True,
    ),
    Case(
        rule="GAP-11",
        provider="gatewayapi:v1beta1",
        changes={**AB_TEST, f"{A}.match": [{"sourceLabels": {"a": "b"}}]},
        path=f"{A}.match[0].sourceLabels",
        admission=True,
    ),
    # engine:HAZ-21, AB-05
    Case(rule="GAP-12", provider="linkerd", changes=AB_TEST, path=f"{A}.match", says="everybody", admission=True),
    Case(rule="GAP-12", provider="traefik", changes=AB_TEST, path=f"{A}.match", says="cannot route by request", admission=True),
    Case(
        rule="GAP-12",
        provider="contour",
        changes={**AB_TEST, f"{A}.match": [{"headers": {"x": {"regex": "a.*"}}}]},
        path=f"{A}.match[0].headers[x].regex",
        says="provider contour",
    ),
    Case(
        rule="GAP-12",
        provider="nginx",
        changes={**AB_TEST, f"{A}.match": [*HEADER, {"headers": {"x-other": {"exact": "a"}}}]},
        path=f"{A}.match",
        says="can compare one header",
    ),
    # engine:HAZ-20
    Case(rule="GAP-13", provider="contour", changes={f"{A}.mirror": True}, path=f"{A}.mirror", says="cannot mirror", admission=True),
    Case(
        rule="GAP-13", provider="gatewayapi:v1", changes={f"{A}.mirror": True}, path=f"{A}.mirror", says="with iterations", admission=True
    ),
    Case(rule="CTR-06", changes={f"{A}.mirror": True, f"{S}.appProtocol": "TCP"}, path=f"{A}.mirror", says="TCP"),
    Case(
        rule="CTR-06",
        changes={f"{A}.mirror": True, f"{A}.sessionAffinity": {"cookieName": "c"}},
        path=f"{A}.mirror",
        says="sessionAffinity",
    ),
    Case(rule="MIR-03", provider="kubernetes", changes={f"{A}.mirror": True}, path=f"{A}.mirror", severity=WARNING, says="ignored"),
    Case(rule="GAP-14", changes={f"{A}.mirrorWeight": 20}, path=f"{A}.mirrorWeight", severity=WARNING, says="mirror is not set"),
    Case(rule="GAP-14", changes={f"{A}.mirror": True, f"{A}.mirrorWeight": 101}, path=f"{A}.mirrorWeight", severity=WARNING),
    Case(
        rule="GAP-14",
        provider="gatewayapi:v1",
        changes={**TO_ITERATIONS, f"{A}.mirror": True, f"{A}.mirrorWeight": 20},
        path=f"{A}.mirrorWeight",
        says="all requests or none",
    ),
    Case(rule="GAP-55", provider="kubernetes", path=A, severity=WARNING, says="splits no traffic"),
]

AFFINITY = [
    Case(rule="GAP-34", provider="contour", changes={f"{A}.sessionAffinity": {"cookieName": "c"}}, path=f"{A}.sessionAffinity"),
    Case(
        rule="GAP-34",
        provider="gatewayapi:v1beta1",
        changes={f"{A}.sessionAffinity": {"cookieName": "c", "primaryCookieName": "p"}},
        path=f"{A}.sessionAffinity.primaryCookieName",
        says="canary only",
    ),
    Case(
        rule="GAP-33",
        changes={**TO_ITERATIONS, f"{A}.sessionAffinity": {"cookieName": "c"}},
        path=f"{A}.sessionAffinity",
        severity=WARNING,
        says="no effect",
    ),
    Case(
        rule="PRV-05",
        provider="gatewayapi:v1",
        changes={**AB_TEST, f"{A}.sessionAffinity": {"cookieName": "c"}},
        path=f"{A}.sessionAffinity",
        says="exclude each other",
        admission=True,
    ),
    Case(
        rule="GAP-35",
        changes={f"{A}.sessionAffinity": {"cookieName": "c", "primaryCookieName": "c"}},
        path=f"{A}.sessionAffinity.primaryCookieName",
        says="must differ",
        admission=True,
    ),
    *(
        Case(
            rule="GAP-36",
            changes={f"{A}.sessionAffinity": {"cookieName": name}},
            path=f"{A}.sessionAffinity.cookieName",
            admission=True,
        )
        for name in ("", "a=b", "a;b", "a b")
    ),
    Case(
        rule="GAP-37",
        changes={f"{A}.sessionAffinity": {"cookieName": "c", "sameSite": "None"}},
        path=f"{A}.sessionAffinity.sameSite",
        severity=WARNING,
        says="secure",
    ),
    Case(
        rule="GAP-37",
        changes={f"{A}.sessionAffinity": {"cookieName": "c", "domain": "a; Secure"}},
        path=f"{A}.sessionAffinity.domain",
        says="without semicolons",
        admission=True,
    ),
    Case(
        rule="GAP-38",
        changes={f"{A}.sessionAffinity": {"cookieName": "c", "maxAge": -1}},
        path=f"{A}.sessionAffinity.maxAge",
        says="at least 0",
        admission=True,
    ),
    Case(
        rule="GAP-38",
        changes={f"{A}.sessionAffinity": {"cookieName": "c", "maxAge": 0}},
        path=f"{A}.sessionAffinity.maxAge",
        severity=WARNING,
    ),
]

M = f"{A}.metrics"
METRICS = [
    Case(rule="GAP-19", changes={f"{M}.0.interval": "5min"}, path=f"{M}[0].interval", severity=WARNING, says="Graphite"),
    Case(
        rule="GAP-20",
        changes={f"{M}.0.thresholdRange": {"min": 9, "max": 8}},
        path=f"{M}[0].thresholdRange.min",
        says="max (8)",
        admission=True,
    ),
    Case(
        rule="GAP-21",
        changes={M: [{"name": "a", "query": "q", "thresholdRange": {}}]},
        path=f"{M}[0].thresholdRange",
        severity=WARNING,
        says="every value passes",
    ),
    Case(rule="GAP-22", changes={M: [{"name": "a", "query": "q"}]}, path=f"{M}[0]", severity=WARNING, says="above 0 fails"),
    Case(
        rule="GAP-22", changes={M: [{"name": "request-duration"}]}, path=f"{M}[0].thresholdRange", says="needs min or max", admission=True
    ),
    Case(
        rule="GAP-22",
        changes={M: [{"name": "request-duration", "thresholdRange": {}}]},
        path=f"{M}[0].thresholdRange",
        says="needs min or max",
        admission=True,
    ),
    Case(rule="GAP-23", changes={f"{M}.0.threshold": 90}, path=f"{M}[0].threshold", severity=WARNING, says="ignored"),
    Case(
        rule="GAP-24", changes={M: [{"name": "latency", "threshold": 1}]}, path=f"{M}[0].name", says="request-success-rate", admission=True
    ),
    Case(
        rule="GAP-25",
        changes={M: [{"name": "a", "threshold": 1, "query": "q", "templateRef": {"name": "t"}}]},
        path=f"{M}[0].query",
        severity=WARNING,
    ),
    Case(rule="GAP-25", changes={f"{M}.0.query": "up"}, path=f"{M}[0].name", severity=WARNING, says="built-in"),
    Case(
        rule="GAP-26",
        changes={M: [{"name": "request-duration", "thresholdRange": {"max": 0.5}}]},
        path=f"{M}[0].thresholdRange.max",
        severity=WARNING,
        says="whole milliseconds: 0",
    ),
    Case(
        rule="GAP-27",
        changes={M: [{"name": "a", "query": "q", "threshold": 1}] * 2},
        path=M,
        severity=WARNING,
        says="2 entries",
    ),
    Case(
        rule="GAP-28",
        changes={f"{M}.0.thresholdRange": {"min": 101}},
        path=f"{M}[0].thresholdRange.min",
        severity=WARNING,
        says="percentage",
    ),
    Case(rule="PROM-02", changes={"spec.metricsServer": "prometheus:9090"}, path="spec.metricsServer", severity=WARNING),
    Case(
        rule="VAL-07",
        changes={M: [{"templateRef": {"name": "t"}, "threshold": 1}]},
        path=f"{M}[0].name",
        says="is required",
        admission=True,
    ),
]

W = f"{A}.webhooks"
HOOKS = [
    Case(rule="GAP-15", changes={W: [{"name": "a", "url": "http://a", "timeout": "1min"}]}, path=f"{W}[0].timeout", severity=WARNING),
    *(
        Case(rule="GAP-29", changes={W: [{"name": "a", "url": url}]}, path=f"{W}[0].url", says="an http or https URL", admission=True)
        for url in ("", "/gate", "ftp://a/b", "http://", "gate.test")
    ),
    Case(rule="GAP-30", changes={W: [{"name": "a", "url": "http://a", "retries": -1}]}, path=f"{W}[0].retries", severity=WARNING),
    Case(
        rule="GAP-31",
        changes={W: [{"name": "a", "url": "http://a", "timeout": "40s", "retries": 1}]},
        path=W,
        severity=WARNING,
        says="80 s",
    ),
    Case(
        rule="VAL-08",
        changes={W: [{"name": "a", "url": "http://a", "type": "rolout"}]},
        path=f"{W}[0].type",
        says="rollout",
        admission=True,
    ),
    Case(rule="VAL-08", changes={W: [{"name": "a"}]}, path=f"{W}[0].url", says="is required", admission=True),
    Case(
        rule="VAL-07",
        changes={f"{A}.alerts": [{"name": "a", "severity": "loud", "providerRef": {"name": "b"}}]},
        path=f"{A}.alerts[0].severity",
        says="info, warn, error",
        admission=True,
    ),
    Case(
        rule="GAP-27",
        changes={f"{A}.alerts": [{"name": "a", "providerRef": {"name": "b"}}, {"name": "a", "providerRef": {"name": "c"}}]},
        path=f"{A}.alerts",
        severity=WARNING,
        says="2 entries",
    ),
]

LONG = "a" * 56
SERVICE = [
    Case(rule="GAP-39", changes={S: ABSENT}, path=S, says="is required", admission=True),
    Case(rule="VAL-01", changes={S: {"name": "a"}}, path=f"{S}.port", says="is required", admission=True),
    *(Case(rule="GAP-40", changes={f"{S}.port": port}, path=f"{S}.port", says="1 to 65535", admission=True) for port in (0, -1, 65536)),
    *(
        Case(rule="GAP-40", changes={f"{S}.targetPort": port}, path=f"{S}.targetPort", admission=True)
        for port in (-1, 65536, "8080", "Http", "a-name-far-too-long")
    ),
    *(Case(rule="GAP-41", changes={f"{S}.name": name}, path=f"{S}.name", says="DNS label", admission=True) for name in (LONG, "a.b", "A")),
    Case(rule="GAP-41", changes={"spec.targetRef.name": "a.b"}, path="spec.targetRef.name", says="DNS label"),
    Case(
        rule="GAP-43",
        changes={f"{S}.delegation": True, f"{S}.hosts": ["a"]},
        path=f"{S}.delegation",
        says="empty list",
        admission=True,
    ),
    Case(rule="GAP-56", changes={f"{S}.timeout": "15"}, path=f"{S}.timeout", says="a duration such as"),
    Case(rule="GAP-56", changes={f"{S}.retries": {"perTryTimeout": "-1s"}}, path=f"{S}.retries.perTryTimeout", says="negative"),
    Case(rule="GAP-56", provider="gatewayapi:v1", changes={f"{S}.timeout": "1.5s"}, path=f"{S}.timeout", says="no fractions"),
    Case(
        rule="GAP-56",
        provider="gatewayapi:v1",
        changes={f"{S}.timeout": "5s", f"{S}.backendTimeout": "6s"},
        path=f"{S}.backendTimeout",
        says="longer than timeout (5s)",
    ),
    Case(rule="GAP-57", provider="contour", changes={f"{S}.backendTimeout": "6s"}, path=f"{S}.backendTimeout", severity=WARNING),
    Case(rule="GAP-57", provider="contour", changes={f"{S}.headers": {"request": {}}}, path=f"{S}.headers", severity=WARNING),
    Case(rule="GAP-58", changes={f"{S}.rewrite": {"type": "replacePrefixMatch"}}, path=f"{S}.rewrite.type", severity=WARNING),
    Case(rule="GAP-59", changes={f"{S}.hosts": ["https://a.b"]}, path=f"{S}.hosts[0]", severity=WARNING, says="host name"),
    Case(
        rule="§2.4 mirror",
        provider="gatewayapi:v1",
        changes={f"{S}.mirror": [{"backendRef": {"name": "a"}}]},
        path=f"{S}.mirror[0].backendRef.port",
        admission=True,
    ),
    Case(
        rule="§2.4 loadBalancer",
        changes={f"{S}.trafficPolicy": {"loadBalancer": {"warmupDurationSecs": "1s"}}},
        path=f"{S}.trafficPolicy.loadBalancer",
        says="exactly one of simple, consistentHash",
        admission=True,
    ),
    Case(
        rule="§2.4 gatewayRefs",
        provider="gatewayapi:v1",
        changes={f"{S}.gatewayRefs": [{"name": "a", "group": "gateway.networking.k8s.io/v1"}]},
        path=f"{S}.gatewayRefs[0].group",
        admission=True,
    ),
    *(
        Case(rule="regex", changes={f"{S}.match": [{"uri": {"regex": regex}}]}, path=f"{S}.match[0].uri.regex", says="regular expression")
        for regex in ("(", "[a", "*", "a{2}{3}**", "\\")
    ),
    Case(rule="regex", changes={f"{S}.corsPolicy": {"allowOrigins": [{"regex": "("}]}}, path=f"{S}.corsPolicy.allowOrigins[0].regex"),
    Case(
        rule="regex",
        changes={**AB_TEST, f"{A}.match": [{"headers": {"x": {"regex": ")"}}}]},
        path=f"{A}.match[0].headers[x].regex",
        says="regular expression",
    ),
]

CORE = {"apiVersion": "v1", "kind": "Service", "name": "shop"}
KNATIVE = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "shop"}
HPA = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "shop"}
T = "spec.targetRef"
TARGET = [
    Case(rule="VAL-01", changes={T: ABSENT}, path=T, says="is required", admission=True),
    Case(rule="VAL-02", changes={f"{T}.kind": "StatefulSet"}, path=f"{T}.kind", says="Deployment", admission=True),
    Case(rule="VAL-02", changes={f"{T}.name": ABSENT}, path=f"{T}.name", says="is required", admission=True),
    Case(rule="GAP-41", changes={f"{T}.name": LONG, f"{S}.name": "a"}, path=f"{T}.name", says="at most 55", admission=True),
    Case(rule="GAP-42", changes={f"{T}.name": "shop-primary"}, path=f"{T}.name", severity=WARNING, says="primary"),
    Case(rule="GAP-50", changes={f"{T}.apiVersion": "v1"}, path=f"{T}.apiVersion", severity=WARNING, says="apps/v1"),
    Case(rule="K8S-19", changes={T: CORE, f"{S}.name": "other"}, path=f"{S}.name", says="must be left out or be shop"),
    Case(rule="K8S-19", changes={T: CORE, f"{S}.headless": True}, path=f"{S}.headless", severity=WARNING, says="copies of the target"),
    Case(
        rule="OBS-SEL-05",
        changes={T: CORE, f"{A}.metrics": [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]},
        path=f"{A}.metrics[0].name",
        severity=WARNING,
        says="use a templateRef",
    ),
    Case(rule="GAP-49", changes={T: CORE, "spec.autoscalerRef": HPA}, path="spec.autoscalerRef", severity=WARNING),
    Case(rule="GAP-41", changes={T: {**CORE, "name": "a" * 56}}, path=f"{T}.name", says="at most 55", admission=True),
    Case(
        rule="GAP-12",
        provider="knative",
        changes={**AB_TEST, T: KNATIVE},
        path=f"{A}.match",
        says="knative",
        admission=True,
    ),
    Case(
        rule="GAP-57",
        provider="knative",
        changes={T: KNATIVE, f"{S}.timeout": "5s"},
        path=f"{S}.timeout",
        severity=WARNING,
        says="no effect",
    ),
    Case(rule="VAL-21", changes={T: KNATIVE}, path="spec.provider", says="need each other", admission=True),
    Case(rule="GAP-47", provider="knative", path="spec.provider", says="need each other", admission=True),
    Case(
        rule="VAL-22",
        provider="knative",
        changes={T: KNATIVE, "spec.autoscalerRef": HPA},
        path="spec.autoscalerRef",
        says="itself",
        admission=True,
    ),
    Case(rule="GAP-49", changes={"spec.autoscalerRef": HPA, f"{T}.kind": "DaemonSet"}, path="spec.autoscalerRef", severity=WARNING),
    Case(
        rule="GAP-51",
        changes={"spec.autoscalerRef": {**HPA, "primaryScalerReplicas": {"minReplicas": 3, "maxReplicas": 2}}},
        path="spec.autoscalerRef.primaryScalerReplicas.minReplicas",
        says="maxReplicas (2)",
        admission=True,
    ),
    Case(
        rule="GAP-52",
        changes={"spec.autoscalerRef": {**HPA, "primaryScalerQueries": {"a": "b"}}},
        path="spec.autoscalerRef.primaryScalerQueries",
        severity=WARNING,
    ),
    Case(
        rule="VAL-04",
        changes={"spec.autoscalerRef": {**HPA, "primaryScalerReplicas": {"minReplicas": 0}}},
        path="spec.autoscalerRef.primaryScalerReplicas.minReplicas",
        says="at least 1",
        admission=True,
    ),
    Case(rule="GAP-67", changes={"spec": ABSENT}, path="spec", says="is required", admission=True),
]

PROVIDER = [
    Case(rule="PRV-02", provider="istoi", path="spec.provider", says="known are apisix"),
    Case(rule="PRV-02", provider="gatewayapi:v1alpha2", path="spec.provider", says="use gatewayapi:v1 "),
    Case(rule="PRV-02", provider="gatewayapi", path="spec.provider", says="use gatewayapi:v1 "),
    Case(rule="VAL-03", changes={"spec.provider": ""}, path="spec.provider", admission=True),
    Case(rule="VAL-03", changes={"spec.provider": "is tio"}, path="spec.provider", admission=True),
    *(
        Case(
            rule="not yet",
            provider=name,
            path="spec.provider",
            severity=NOT_SUPPORTED,
            says="gatewayapi:v1beta1, istio, knative, kubernetes",
        )
        for name in ("apisix", "appmesh", "gloo", "kuma", "linkerd", "nginx", "osm", "skipper", "smi:v1alpha3", "traefik")
    ),
    *(
        Case(rule="GAP-46", provider=name, changes={f"{S}.gatewayRefs": []}, path=f"{S}.gatewayRefs", says=name, admission=True)
        for name in ("gatewayapi:v1", "gatewayapi:v1beta1")
    ),
    Case(rule="GAP-46", provider="nginx", changes={"spec.ingressRef": ABSENT}, path="spec.ingressRef", admission=True),
    Case(rule="GAP-46", provider="skipper", changes={"spec.ingressRef": ABSENT}, path="spec.ingressRef", admission=True),
    Case(rule="GAP-46", provider="apisix", changes={"spec.routeRef": ABSENT}, path="spec.routeRef", admission=True),
    Case(rule="GAP-46", provider="appmesh", changes={f"{S}.meshName": ABSENT}, path=f"{S}.meshName", admission=True),
]

CASES = [*ANALYSIS, *STRATEGY, *AFFINITY, *METRICS, *HOOKS, *SERVICE, *TARGET, *PROVIDER]
