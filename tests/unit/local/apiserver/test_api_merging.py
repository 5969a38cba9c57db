"""Strategic merge by tables: order, directives and keys."""

from typing import Any

import pytest

from flagger_py.local.apiserver.schema import built_in, prune, set_defaults
from flagger_py.local.apiserver.strategic import strategic_merge

POD = built_in("Pod").properties["spec"]


def _containers(*names: str, **extra: Any) -> list[dict[str, Any]]:
    return [{"name": name, **extra} for name in names]


@pytest.mark.parametrize(
    ("value", "patch", "merged"),
    [
        pytest.param(_containers("a", "b"), _containers("b", image="i"), [{"name": "a"}, {"name": "b", "image": "i"}], id="in its place"),
        pytest.param(_containers("a"), _containers("n"), _containers("n", "a"), id="new ones first"),
        pytest.param(_containers("a", "b", "c"), _containers("c", "n", "a"), _containers("b", "c", "n", "a"), id="around the rest"),
        pytest.param(_containers("a", "b"), [{"name": "a", "$patch": "delete"}], _containers("b"), id="delete"),
        pytest.param(_containers("a", "b"), [*_containers("n"), {"$patch": "replace"}], _containers("n"), id="replace"),
    ],
)
def test_lists_with_a_key(value: Any, patch: Any, merged: Any) -> None:
    assert strategic_merge({"containers": value}, {"containers": patch}, POD) == {"containers": merged}


def test_the_order_of_elements_can_be_asked_for() -> None:
    patch = {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": _containers("b", image="i")}
    merged = strategic_merge({"containers": _containers("a", "x", "b")}, patch, POD)
    assert [one["name"] for one in merged["containers"]] == ["x", "b", "a"]


def test_lists_without_a_key_are_replaced() -> None:
    value = {"tolerations": [{"key": "a"}], "containers": [{"name": "a", "command": ["x", "y"]}]}
    patch = {"tolerations": [{"key": "b"}], "containers": [{"name": "a", "command": ["z"]}]}
    assert strategic_merge(value, patch, POD) == patch


def test_scalars_are_added_and_deleted_by_directive() -> None:
    metadata = built_in("Pod").properties["metadata"]
    merged = strategic_merge({"finalizers": ["a", "b"]}, {"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"]}, metadata)
    assert merged == {"finalizers": ["b", "c"]}


def test_nulls_delete_and_maps_can_be_replaced() -> None:
    value = {"nodeSelector": {"a": "1"}, "hostname": "h", "affinity": {"podAffinity": {}, "nodeAffinity": {}}}
    patch = {"hostname": None, "affinity": {"$patch": "replace", "podAntiAffinity": {}}}
    assert strategic_merge(value, patch, POD) == {"nodeSelector": {"a": "1"}, "affinity": {"podAntiAffinity": {}}}


def test_pruning_keeps_what_the_tables_know() -> None:
    unknown: list[str] = []
    spec = {
        "containers": [{"name": "a", "bogus": 1, "stdin": False, "securityContext": {"runAsUser": 0}}],
        "volumes": [{"name": "v", "csi": {"x": 1}}],
    }
    pruned = prune(spec, POD, unknown=unknown)
    assert unknown == ["containers[0].bogus"]
    assert pruned == {"containers": [{"name": "a", "securityContext": {"runAsUser": 0}}], "volumes": [{"name": "v", "csi": {"x": 1}}]}


def test_defaults_fill_only_what_is_missing() -> None:
    spec: dict[str, Any] = {"containers": [{"name": "a", "readinessProbe": {"httpGet": {"port": 1, "path": "/x"}, "periodSeconds": 3}}]}
    set_defaults(spec, POD)
    probe = spec["containers"][0]["readinessProbe"]
    assert (probe["periodSeconds"], probe["timeoutSeconds"], probe["httpGet"]) == (3, 1, {"port": 1, "path": "/x", "scheme": "HTTP"})
