"""Addresses of pods."""

import pytest

from flagger_py.local.node import network
from flagger_py.local.node.network import PodNetwork


def test_each_pod_has_an_address_of_its_own() -> None:
    pods = PodNetwork()
    first, second = pods.bind([9898, 9797]), pods.bind([9898])
    try:
        assert first.address.ip != second.address.ip
        assert first.address.port(9898) == 9898
        assert sorted(first.sockets) == [9797, 9898]
    finally:
        first.close()
        second.close()


def test_an_address_whose_port_is_taken_is_passed_over() -> None:
    taken = PodNetwork().bind([9898])
    others = PodNetwork()
    found = others.bind([9898])
    try:
        assert found.address.ip != taken.address.ip
    finally:
        taken.close()
        found.close()


def test_where_there_is_one_loopback_address_each_pod_has_ports_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, which knows 127.0.0.1 only."""
    monkeypatch.setattr(network, "_can_bind", lambda ip: False)
    pods = PodNetwork()
    first, second = pods.bind([9898]), pods.bind([9898])
    try:
        assert (first.address.ip, second.address.ip) == ("127.0.0.1", "127.0.0.1")
        assert first.address.port(9898) != second.address.port(9898)
    finally:
        first.close()
        second.close()


def test_a_container_that_restarts_keeps_its_ports() -> None:
    pods = PodNetwork()
    bound = pods.bind([9898])
    bound.close()
    again = pods.rebind(bound.address, [9898])
    assert again.address == bound.address
    again.close()
