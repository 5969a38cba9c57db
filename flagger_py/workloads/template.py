"""Pod templates: their revision, the configs they refer to, and how the target's becomes the primary's. Pure."""

import hashlib
from collections.abc import Collection, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import orjson

from flagger_py.objects.resource import Manifest
from flagger_py.workloads.base import PRIMARY_SUFFIX, Selector
from flagger_py.workloads.marks import is_at_zero, restarted_for, without_marks
from flagger_py.workloads.metadata import PROMOTION_ID, primary_labels, without_toolkit_keys
from flagger_py.workloads.spread import rewrite_spread

REVISION_PREFIX = "v1:"
"""The version of the algorithm: a stored revision with another prefix says nothing about the template (workloads:CHG-02)."""
CONFIG_MAP_KEY = "configmap"
SECRET_KEY = "secret"  # noqa: S105 - the word, not a value
PROXY_CONTAINERS = frozenset({"istio-proxy", "envoy"})
_MEANINGFUL_WHEN_EMPTY = frozenset({"labelSelector", "namespaceSelector"})
"""`{}` selects everything here, while an absent selector selects nothing or the pod's own namespace."""

_Holder = dict[str, Any]
_Site = tuple[str, _Holder, str]
"""A place that names a config: its type, the object that holds the name, and the name's field."""


@dataclass(frozen=True, slots=True)
class ConfigReference:
    """A ConfigMap or Secret that a pod needs."""

    kind: str
    """`configmap` or `secret`."""
    name: str
    optional: bool

    @property
    def key(self) -> str:
        """As in `status.trackedConfigs`."""
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A port that a container declares."""

    container: str
    index: int
    """Its place among the container's ports."""
    name: str
    port: int
    protocol: str


@dataclass(frozen=True, slots=True)
class TemplateSummary:
    """What the store keeps of a pod template."""

    revision: str
    references: tuple[ConfigReference, ...]
    ports: tuple[ContainerPort, ...]
    promotion_id: str
    is_at_zero: bool = False
    """A DaemonSet's node selector keeps all pods away (workloads:DS-01)."""
    restarted_for: str = ""
    """What the pods were started anew for (workloads:CHG-06)."""


class Spread(Enum):
    """Which spread and anti-affinity terms are rewritten; ours is the first one (workloads:DEP-03, DS-03)."""

    BY_VALUE = 2
    """Those that name the target, or the value of its selector label."""
    BY_NAME = 1
    """Those that name the target, as Flagger does for Deployments."""
    NONE = 0
    """As Flagger does for DaemonSets."""


@dataclass(frozen=True, slots=True)
class PrimaryCopy:
    """How the primary's pods differ from the target's."""

    target_name: str
    selector: Selector
    selector_labels: tuple[str, ...]
    tracked: Collection[str]
    """Keys of the configs that the primary has its own copies of."""
    promotion_id: str
    spread: Spread = Spread.BY_VALUE

    @property
    def spread_names(self) -> frozenset[str]:
        """The label values that stand for the target's pods in spread and anti-affinity terms."""
        return frozenset((self.target_name, self.selector.value)[: self.spread.value])


def revision_of(template: Manifest) -> str:
    """`v1:` and 16 hex digits of a sha256 over the canonical template (workloads:CHG-01, CHG-02).

    Whatever means the same has the same revision: order of keys, and nulls and empty maps or lists that might as well be absent.
    What we write into it ourselves does not count (`marks`).
    """
    return digest_of(without_marks(template))


def digest_of(content: Manifest) -> str:
    """A revision of any content, by its meaning."""
    return REVISION_PREFIX + hashlib.sha256(canonical(content)).hexdigest()[:16]


def canonical(template: Manifest) -> bytes:
    """The template as JSON in one form."""
    return orjson.dumps(_without_empty(template), option=orjson.OPT_SORT_KEYS)


def summary_of(template: Manifest) -> TemplateSummary:
    """The summary of a whole template, or of one that the store has already reduced (`reduced`)."""
    if (kept := template.get("summary")) is not None:
        return TemplateSummary(
            revision=kept["revision"],
            references=tuple(ConfigReference(*reference) for reference in kept["references"]),
            ports=tuple(ContainerPort(*port) for port in kept["ports"]),
            promotion_id=kept["promotionId"],
            is_at_zero=kept["isAtZero"],
            restarted_for=kept["restartedFor"],
        )
    pod_spec = template.get("spec") or {}
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    return TemplateSummary(
        revision_of(template),
        references(pod_spec),
        container_ports(pod_spec),
        annotations.get(PROMOTION_ID, ""),
        is_at_zero(template),
        restarted_for(template),
    )


def reduced(template: Manifest) -> Manifest:
    """What stands in the store in place of the template, as plain JSON; `summary_of` reads it."""
    summary = summary_of(template)
    kept = {
        "revision": summary.revision,
        "references": [[reference.kind, reference.name, reference.optional] for reference in summary.references],
        "ports": [[port.container, port.index, port.name, port.port, port.protocol] for port in summary.ports],
        "promotionId": summary.promotion_id,
        "isAtZero": summary.is_at_zero,
        "restartedFor": summary.restarted_for,
    }
    return {"summary": kept}


def references(pod_spec: Manifest) -> tuple[ConfigReference, ...]:
    """The ConfigMaps and Secrets that pods need, in order of appearance, each once; its last mention says whether it is optional.

    Volumes, then containers, then init containers (workloads:CFG-01..03).
    """
    found: dict[tuple[str, str], bool] = {}
    for kind, holder, field in _sites(pod_spec):
        found[kind, holder[field]] = bool(holder.get("optional"))
    return tuple(ConfigReference(kind, name, optional) for (kind, name), optional in found.items())


def container_ports(pod_spec: Manifest) -> tuple[ContainerPort, ...]:
    """The ports of all containers but service-mesh proxies; init containers have none (workloads:SEL-05)."""
    return tuple(
        ContainerPort(container["name"], index, port.get("name", ""), port["containerPort"], port.get("protocol", "TCP"))
        for container in pod_spec.get("containers") or ()
        if container["name"] not in PROXY_CONTAINERS
        for index, port in enumerate(container.get("ports") or ())
    )


def as_primary(template: Manifest, copy: PrimaryCopy) -> Manifest:
    """The template of the primary's pods (workloads:GEN-07, GEN-08, DEP-03, DS-04, CFG-10)."""
    primary = deepcopy(without_marks(template))
    metadata = primary.setdefault("metadata", {})
    metadata["labels"] = primary_labels(metadata.get("labels") or {}, copy.selector)
    metadata["annotations"] = {**without_toolkit_keys(metadata.get("annotations") or {}), PROMOTION_ID: copy.promotion_id}
    pod_spec = primary.get("spec") or {}
    for kind, holder, field in _sites(pod_spec):
        if f"{kind}/{holder[field]}" in copy.tracked:
            holder[field] += PRIMARY_SUFFIX
    rewrite_spread(pod_spec, copy.selector_labels, copy.spread_names)
    return primary


def is_primary_of(primary: Manifest, target: Manifest, copy: PrimaryCopy) -> bool:
    """Whether the target's template, rendered as primary, equals this template; `flagger-id` does not count (workloads:GEN-20).

    Which configs have copies is seen by comparing names, place by place, so nothing but the two templates is needed, and
    primaries of older Flagger versions, which left init containers alone, are recognised as well.
    """
    promotion = summary_of(primary).promotion_id
    live = canonical(_with_promotion_id(primary, promotion))
    plain = _with_names_of_copies(target, primary)
    variants = (replace(copy, tracked=(), promotion_id=promotion, spread=spread) for spread in Spread)
    return any(canonical(as_primary(plain, variant)) == live for variant in variants)


def _with_promotion_id(template: Manifest, promotion: str) -> Manifest:
    metadata = template.get("metadata") or {}
    annotations = {**(metadata.get("annotations") or {}), PROMOTION_ID: promotion}
    return {**template, "metadata": {**metadata, "annotations": annotations}}


def _with_names_of_copies(target: Manifest, primary: Manifest) -> Manifest:
    template = deepcopy(target)
    pairs = zip(_sites(template.get("spec") or {}), _sites(primary.get("spec") or {}), strict=False)
    for (_, wanted, field), (_, live, live_field) in pairs:
        if live[live_field] == wanted[field] + PRIMARY_SUFFIX:
            wanted[field] = live[live_field]
    return template


def _sites(pod_spec: Manifest) -> Iterator[_Site]:
    """Every place that names a config, in the order of workloads:CFG-01; places without a name do not count."""
    for kind, holder, field in _all_sites(pod_spec):
        if holder and holder.get(field):
            yield kind, holder, field


def _all_sites(pod_spec: Manifest) -> Iterator[tuple[str, _Holder | None, str]]:
    for volume in pod_spec.get("volumes") or ():
        yield CONFIG_MAP_KEY, volume.get("configMap"), "name"
        yield SECRET_KEY, volume.get("secret"), "secretName"
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield CONFIG_MAP_KEY, source.get("configMap"), "name"
            yield SECRET_KEY, source.get("secret"), "name"
    for container in (*(pod_spec.get("containers") or ()), *(pod_spec.get("initContainers") or ())):
        for variable in container.get("env") or ():
            source = variable.get("valueFrom") or {}
            yield CONFIG_MAP_KEY, source.get("configMapKeyRef"), "name"
            yield SECRET_KEY, source.get("secretKeyRef"), "name"
        for source in container.get("envFrom") or ():
            yield CONFIG_MAP_KEY, source.get("configMapRef"), "name"
            yield SECRET_KEY, source.get("secretRef"), "name"


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        pruned = {key: _without_empty(entry) for key, entry in value.items() if entry is not None}
        return {key: entry for key, entry in pruned.items() if entry not in ({}, []) or key in _MEANINGFUL_WHEN_EMPTY}
    if isinstance(value, list):
        return [_without_empty(entry) for entry in value]
    return value
