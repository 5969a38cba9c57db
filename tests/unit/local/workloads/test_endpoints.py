"""EndpointSlices and Endpoints of a Service."""

from typing import Any

from flagger_py.local.node.agent import PORTS_ANNOTATION
from flagger_py.local.workloads.endpoints import endpoint_slices, endpoints, selected
from flagger_py.objects.resource import Manifest


def service(**spec: Any) -> Manifest:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {"metadata": {"name": "web", "namespace": "test", "uid": "s"}, "spec": {"selector": {"app": "web"}, "ports": ports, **spec}}


def pod(name: str, ip: str, *, ready: bool = True, labels: dict[str, str] | None = None, **metadata: Any) -> Manifest:
    return {
        "metadata": {"name": name, "namespace": "test", "uid": name, "labels": labels or {"app": "web"}, **metadata},
        "spec": {"nodeName": "n", "containers": [{"name": "web", "ports": [{"name": "http", "containerPort": 9898}]}]},
        "status": {"podIP": ip, "phase": "Running", "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def test_pods_are_selected_by_label_and_address() -> None:
    pods = [pod("b", "127.0.1.2"), pod("a", "127.0.1.1"), pod("c", "127.0.1.3", labels={"app": "x"}), pod("d", "")]
    assert [entry["metadata"]["name"] for entry in selected(service(), pods)] == ["a", "b"]
    assert selected(service(selector={}), pods) == []


def test_only_ready_pods_that_stay_are_ready_endpoints() -> None:
    pods = [pod("a", "127.0.1.1"), pod("b", "127.0.1.2", ready=False), pod("c", "127.0.1.3", deletionTimestamp="now")]
    (entry,) = endpoint_slices(service(), pods)
    assert [(found["addresses"], found["conditions"]) for found in entry["endpoints"]] == [
        (["127.0.1.1"], {"ready": True, "serving": True, "terminating": False}),
        (["127.0.1.2"], {"ready": False, "serving": False, "terminating": False}),
        (["127.0.1.3"], {"ready": False, "serving": True, "terminating": True}),
    ]
    assert entry["ports"] == [{"name": "http", "protocol": "TCP", "port": 9898}]
    assert entry["metadata"]["labels"]["kubernetes.io/service-name"] == "web"


def test_a_service_without_pods_has_an_empty_slice() -> None:
    (entry,) = endpoint_slices(service(), [])
    assert (entry["metadata"]["name"], entry["endpoints"]) == ("web", [])


def test_pods_that_share_an_address_have_slices_of_their_own() -> None:
    """Where no loopback address can be bound, each pod has ports of its own on 127.0.0.1."""
    pods = [pod(name, "127.0.0.1", annotations={PORTS_ANNOTATION: f"9898={port}"}) for name, port in (("a", 4001), ("b", 4002))]
    slices = endpoint_slices(service(), pods)
    assert [(entry["metadata"]["name"], entry["ports"][0]["port"]) for entry in slices] == [("web", 4001), ("web-1", 4002)]


def test_endpoints_list_what_is_ready_and_what_is_not_yet() -> None:
    pods = [pod("a", "127.0.1.1"), pod("b", "127.0.1.2", ready=False), pod("c", "127.0.1.3", deletionTimestamp="now")]
    found = endpoints(service(), endpoint_slices(service(), pods))
    (subset,) = found["subsets"]
    assert [entry["ip"] for entry in subset["addresses"]] == ["127.0.1.1"]
    assert [entry["ip"] for entry in subset["notReadyAddresses"]] == ["127.0.1.2"]
    assert endpoints(service(), endpoint_slices(service(), []))["subsets"] == []
