"""The three Kubernetes Services: as created, as adopted, as repaired, as given back."""

import json
from copy import deepcopy
from typing import Any

import pytest
from structlog.testing import capture_logs

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import Manifest
from flagger_py.rollout.views import Back, ServicesView
from flagger_py.workloads.base import Selector, WorkloadError
from flagger_py.workloads.metadata import FLUX_GUARDS
from flagger_py.workloads.services import Role, Services, desired_service, restored_apex, service_name, service_ports
from flagger_py.workloads.template import ContainerPort
from tests.unit.workloads.build import NAMESPACE, make_canary, other_canary_owner, owned_by
from tests.unit.workloads.memory import MemoryObjects

SELECTOR = Selector("app", "podinfo")


def new(role: Role = Role.APEX, *ports: ContainerPort, canary: Canary | None = None, **service: Any) -> Manifest:
    return desired_service(role, canary or make_canary(service=service), SELECTOR, ports, None)


def live_service(role: Role = Role.APEX, **service: Any) -> Manifest:
    """One that we created, as the server fills it in."""
    live = new(role, **service)
    live["metadata"] |= {"uid": "uid-live", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"}
    live["spec"] |= {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}
    return live


def repaired(live: Manifest, role: Role = Role.APEX, **service: Any) -> Manifest:
    before = deepcopy(live)
    wanted = desired_service(role, make_canary(service=service), SELECTOR, (), live)
    assert live == before, "what was read is never changed in place"
    return wanted


class TestNewService:
    @pytest.mark.parametrize(
        ("role", "name", "value"),
        [(Role.APEX, "web", "podinfo-primary"), (Role.PRIMARY, "web-primary", "podinfo-primary"), (Role.CANARY, "web-canary", "podinfo")],
    )
    def test_names_and_selectors(self, role: Role, name: str, value: str) -> None:
        """routers:K8S-01, K8S-03, MD-01"""
        service = new(role)
        assert service["metadata"]["name"] == name
        assert service["metadata"]["labels"] == {"app": name}
        assert service["metadata"]["annotations"] == FLUX_GUARDS
        assert service["metadata"]["ownerReferences"] == owned_by(make_canary())
        assert service["spec"] == {
            "type": "ClusterIP",
            "selector": {"app": value},
            "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 80}],
        }

    @pytest.mark.parametrize("role", Role)
    def test_each_has_its_own_metadata(self, role: Role) -> None:
        """routers:K8S-03"""
        custom: dict[str, Any] = {
            part.value: {"labels": {"part": part.value, "app": "ignored"}, "annotations": {"note": part.value}} for part in Role
        }
        service = new(role, canary=make_canary(service=custom))
        assert service["metadata"]["labels"] == {"part": role.value, "app": service["metadata"]["name"]}
        assert service["metadata"]["annotations"] == {"note": role.value, **FLUX_GUARDS}

    @pytest.mark.parametrize("role", Role)
    def test_headless_and_traffic_distribution(self, role: Role) -> None:
        """routers:K8S-05"""
        spec = new(role, headless=True, trafficDistribution="PreferClose", appProtocol="grpc", portName="grpc")["spec"]
        assert (spec["clusterIP"], spec["trafficDistribution"]) == ("None", "PreferClose")
        assert spec["ports"] == [{"name": "grpc", "protocol": "TCP", "port": 80, "targetPort": 80, "appProtocol": "grpc"}]

    @pytest.mark.parametrize(("given", "expected"), [(None, 80), (0, 80), (9898, 9898), ("http-web", "http-web")])
    def test_target_port(self, given: int | str | None, expected: int | str) -> None:
        """routers:K8S-04"""
        assert new(targetPort=given)["spec"]["ports"][0]["targetPort"] == expected

    def test_service_name_wins_over_the_target_name(self) -> None:
        """routers:K8S-03, workloads:GEN-01"""
        assert service_name(Role.PRIMARY, make_canary(service={"name": "front"})) == "front-primary"

    def test_a_name_without_room_is_refused(self) -> None:
        """api:GAP-41"""
        with pytest.raises(WorkloadError, match="has 56 characters; at most 55"):
            new(name="a" * 56)

    def test_a_canary_without_service_is_refused(self) -> None:
        """api:GAP-39"""
        canary = make_canary()
        canary = canary.with_changes(spec=canary.spec.model_copy(update={"service": None}))
        with pytest.raises(WorkloadError, match=r"Canary shop/web: spec\.service is missing"):
            new(canary=canary)


def port(number: int, name: str = "", *, container: str = "web", index: int = 0, protocol: str = "TCP") -> ContainerPort:
    return ContainerPort(container, index, name, number, protocol)


@pytest.mark.parametrize(
    ("service", "found", "expected"),
    [
        pytest.param({}, [port(9999, "grpc")], [("http", 80), ("grpc", 9999)], id="a named port"),
        pytest.param({}, [port(9999, index=3)], [("http", 80), ("tcp-web-3", 9999)], id="a port without name"),
        pytest.param({}, [port(80)], [("http", 80)], id="the main port"),
        pytest.param({"targetPort": 8080}, [port(8080), port(81)], [("http", 80), ("tcp-web-0", 81)], id="the main port by number"),
        pytest.param({"targetPort": "web"}, [port(8080, "web"), port(81, "x")], [("http", 80), ("x", 81)], id="the main port by name"),
        pytest.param({"targetPort": 9898}, [port(9898), port(80, "x")], [("http", 80)], id="K8S-06 the service's number is taken"),
        pytest.param({}, [port(81, "x"), port(81, "y", container="b")], [("http", 80), ("y", 81)], id="one number in two containers"),
        pytest.param({}, [port(81, "x"), port(82, "x", container="b")], [("http", 80), ("x", 81), ("tcp-b-0", 82)], id="one name twice"),
        pytest.param({}, [port(81, "http")], [("http", 80), ("tcp-web-0", 81)], id="the main port's name"),
        pytest.param({}, [port(99, "b"), port(90, "a"), port(95, "c")], [("http", 80), ("a", 90), ("c", 95), ("b", 99)], id="by number"),
        pytest.param({"portDiscovery": False}, [port(99, "b")], [("http", 80)], id="not asked for"),
    ],
)
def test_port_discovery(service: dict[str, Any], found: list[ContainerPort], expected: list[tuple[str, int]]) -> None:
    """routers:K8S-06, workloads:SEL-05"""
    canary = make_canary(service={"portDiscovery": True, **service})
    assert canary.spec.service is not None
    for order in (found, found[::-1]):
        ports = service_ports(canary.spec.service, order)
        assert [(entry["name"], entry["port"]) for entry in ports] == expected


def test_a_udp_port_beside_a_tcp_port_of_the_same_number() -> None:
    """routers:K8S-06"""
    canary = make_canary(service={"port": 443, "portDiscovery": True})
    assert canary.spec.service is not None
    ports = service_ports(canary.spec.service, [port(443, "h3", index=1, protocol="UDP"), port(8443, "alt")])
    assert [(entry["name"], entry["port"], entry["protocol"]) for entry in ports] == [("http", 443, "TCP"), ("alt", 8443, "TCP")]
    ports = service_ports(canary.spec.service.model_copy(update={"target_port": "https"}), [port(443, "h3", protocol="UDP")])
    assert [(entry["name"], entry["port"], entry["protocol"]) for entry in ports] == [("http", 443, "TCP"), ("h3", 443, "UDP")]


class TestRepair:
    @pytest.mark.parametrize("role", Role)
    def test_what_the_server_filled_in_is_no_difference(self, role: Role) -> None:
        live = live_service(role)
        assert repaired(live, role) == live

    @pytest.mark.parametrize(
        "defaulted",
        [
            pytest.param({"name": "http", "port": 80}, id="the server's defaults"),
            pytest.param({"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": 30080}, id="a node port"),
        ],
    )
    def test_ports_are_compared_by_meaning(self, defaulted: dict[str, Any]) -> None:
        """routers:K8S-08, K8S-09"""
        live = live_service()
        live["spec"]["ports"] = [defaulted]
        assert repaired(live) == live

    def test_ports_that_are_not_wanted_are_removed(self) -> None:
        """routers:K8S-08"""
        live = live_service()
        live["spec"]["ports"].append({"name": "extra", "port": 81, "targetPort": 81})
        assert [entry["name"] for entry in repaired(live)["spec"]["ports"]] == ["http"]

    def test_a_user_edit_is_reverted(self) -> None:
        """routers:K8S-13, K8S-16"""
        live = live_service()
        live["spec"]["selector"] = {"app": "podinfo", "x": "y"}
        live["metadata"]["labels"] |= {"foreign": "1"}
        live["metadata"]["annotations"] = {"foreign": "1"}
        wanted = repaired(live)
        assert wanted["spec"]["selector"] == {"app": "podinfo-primary"}
        assert wanted["metadata"]["labels"] == {"app": "web"}
        assert wanted["metadata"]["annotations"] == FLUX_GUARDS

    def test_settings_of_the_server_and_of_load_balancers_stay(self) -> None:
        """routers:K8S-10, K8S-11"""
        live = live_service()
        live["spec"] |= {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "sessionAffinity": "ClientIP", "selector": {}}
        wanted = repaired(live, headless=True, trafficDistribution="PreferClose")
        assert {key: value for key, value in wanted["spec"].items() if key != "selector"} == {
            key: value for key, value in live["spec"].items() if key != "selector"
        }

    @pytest.mark.parametrize("live_name", ["http", None])
    def test_an_adopted_load_balancer_keeps_its_node_port(self, live_name: str | None) -> None:
        """routers:K8S-09; by number where its only port has no name."""
        live = live_service()
        live["spec"]["ports"] = [{"port": 80, "targetPort": 9999, "nodePort": 30080, **({"name": live_name} if live_name else {})}]
        assert repaired(live)["spec"]["ports"][0] == {"name": "http", "protocol": "TCP", "port": 80, "targetPort": 80, "nodePort": 30080}

    def test_unmanaged_metadata_is_others_business(self) -> None:
        """routers:K8S-15"""
        live = live_service()
        live["metadata"]["annotations"] |= {"neg-status": "live", "other": "1"}
        live["metadata"]["labels"] |= {"scanned": "yes"}
        service: dict[str, Any] = {
            "unmanagedMetadata": {"annotations": ["neg-status", "absent"], "labels": ["scanned"]},
            "apex": {"annotations": {"neg-status": "ours", "absent": "ours"}},
        }
        wanted = repaired(live, **service)
        assert wanted["metadata"]["annotations"] == {**FLUX_GUARDS, "neg-status": "live"}
        assert wanted["metadata"]["labels"] == {"app": "web", "scanned": "yes"}

    def test_the_canary_itself_is_not_touched(self) -> None:
        """routers:K8S-20, K8S-21"""
        canary = make_canary(service={"apex": {"labels": {"a": "1"}}, "unmanagedMetadata": {"labels": ["b"]}})
        before = canary.to_manifest()
        live = live_service()
        live["metadata"]["labels"] |= {"b": "2"}
        desired_service(Role.APEX, canary, SELECTOR, (), live)
        assert canary.to_manifest() == before

    def test_an_adopted_service_keeps_its_metadata(self) -> None:
        """routers:K8S-14"""
        live = live_service()
        live["metadata"] |= {"ownerReferences": [], "labels": {"mine": "1"}, "annotations": {"mine": "1"}}
        assert repaired(live, apex={"labels": {"a": "1"}}) == live
        live["spec"]["selector"] = {"app": "podinfo"}
        wanted = repaired(live, apex={"labels": {"a": "1"}})
        assert wanted["metadata"]["labels"] == {"mine": "1"}
        assert wanted["metadata"]["annotations"] == {"mine": "1", **FLUX_GUARDS}
        assert wanted["spec"]["selector"] == {"app": "podinfo-primary"}

    def test_the_service_of_another_canary_is_refused(self) -> None:
        """routers:K8S-12"""
        live = live_service()
        live["metadata"]["ownerReferences"] = [other_canary_owner()]
        with pytest.raises(WorkloadError, match="Service shop/web belongs to Canary other"):
            repaired(live)

    def test_the_service_of_another_controller_is_not_changed(self) -> None:
        """It would undo the change, again and again; one that fits already, Flagger's doing say, is fine."""
        live = live_service()
        live["metadata"]["ownerReferences"] = [
            {"apiVersion": "example.com/v1", "kind": "Website", "name": "shop", "uid": "1", "controller": True}
        ]
        assert repaired(live) == live
        live["spec"]["selector"] = {"app": "podinfo"}
        with pytest.raises(
            WorkloadError, match=r"Service shop/web: metadata\.ownerReferences: is controlled by Website shop, which would undo"
        ):
            repaired(live)


class TestRestoredApex:
    def adopted(self, **annotations: str) -> Manifest:
        live = live_service()
        live["metadata"] |= {"ownerReferences": [], "annotations": annotations}
        return live

    def test_nothing_happens_to_one_that_a_canary_owns(self) -> None:
        """routers:K8S-17"""
        live = live_service()
        live["metadata"]["ownerReferences"] = [other_canary_owner()]
        assert restored_apex(make_canary(), SELECTOR, (), live) == live

    @pytest.mark.parametrize(("spec", "expected"), [({"selector": {"x": "y"}, "ports": []}, {"x": "y"}), ({}, None)])
    def test_the_recorded_selector_comes_back_and_nothing_else(self, spec: Manifest, expected: Manifest | None) -> None:
        """routers:K8S-17"""
        live = self.adopted(**{"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"spec": spec})})
        restored = restored_apex(make_canary(), SELECTOR, (), live)
        assert restored["spec"].get("selector") == expected
        assert {key: value for key, value in restored["spec"].items() if key != "selector"} == {
            key: value for key, value in live["spec"].items() if key != "selector"
        }

    @pytest.mark.parametrize("recorded", ["{", '{"spec": {"selector": 1}}'])
    def test_a_broken_record_is_an_error(self, recorded: str) -> None:
        """routers:K8S-17"""
        with pytest.raises(WorkloadError, match=r"Service shop/web: annotation kubectl\.kubernetes\.io/last-applied-configuration"):
            restored_apex(make_canary(), SELECTOR, (), self.adopted(**{"kubectl.kubernetes.io/last-applied-configuration": recorded}))

    def test_without_a_record_it_selects_the_target(self) -> None:
        """routers:K8S-17"""
        assert restored_apex(make_canary(), SELECTOR, (), self.adopted())["spec"]["selector"] == {"app": "podinfo"}

    def test_one_that_leads_elsewhere_is_left_alone(self) -> None:
        """routers:K8S-17: not adopted yet, or given back already."""
        live = self.adopted()
        live["spec"]["selector"] = {"app": "podinfo", "tier": "web"}
        assert restored_apex(make_canary(), SELECTOR, (), live) == live

    def test_the_guards_against_flux_go_unless_a_user_has_set_them(self) -> None:
        """routers:MD-01"""
        assert "annotations" not in restored_apex(make_canary(), SELECTOR, (), self.adopted(**FLUX_GUARDS))["metadata"]
        recorded = json.dumps({"metadata": {"annotations": FLUX_GUARDS}, "spec": {"selector": {"app": "podinfo"}}})
        live = self.adopted(**FLUX_GUARDS, **{"kubectl.kubernetes.io/last-applied-configuration": recorded})
        assert restored_apex(make_canary(), SELECTOR, (), live)["metadata"]["annotations"].keys() >= FLUX_GUARDS.keys()

    def test_without_a_target_it_stays(self) -> None:
        live = self.adopted()
        assert restored_apex(make_canary(), None, (), live) == live


class TestServices:
    async def test_created_once(self) -> None:
        """routers:K8S-07"""
        objects = MemoryObjects()
        services = Services(objects)
        canary = make_canary()
        assert await services.view(canary, SELECTOR, ()) == ServicesView(canary=False, primary=False, apex=False)
        for _ in range(2):
            for role in Role:
                await services.ensure(role, canary, SELECTOR, ())
        assert objects.names("Service") == ["web", "web-canary", "web-primary"]
        assert len(objects.writes) == 3
        assert await services.view(canary, SELECTOR, ()) == ServicesView(canary=True, primary=True, apex=True)

    async def test_the_view_costs_no_live_read(self) -> None:
        objects = MemoryObjects()
        await Services(objects).view(make_canary(), SELECTOR, ())
        assert objects.reads == []

    async def test_one_created_by_somebody_else_meanwhile_is_adopted(self) -> None:
        """routers:K8S-07, K8S-14"""
        objects = MemoryObjects()
        theirs = {
            "kind": "Service",
            "metadata": {"name": "web", "namespace": NAMESPACE},
            "spec": {"selector": {"app": "podinfo"}, "ports": []},
        }
        objects.before("create", "Service", lambda: objects.put(theirs))
        await Services(objects).ensure(Role.APEX, make_canary(), SELECTOR, ())
        stored = objects.manifest("Service", NAMESPACE, "web")
        assert stored["spec"]["selector"] == {"app": "podinfo-primary"}
        assert "ownerReferences" not in stored["metadata"]

    async def test_an_edit_between_read_and_write_is_not_lost(self) -> None:
        objects = MemoryObjects([live_service(unmanagedMetadata={"labels": ["late"]})])
        objects.edit("Service", NAMESPACE, "web", lambda service: service["spec"].update(selector={"app": "podinfo"}))
        objects.before(
            "patch",
            "Service",
            lambda: objects.edit("Service", NAMESPACE, "web", lambda service: service["metadata"]["labels"].update(late="1")),
        )
        await Services(objects).ensure(Role.APEX, make_canary(service={"unmanagedMetadata": {"labels": ["late"]}}), SELECTOR, ())
        stored = objects.manifest("Service", NAMESPACE, "web")
        assert stored["metadata"]["labels"] == {"app": "web", "late": "1"}
        assert stored["spec"]["selector"] == {"app": "podinfo-primary"}

    async def test_a_change_that_a_webhook_undoes_is_made_once_and_reported(self) -> None:
        """design §3: the same write is never repeated where the reply still differs from it."""
        objects = MemoryObjects([live_service()])
        objects.mutate_reply = lambda service: service["metadata"]["annotations"].update(neg="1")
        objects.edit("Service", NAMESPACE, "web", lambda service: service["metadata"]["annotations"].update(neg="1"))
        services = Services(objects)
        with capture_logs() as logs:
            await services.ensure(Role.APEX, make_canary(), SELECTOR, ())
            await services.ensure(Role.APEX, make_canary(), SELECTOR, ())
        assert objects.writes == ["patch Service web"]
        assert [entry["event"] for entry in logs] == ["service_repaired", "service_change_not_kept_by_server"]
        assert (await services.view(make_canary(), SELECTOR, ())).apex
        objects.edit("Service", NAMESPACE, "web", lambda service: service["spec"].update(selector={}))
        assert not (await services.view(make_canary(), SELECTOR, ())).apex

    async def test_restoring_a_missing_apex_is_no_error(self) -> None:
        """routers:K8S-17"""
        objects = MemoryObjects()
        await Services(objects).restore_apex(make_canary(), SELECTOR, ())
        assert objects.writes == []
        assert await Services(objects).apex_restoration(make_canary(), SELECTOR, ()) == Back()
