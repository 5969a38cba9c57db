"""Spread and anti-affinity terms that name the target's pods: on the primary they name the primary's (workloads:DEP-03, DS-03). Pure."""

from collections.abc import Collection, Iterator
from typing import Any

from flagger_py.objects.resource import Manifest
from flagger_py.workloads.base import PRIMARY_SUFFIX


def rewrite_spread(pod_spec: Manifest, labels: Collection[str], names: Collection[str]) -> None:
    """Add `-primary` to these values of these labels, in place."""
    for selector in _selectors(pod_spec):
        for expression in selector.get("matchExpressions") or ():
            if expression.get("key") in labels:
                expression["values"] = _with_first_rewritten(expression.get("values") or [], names)
        wanted = selector.get("matchLabels") or {}
        for key, value in wanted.items():
            if key in labels and value in names:
                wanted[key] = value + PRIMARY_SUFFIX


def _selectors(pod_spec: Manifest) -> Iterator[dict[str, Any]]:
    anti_affinity = (pod_spec.get("affinity") or {}).get("podAntiAffinity") or {}
    preferred = anti_affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    terms = [term.get("podAffinityTerm") or {} for term in preferred]
    terms += anti_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    for holder in (*(pod_spec.get("topologySpreadConstraints") or ()), *terms):
        if selector := holder.get("labelSelector"):
            yield selector


def _with_first_rewritten(values: list[str], names: Collection[str]) -> list[str]:
    for index, value in enumerate(values):
        if value in names:
            return [*values[:index], value + PRIMARY_SUFFIX, *values[index + 1 :]]
    return values
