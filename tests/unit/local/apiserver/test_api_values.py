"""Quantities, ages, JSON paths, field sets, Go's type errors and Protocol Buffers: small functions with many cases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flagger_py.local.apiserver.ages import age, human_duration
from flagger_py.local.apiserver.field_sets import applied_fields, changed_fields, from_fields_v1, shown, to_fields_v1
from flagger_py.local.apiserver.go_types import type_error
from flagger_py.local.apiserver.json_path import matches
from flagger_py.local.apiserver.quantity import canonical_quantity, parse_quantity
from flagger_py.local.apiserver.schema import built_in
from flagger_py.local.apiserver.wire import decode_protobuf

DEPLOYMENT = built_in("Deployment")


@pytest.mark.parametrize(
    ("given_quantity", "canonical"),
    [
        ("0.5", "500m"), ("1000m", "1"), ("1500m", "1500m"), ("1024Ki", "1Mi"), ("1Gi", "1Gi"), ("1.5Gi", "1536Mi"), ("1000k", "1M"),
        ("1e3", "1e3"), ("1E6", "1e6"), (2, "2"), ("0", "0"), ("-1", "-1"), ("100n", "100n"), ("x", "x"), ("", ""), ("1.5", "1500m"),
    ],
)  # fmt: skip
def test_quantities(given_quantity: Any, canonical: str) -> None:
    assert canonical_quantity(given_quantity) == canonical


@given(st.integers(-(10**12), 10**12), st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi"]))
def test_a_canonical_quantity_is_the_same_amount(number: int, suffix: str) -> None:
    canonical = canonical_quantity(f"{number}{suffix}")
    assert parse_quantity(canonical) == parse_quantity(f"{number}{suffix}")
    assert canonical_quantity(canonical) == canonical


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (119, "119s"), (120, "2m"), (121, "2m1s"), (599, "9m59s"), (600, "10m"), (3600, "60m"), (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"), (8 * 3600, "8h"), (48 * 3600, "2d"), (49 * 3600, "2d1h"), (8 * 86400, "8d"), (800 * 86400, "2y70d"),
        (3000 * 86400, "8y"), (-1, "0s"), (-5, "<invalid>"),
    ],
)  # fmt: skip
def test_ages(seconds: int, text: str) -> None:
    assert human_duration(seconds) == text


def test_an_age_of_nothing_is_unknown() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert age(None, now) == "<unknown>"
    assert age("2025-12-31T23:59:00Z", now + timedelta(seconds=1)) == "61s"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.size", [1]),
        (".spec.list[*].name", ["a", "b"]),
        (".spec.list[1].name", ["b"]),
        ('.spec.list[?(@.name=="b")].value', [2]),
        (".metadata.annotations['example.com/x']", ["y"]),
        (".metadata.annotations.example\\.com/x", ["y"]),
        (".spec.none", []),
        ("{.spec.size}", [1]),
    ],
)
def test_json_paths(path: str, found: list[Any]) -> None:
    value = {
        "metadata": {"annotations": {"example.com/x": "y"}},
        "spec": {"size": 1, "list": [{"name": "a", "value": 1}, {"name": "b", "value": 2}]},
    }
    assert matches(value, path) == found


def _deployment(image: str = "i", replicas: int = 1) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "c", "image": image}]}}
    return {"metadata": {"name": "d", "labels": {"a": "b"}}, "spec": {"replicas": replicas, "template": template}}


def test_an_applied_configuration_owns_its_leaves_and_list_items() -> None:
    assert to_fields_v1(applied_fields(_deployment(), DEPLOYMENT)) == {
        "f:metadata": {"f:labels": {"f:a": {}}},
        "f:spec": {
            "f:replicas": {},
            "f:template": {"f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}, "f:image": {}, "f:name": {}}}}},
        },
    }


def test_an_update_owns_what_it_changed() -> None:
    changed, removed = changed_fields(_deployment(), _deployment("j", 2), DEPLOYMENT)
    assert sorted(map(shown, changed)) == [".spec.replicas", '.spec.template.spec.containers[name="c"].image']
    assert not removed


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4), st.booleans())
def test_fields_survive_their_stored_form(names: list[str], whole: bool) -> None:
    path = tuple(f"f:{name}" for name in names)
    fields = frozenset({path, *({path[:1]} if whole else set())})
    assert from_fields_v1(to_fields_v1(fields)) == fields


@pytest.mark.parametrize(
    ("value", "error"),
    [
        pytest.param(
            {"spec": {"replicas": "3"}},
            "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
            id="string",
        ),
        pytest.param({"spec": {"replicas": 2**31}}, f"cannot unmarshal number {2**31} into Go struct field", id="too large"),
        pytest.param({"spec": []}, "array into Go struct field Deployment.spec of type v1.DeploymentSpec", id="array"),
        pytest.param({"metadata": {"labels": {"a": True}}}, "bool into Go struct field ObjectMeta.metadata.labels", id="map"),
        pytest.param({"spec": {"paused": None, "replicas": 1}}, "", id="null"),
        pytest.param({"spec": {"strategy": {"rollingUpdate": {"maxSurge": "25%"}}}}, "", id="percent"),
    ],
)
def test_type_errors_are_those_of_go(value: Any, error: str) -> None:
    found = type_error(value, DEPLOYMENT.raw)
    assert error in found
    assert bool(found) == bool(error)


def test_protobuf_bodies_are_decoded() -> None:
    """The bytes are those of `kubectl create configmap c --from-literal=a=b`."""
    meta = b"\n\x02v1\x12\tConfigMap"
    raw = b'\n\x0f\n\x01c\x12\x00\x1a\x00"\x00*\x002\x008\x00B\x00\x12\x06\n\x01a\x12\x01b'
    body = b"k8s\x00\n" + bytes([len(meta)]) + meta + b"\x12" + bytes([len(raw)]) + raw + b'\x1a\x00"\x00'
    decoded = decode_protobuf(body)
    assert (decoded["kind"], decoded["metadata"]["name"], decoded["data"]) == ("ConfigMap", "c", {"a": "b"})


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"k8s\x00\n\xff", b"k8s\x00\n\x05\n\x01\x31\x12\x00"], ids=["empty", "JSON", "cut", "unknown kind"]
)
def test_other_bodies_are_no_protobuf(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"proto|EOF|field numbers"):
        decode_protobuf(body)
