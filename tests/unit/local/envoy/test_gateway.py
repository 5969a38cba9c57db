"""The endpoints of a backend, and times in statuses."""

from datetime import UTC, datetime
from typing import Any

from flagger_py.kube.client import Client
from flagger_py.kube.cluster import Cluster
from flagger_py.local.apiserver import ApiServer
from flagger_py.local.envoy.endpoints import read_endpoints, ready_endpoints
from flagger_py.local.envoy.gateway import with_times
from flagger_py.local.envoy.model import Backend
from flagger_py.local.envoy.resources import Endpoint, cluster, load_assignment
from flagger_py.local.envoy.translation import Key
from flagger_py.local.resources import ENDPOINT_SLICE
from flagger_py.local.workloads.endpoints import SERVICE_LABEL

BACKEND = Backend("test", "web", 80)
SERVICES = {Key("test", "web"): {"spec": {"ports": [{"name": "http", "port": 80}, {"name": "admin", "port": 81}]}}}


def slice_of(ready: bool | None, *ports: tuple[str, int]) -> dict[str, Any]:
    conditions = {} if ready is None else {"ready": ready}
    return {
        "ports": [{"name": name, "port": port} for name, port in ports],
        "endpoints": [{"addresses": ["127.64.0.1"], "conditions": conditions}],
    }


def test_only_ready_addresses_of_the_ports_name_count() -> None:
    slices = {Key("test", "web"): [slice_of(True, ("http", 9898), ("admin", 9797)), slice_of(False, ("http", 9899))]}
    assert ready_endpoints(BACKEND, SERVICES, slices) == [Endpoint("127.64.0.1", 9898)]


def test_an_endpoint_that_says_nothing_is_ready() -> None:
    assert ready_endpoints(BACKEND, SERVICES, {Key("test", "web"): [slice_of(None, ("http", 1))]}) == [Endpoint("127.64.0.1", 1)]


def test_a_backend_without_service_or_slices_has_none() -> None:
    assert ready_endpoints(Backend("test", "gone", 80), SERVICES, {}) == []


async def test_endpoints_are_those_that_the_server_has_whatever_the_watch_has_brought() -> None:
    """A route that leads to new pods may come to the gateway before their EndpointSlice, although it was written after it."""
    api = ApiServer()
    async with api.running(), Cluster(Client(api.transport(), field_manager="test")) as cluster:
        metadata = {"name": "web-1", "namespace": "default", "labels": {SERVICE_LABEL: "web"}}
        manifest = {"metadata": metadata, "addressType": "IPv4", **slice_of(True, ("http", 9898))}
        await cluster.objects().create(ENDPOINT_SLICE, manifest)
        backend = Backend("default", "web", 80)
        services = {Key("default", "web"): SERVICES[Key("test", "web")]}
        assert not list(cluster.items(ENDPOINT_SLICE))
        assert await read_endpoints(cluster.objects(), services, [backend]) == {backend: [Endpoint("127.64.0.1", 9898)]}


def test_times_of_conditions_move_with_their_status_in_parents_and_listeners_too() -> None:
    def status(value: str) -> dict[str, Any]:
        condition = {"type": "Accepted", "status": value}
        return {"conditions": [condition], "parents": [{"parentRef": {"name": "gw"}, "controllerName": "c", "conditions": [condition]}]}

    first = with_times(status("True"), {}, datetime(2026, 1, 1, tzinfo=UTC))
    same = with_times(status("True"), first, datetime(2026, 1, 2, tzinfo=UTC))
    assert same == first
    changed = with_times(status("False"), first, datetime(2026, 1, 2, tzinfo=UTC))
    assert changed["parents"][0]["conditions"][0]["lastTransitionTime"] == "2026-01-02T00:00:00Z"


def test_a_cluster_is_named_in_metrics_as_contour_names_it() -> None:
    """metrics:OBS-CONTOUR-01"""
    rendered = cluster(Backend("test", "web-canary", 80))
    assert rendered["name"] == "test/web-canary/80"
    assert rendered["alt_stat_name"] == "test_web-canary_80"


def test_endpoints_are_sorted_so_that_equal_sets_have_equal_versions() -> None:
    a, b = Endpoint("127.64.0.1", 1), Endpoint("127.64.0.2", 1)
    assert load_assignment(BACKEND, [b, a]) == load_assignment(BACKEND, [a, b])
    assert load_assignment(BACKEND, [])["endpoints"] == []
