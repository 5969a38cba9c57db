"""What Envoy counts, and Istio's names for it."""

import pytest

from flagger_py.local.envoy.stats import Answered, EnvoyFlags, Workload, as_istio, workloads_by_cluster
from flagger_py.objects.resource import Manifest

STATS = """\
gateway.requests.response_code.200.response_flags.-: 2701
gateway.requests.response_code.503.response_flags.UF,URX: 2
gateway.requests.response_code.503.response_flags.UH: 3
gateway.requests.response_code.0.response_flags.DC: 4
http.ingress_http.downstream_rq_2xx: 2701
"""
WORKLOADS = {"test_web-canary_80": Workload("test", "web", "web-canary")}


def test_requests_are_counted_by_code_and_flags() -> None:
    flags = EnvoyFlags.parse(STATS)
    assert flags.counts[Answered(503, "UF,URX")] == 2
    assert flags.requests == 2710


def test_failures_of_the_gateway_are_told_from_clients_that_left() -> None:
    assert EnvoyFlags.parse(STATS).failures() == {"UF": 2, "UH": 3, "URX": 2}
    assert EnvoyFlags.parse("").failures() == {}


def test_the_workload_is_the_deployment_behind_the_service() -> None:
    service: Manifest = {
        "metadata": {"name": "web-canary", "namespace": "test"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }
    owner = {"kind": "ReplicaSet", "name": "web-5d4f8c9b7d", "uid": "r", "controller": True}
    labels = {"app": "web", "pod-template-hash": "5d4f8c9b7d"}
    pod: Manifest = {
        "metadata": {"name": "web-5d4f8c9b7d-abcde", "namespace": "test", "labels": labels, "ownerReferences": [owner]},
        "spec": {},
        "status": {"podIP": "127.64.0.1"},
    }
    assert workloads_by_cluster([service], [pod]) == WORKLOADS
    assert workloads_by_cluster([service], []) == {}


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        (
            "envoy_cluster_upstream_rq",
            {"envoy_response_code": "200"},
            {"__name__": "istio_requests_total", "response_code": "200"},
        ),
        (
            "envoy_cluster_upstream_rq_time_bucket",
            {"le": "25"},
            {"__name__": "istio_request_duration_milliseconds_bucket", "le": "25"},
        ),
        ("envoy_cluster_upstream_rq_time_sum", {}, {"__name__": "istio_request_duration_milliseconds_sum"}),
    ],
)
def test_series_have_istios_names(name: str, labels: dict[str, str], expected: dict[str, str]) -> None:
    """metrics:OBS-ISTIO-01"""
    common = {
        "reporter": "destination",
        "destination_workload": "web",
        "destination_workload_namespace": "test",
        "destination_service_name": "web-canary",
        "destination_service_namespace": "test",
    }
    assert as_istio({"__name__": name, "envoy_cluster_name": "test_web-canary_80", **labels}, WORKLOADS) == {**common, **expected}


@pytest.mark.parametrize(
    ("name", "cluster"),
    [
        pytest.param("envoy_cluster_upstream_rq", "test_other_80", id="no workload"),
        pytest.param("envoy_cluster_upstream_rq_xx", "test_web-canary_80", id="no such series in Istio"),
        pytest.param("envoy_cluster_upstream_rq_timeout", "test_web-canary_80", id="a longer name"),
    ],
)
def test_what_istio_does_not_have_is_left_out(name: str, cluster: str) -> None:
    assert as_istio({"__name__": name, "envoy_cluster_name": cluster}, WORKLOADS) is None
