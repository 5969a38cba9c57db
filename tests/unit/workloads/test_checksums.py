"""Checksums of configs, equal to Flagger's."""

from typing import Any

import pytest

from flagger_py.workloads.checksums import agrees, checksum, data_checksum, is_tracked
from tests.unit.workloads.build import make_config


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"color": "red"}, "241889ca0604e333"),
        (None, "74234e98afe7498f"),
        ({}, "44136fa355b3678a"),
        ({"apiKey": "dGVzdA==", "e": ""}, "3f600e1a5f10c6be"),
    ],
)
def test_recorded_vectors(data: dict[str, str] | None, expected: str) -> None:
    """workloads:CFG-07"""
    assert checksum(make_config("a", data)) == expected


def test_key_order_does_not_count() -> None:
    """workloads:CFG-07"""
    assert checksum(make_config("a", {"b": "1", "a": "2"})) == checksum(make_config("a", {"a": "2", "b": "1"}))


def test_text_is_escaped_as_go_escapes_it() -> None:
    """workloads:CFG-07: `{"k":"\\u003ca\\u003e \\u0026 é\\u2028"}`"""
    assert checksum(make_config("a", {"k": "<a> & é\u2028"})) == "c01d4eb02ddb065d"


def test_binary_data_counts_where_there_is_any() -> None:
    """workloads:CFG-07"""
    one = make_config("a", {"k": "v"}, binaryData={"b": "AA=="})
    other = make_config("a", {"k": "v"}, binaryData={"b": "AQ=="})
    assert checksum(one) != checksum(other)
    assert data_checksum(one) == data_checksum(other) == checksum(make_config("a", {"k": "v"}, binaryData={}))


def test_a_checksum_of_flagger_agrees_with_content_that_it_does_not_look_at() -> None:
    """workloads:CFG-07"""
    config = make_config("a", {"k": "v"}, binaryData={"b": "AA=="})
    assert agrees(config, checksum(config))
    assert agrees(config, data_checksum(config))
    assert not agrees(config, None)
    assert not agrees(config, "0000000000000000")


@pytest.mark.parametrize(
    ("parts", "tracked"),
    [
        pytest.param({}, True, id="plain"),
        pytest.param({"annotations": {"flagger.app/config-tracking": "disabled"}}, False, id="CFG-05 disabled"),
        pytest.param({"annotations": {"flagger.app/config-tracking": "disable"}}, False, id="CFG-05 disable"),
        pytest.param({"annotations": {"flagger.app/config-tracking": "Disabled"}}, True, id="CFG-05 case counts"),
        pytest.param({"annotations": {"flagger.app/config-tracking": "enabled"}}, True, id="CFG-05 enabled"),
        pytest.param({"kind": "Secret"}, True, id="CFG-06 Opaque"),
        pytest.param({"kind": "Secret", "type": "kubernetes.io/tls"}, True, id="CFG-06 tls"),
        pytest.param({"kind": "Secret", "type": "kubernetes.io/ssh-auth"}, True, id="CFG-06 ssh"),
        pytest.param({"kind": "Secret", "type": "kubernetes.io/basic-auth"}, True, id="CFG-06 basic"),
        pytest.param({"kind": "Secret", "type": "kubernetes.io/service-account-token"}, False, id="CFG-06 token"),
        pytest.param({"kind": "Secret", "type": "helm.sh/release.v1"}, False, id="CFG-06 any other"),
    ],
)
def test_what_is_tracked(parts: dict[str, Any], tracked: bool) -> None:
    """workloads:CFG-05, CFG-06"""
    assert is_tracked(make_config("a", {}, **parts)) is tracked
