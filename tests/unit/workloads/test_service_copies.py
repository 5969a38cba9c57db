"""What is copied of a user's Service, and when two mean the same."""

from typing import Any

import pytest

from flagger_py.objects.resource import Manifest
from flagger_py.workloads.base import WorkloadError
from flagger_py.workloads.service_copies import mirrored, new_copy, promoted, require_own_copy, require_port, require_usable, revision_of
from tests.unit.workloads.build import NAMESPACE, make_canary, other_canary_owner, owned_by

CANARY = make_canary(targetRef={"apiVersion": "v1", "kind": "Service", "name": "web"})
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
OPERATOR = {"apiVersion": "example.com/v1", "kind": "Shop", "name": "web", "uid": "uid-operator", "controller": True}


def make_service(
    name: str = "web", *, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **spec: Any
) -> Manifest:
    """A Service of the user, as the API server has stored it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "labels": labels or {}, "annotations": annotations or {}},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.0.0.1",
            "clusterIPs": ["10.0.0.1"],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "None",
            "selector": {"app": "web", "version": "1"},
            "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}],
            **spec,
        },
    }


def with_spec(service: Manifest, **spec: Any) -> Manifest:
    return {**service, "spec": {key: value for key, value in {**service["spec"], **spec}.items() if value is not None}}


def test_what_the_server_gives_to_each_service_is_not_copied() -> None:
    """workloads:SVC-04, api:GAP-70: a cluster IP, node ports and a health check port belong to one Service."""
    ports = [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080, "nodePort": 30080}]
    source = make_service(
        type="LoadBalancer", healthCheckNodePort=31000, loadBalancerIP="192.0.2.1", externalIPs=["192.0.2.2"], ports=ports
    )
    source["metadata"]["finalizers"] = ["service.kubernetes.io/load-balancer-cleanup"]
    copy = new_copy(CANARY, source, "web-primary")
    assert copy["spec"] == {
        "type": "LoadBalancer",
        "selector": {"app": "web", "version": "1"},
        "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}],
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ipFamilyPolicy": "SingleStack",
    }
    assert copy["metadata"].keys() == {"name", "namespace", "labels", "annotations", "ownerReferences"}


def test_a_copy_has_the_labels_and_annotations_of_its_source_but_for_bookkeeping() -> None:
    """workloads:SVC-03, GEN-05."""
    annotations = {"team": "shop", LAST_APPLIED: "{}", "kustomize.toolkit.fluxcd.io/checksum": "1"}
    source = make_service(labels={"app": "web", "kustomize.toolkit.fluxcd.io/name": "apps"}, annotations=annotations)
    metadata = new_copy(CANARY, source, "web-canary")["metadata"]
    assert (metadata["labels"], metadata["annotations"]) == ({"app": "web"}, {"team": "shop"})
    assert metadata["ownerReferences"] == owned_by(CANARY)


def test_a_headless_service_has_headless_copies() -> None:
    """workloads:SVC-04: Flagger would ask for a cluster IP beside `clusterIPs: [None]`."""
    source = make_service(clusterIP="None", clusterIPs=["None"])
    assert new_copy(CANARY, source, "web-primary")["spec"]["clusterIP"] == "None"


def test_the_traffic_distribution_of_the_canary_is_given_to_the_copies_and_is_no_revision() -> None:
    """workloads:SVC-03, routers:K8S-19."""
    near = make_canary(targetRef={"apiVersion": "v1", "kind": "Service", "name": "web"}, service={"trafficDistribution": "PreferClose"})
    source = make_service()
    copy = new_copy(near, source, "web-primary")
    assert copy["spec"]["trafficDistribution"] == "PreferClose"
    assert revision_of(near, source) == revision_of(CANARY, source) == revision_of(near, copy)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"selector": {"app": "web", "version": "2"}}, id="selector"),
        pytest.param({"ports": [{"name": "http", "port": 80, "targetPort": 9090}]}, id="target port"),
        pytest.param({"ports": [{"name": "http", "port": 80, "targetPort": 8080, "appProtocol": "h2c"}]}, id="protocol of the app"),
        pytest.param({"sessionAffinity": "ClientIP"}, id="session affinity"),
        pytest.param({"type": "ExternalName", "externalName": "old.example.com", "selector": None}, id="external name"),
        pytest.param({"trafficDistribution": "PreferClose"}, id="traffic distribution"),
    ],
)
def test_a_changed_spec_is_a_revision(spec: dict[str, Any]) -> None:
    """workloads:SVC-06."""
    assert revision_of(CANARY, with_spec(make_service(), **spec)) != revision_of(CANARY, make_service())


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"]}, id="deleted and made again"),
        pytest.param({"sessionAffinity": None, "internalTrafficPolicy": None, "ipFamilyPolicy": None, "type": None}, id="defaults"),
        pytest.param({"ports": [{"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30000}]}, id="node port and protocol"),
        pytest.param({"publishNotReadyAddresses": False}, id="a default of a later version"),
    ],
)
def test_what_the_server_fills_in_is_no_revision(spec: dict[str, Any]) -> None:
    """workloads:SVC-06, CHG-02: neither a recreated Service nor an upgrade of Kubernetes starts a run."""
    assert revision_of(CANARY, with_spec(make_service(), **spec)) == revision_of(CANARY, make_service())


def test_labels_and_annotations_are_no_revision() -> None:
    """workloads:SVC-06: the `spec` is."""
    assert revision_of(CANARY, make_service(labels={"a": "b"}, annotations={"c": "d"})) == revision_of(CANARY, make_service())


def test_the_order_of_ports_means_nothing() -> None:
    one, other = {"name": "a", "port": 80}, {"name": "b", "port": 81}
    assert revision_of(CANARY, make_service(ports=[one, other])) == revision_of(CANARY, make_service(ports=[other, one]))


def stored_copy(name: str, **spec: Any) -> Manifest:
    """A copy as the API server has stored it."""
    copy = make_service(name, clusterIP="10.0.0.7", clusterIPs=["10.0.0.7"], **spec)
    copy["metadata"]["ownerReferences"] = owned_by(CANARY)
    return copy


class TestTheCanaryCopy:
    """It mirrors the user's Service (workloads:SVC-02)."""

    def test_one_that_is_in_step_is_not_written(self) -> None:
        """workloads:SVC-02: Flagger sends it each interval all the same."""
        live = stored_copy("web-canary")
        assert mirrored(CANARY, make_service(), live) == live

    def test_it_takes_over_what_has_changed_and_keeps_what_the_server_gave_to_it(self) -> None:
        wanted = mirrored(CANARY, make_service(selector={"app": "web", "version": "2"}), stored_copy("web-canary"))
        assert wanted["spec"] == stored_copy("web-canary", selector={"app": "web", "version": "2"})["spec"]

    def test_what_a_cloud_has_put_on_it_stays(self) -> None:
        live = stored_copy("web-canary")
        live["metadata"]["annotations"] = {"cloud.example.com/status": "ready"}
        wanted = mirrored(CANARY, make_service(annotations={"team": "shop"}), live)
        assert wanted["metadata"]["annotations"] == {"cloud.example.com/status": "ready", "team": "shop"}

    def test_it_keeps_its_node_ports(self) -> None:
        port = {"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}
        live = stored_copy("web-canary", type="NodePort", ports=[{**port, "nodePort": 30001}])
        source = make_service(type="NodePort", ports=[{**port, "nodePort": 30000}], selector={"app": "new"})
        assert mirrored(CANARY, source, live)["spec"]["ports"] == [{**port, "nodePort": 30001}]

    def test_without_node_ports_of_its_own_type_it_loses_them(self) -> None:
        port = {"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}
        live = stored_copy("web-canary", type="NodePort", ports=[{**port, "nodePort": 30001}])
        assert mirrored(CANARY, make_service(ports=[port]), live)["spec"]["ports"] == [port]

    def test_a_headless_source_and_a_copy_that_is_not_are_refused_with_what_to_do(self) -> None:
        with pytest.raises(WorkloadError, match=r"Service shop/web-canary: spec\.clusterIP: is not None, unlike .* another name"):
            mirrored(CANARY, make_service(clusterIP="None"), stored_copy("web-canary"))


class TestThePrimaryCopy:
    """It is given what was analysed (workloads:SVC-05)."""

    def test_it_gets_the_spec_and_keeps_its_address(self) -> None:
        wanted = promoted(CANARY, make_service(selector={"app": "new"}), stored_copy("web-primary"), ())
        assert (wanted["spec"]["selector"], wanted["spec"]["clusterIP"]) == ({"app": "new"}, "10.0.0.7")
        assert wanted["metadata"]["name"] == "web-primary"

    def test_its_labels_and_annotations_are_those_that_are_to_be_included(self) -> None:
        """workloads:SVC-05, GEN-06."""
        source = make_service(selector={"app": "new"}, labels={"app": "web", "team": "shop"}, annotations={"team.example.com": "shop"})
        metadata = promoted(CANARY, source, stored_copy("web-primary"), ("team",))["metadata"]
        assert (metadata["labels"], metadata["annotations"]) == ({"team": "shop"}, {"team.example.com": "shop"})

    def test_it_stays_the_canarys(self) -> None:
        """workloads:SVC-05: Flagger gives it the owners of its source instead."""
        source = make_service()
        source["metadata"]["ownerReferences"] = [OPERATOR]
        wanted = promoted(CANARY, source, stored_copy("web-primary"), ())
        assert wanted["metadata"]["ownerReferences"] == owned_by(CANARY)

    def test_one_that_flagger_has_disowned_is_the_canarys_again(self) -> None:
        """workloads:SVC-05: after a promotion by Flagger it has the owners of its source, or none."""
        source, live = make_service(), stored_copy("web-primary")
        source["metadata"]["ownerReferences"] = live["metadata"]["ownerReferences"] = [OPERATOR]
        require_own_copy(CANARY, source, live)
        assert promoted(CANARY, source, live, ())["metadata"]["ownerReferences"] == owned_by(CANARY)


@pytest.mark.parametrize("owner", [OPERATOR, other_canary_owner()], ids=["an operator's", "another Canary's"])
def test_a_copy_that_somebody_else_controls_is_refused(owner: dict[str, Any]) -> None:
    """workloads:GEN-04, GEN-15."""
    live = stored_copy("web-canary")
    live["metadata"]["ownerReferences"] = [owner]
    with pytest.raises(WorkloadError, match=rf"Service shop/web-canary: .* is controlled by {owner['kind']} {owner['name']}, not by"):
        require_own_copy(CANARY, make_service(), live)


def test_a_service_that_a_canary_has_made_is_no_target() -> None:
    made = make_service()
    made["metadata"]["ownerReferences"] = [other_canary_owner()]
    with pytest.raises(WorkloadError, match="Service shop/web: was made by Canary other, and cannot be the target of Canary shop/web"):
        require_usable(CANARY, made)


def test_routes_need_a_port_that_the_service_has() -> None:
    require_port(CANARY, make_service())
    require_port(CANARY, with_spec(make_service(), ports=None))
    with pytest.raises(WorkloadError, match=r"spec\.service\.port: 80 is no port of Service shop/web, which has 8080, 9090"):
        require_port(CANARY, make_service(ports=[{"name": "a", "port": 8080}, {"name": "b", "port": 9090}]))
