"""Defaults and rules of the built-in kinds that the controller meets."""

from typing import Any

import pytest

from tests.contract.servers import MERGE, Server
from tests.contract.workloads import config_map, deployment, service


async def test_a_deployment_is_completed(server: Server) -> None:
    created = await server.created(server.path("deployments", group="apps"), deployment(replicas=None))
    spec = created["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    pod = spec["template"]["spec"]
    assert pod["containers"] == [
        {
            "name": "web",
            "image": "web:1",
            "imagePullPolicy": "IfNotPresent",
            "ports": [{"containerPort": 80, "protocol": "TCP"}],
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
        }
    ]
    assert {name: value for name, value in pod.items() if name != "containers"} == {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    }
    assert (created["status"], created["metadata"]["generation"]) == ({}, 1)


async def test_empty_fields_vanish_and_quantities_are_canonical(server: Server) -> None:
    container = {
        "env": [{"name": "A", "value": ""}],
        "args": [],
        "stdin": False,
        "resources": {"requests": {"cpu": "0.5", "memory": "1024Ki"}, "limits": {"cpu": "1000m"}},
        "readinessProbe": {"httpGet": {"port": 80}, "initialDelaySeconds": 0},
    }
    created = await server.created(server.path("deployments", group="apps"), deployment(container=container, paused=False))
    found = created["spec"]["template"]["spec"]["containers"][0]
    assert found["env"] == [{"name": "A"}]
    assert not {"args", "stdin"} & set(found)
    assert found["resources"] == {"requests": {"cpu": "500m", "memory": "1Mi"}, "limits": {"cpu": "1"}}
    assert found["readinessProbe"] == {
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert "paused" not in created["spec"]


@pytest.mark.parametrize(
    ("body", "code", "causes"),
    [
        pytest.param(deployment(labels={"app": "other"}), 422, ["spec.template.metadata.labels"], id="selector"),
        pytest.param(deployment(selector={}), 422, ["spec.selector"], id="empty selector"),
        pytest.param(deployment(replicas=-1), 422, ["spec.replicas"], id="replicas"),
        pytest.param(deployment(strategy={"type": "Foo"}), 422, ["spec.strategy"], id="strategy"),
        pytest.param(deployment(strategy={"type": "Recreate", "rollingUpdate": {}}), 422, ["spec.strategy.rollingUpdate"], id="recreate"),
        pytest.param(
            deployment(strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
            422,
            ["spec.strategy.rollingUpdate.maxUnavailable"],
            id="nothing may move",
        ),
        pytest.param(deployment(progressDeadlineSeconds=0), 422, ["spec.progressDeadlineSeconds"], id="deadline"),
        pytest.param(deployment(container={"name": ""}), 422, ["spec.template.spec.containers[0].name"], id="container name"),
        pytest.param(deployment(container={"image": ""}), 422, ["spec.template.spec.containers[0].image"], id="image"),
        pytest.param(
            deployment(container={"volumeMounts": [{"name": "v", "mountPath": "/x"}]}),
            422,
            ["spec.template.spec.containers[0].volumeMounts[0].name"],
            id="volume",
        ),
        pytest.param(deployment(container={"readinessProbe": {}}), 422, ["spec.template.spec.containers[0].readinessProbe"], id="probe"),
        pytest.param(
            {"metadata": {"name": "x"}, "spec": {}},
            422,
            ["spec.selector", "spec.template.metadata.labels", "spec.template.spec.containers"],
            id="empty",
        ),
        pytest.param(deployment(replicas="3"), 400, [], id="type"),
        pytest.param(deployment(container={"resources": {"limits": {"cpu": "x"}}}), 400, [], id="quantity"),
    ],
)
async def test_a_bad_deployment_is_refused(server: Server, body: Any, code: int, causes: list[str]) -> None:
    answer = await server.create(server.path("deployments", group="apps"), body)
    assert answer.code == code
    if code == 422:
        assert [field for field, _ in answer.causes] == causes


async def test_a_selector_is_immutable(server: Server) -> None:
    await server.created(server.path("deployments", group="apps"), deployment())
    change = {"spec": {"selector": {"matchLabels": {"app": "z"}}, "template": {"metadata": {"labels": {"app": "z"}}}}}
    answer = await server.merge(server.path("deployments", "web", group="apps"), change)
    assert (answer.code, answer.causes) == (422, [("spec.selector", "FieldValueInvalid")])


async def test_a_deployments_generation_counts_annotations_too(server: Server) -> None:
    await server.created(server.path("deployments", group="apps"), deployment())
    path = server.path("deployments", "web", group="apps")
    generations = [
        (await server.patch(f"{path}{sub}", patch, MERGE)).body["metadata"].get("generation")
        for sub, patch in (
            ("", {"metadata": {"labels": {"a": "b"}}}),
            ("", {"metadata": {"annotations": {"a": "b"}}}),
            ("", {"spec": {"replicas": 3}}),
            ("/status", {"status": {"replicas": 3}}),
        )
    ]
    assert generations == [1, 2, 3, 3]


async def test_the_scale_of_a_deployment(server: Server) -> None:
    await server.created(server.path("deployments", group="apps"), deployment())
    path = server.path("deployments", "web", group="apps", subresource="scale")
    shown = await server.get(path)
    assert (shown.body["kind"], shown.body["spec"], shown.body["status"]) == (
        "Scale",
        {"replicas": 2},
        {"replicas": 0, "selector": "app=web"},
    )
    put = await server.call("PUT", path, {"metadata": {"name": "web", "namespace": server.namespace}, "spec": {"replicas": 4}})
    assert put.body["spec"] == {"replicas": 4}
    assert (await server.merge(path, {"spec": {"replicas": -1}})).causes == [("spec.replicas", "FieldValueInvalid")]


async def test_a_service_gets_an_address_and_keeps_it(server: Server) -> None:
    created = await server.created(server.path("services"), service(selector={"app": "web"}))
    spec = created["spec"]
    assert spec["ports"] == [{"port": 80, "targetPort": 80, "protocol": "TCP"}]
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert (spec["type"], spec["sessionAffinity"], spec["internalTrafficPolicy"]) == ("ClusterIP", "None", "Cluster")
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    path = server.path("services", "web")
    replaced = await server.call("PUT", path, service(ports=[{"port": 81}]))
    assert replaced.body["spec"]["clusterIP"] == spec["clusterIP"]
    moved = await server.merge(path, {"spec": {"clusterIP": "10.96.200.1"}})
    assert (moved.code, moved.causes) == (422, [("spec.clusterIPs[0]", "FieldValueInvalid")])
    headless = await server.created(server.path("services"), service("headless", clusterIP="None"))
    assert headless["spec"]["clusterIPs"] == ["None"]


@pytest.mark.parametrize(
    ("spec", "causes"),
    [
        pytest.param({"ports": []}, [("spec.ports", "FieldValueRequired")], id="no port"),
        pytest.param(
            {"ports": [{"port": 0}]},
            [("spec.ports[0].port", "FieldValueInvalid"), ("spec.ports[0].targetPort", "FieldValueInvalid")],
            id="0",
        ),
        pytest.param(
            {"ports": [{"port": 80}, {"port": 81}]},
            [("spec.ports[0].name", "FieldValueRequired"), ("spec.ports[1].name", "FieldValueRequired")],
            id="names",
        ),
        pytest.param(
            {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]}, [("spec.ports[1]", "FieldValueDuplicate")], id="same port"
        ),
        pytest.param(
            {"ports": [{"name": "a", "port": 80}, {"name": "a", "port": 81}]},
            [("spec.ports[1].name", "FieldValueDuplicate")],
            id="same name",
        ),
        pytest.param({"ports": [{"port": 80, "protocol": "X"}]}, [("spec.ports[0].protocol", "FieldValueNotSupported")], id="protocol"),
        pytest.param({"type": "X"}, [("spec.type", "FieldValueNotSupported")], id="type"),
        pytest.param({"type": "ExternalName"}, [("spec.externalName", "FieldValueRequired")], id="external name"),
        pytest.param({"clusterIP": "192.168.1.1"}, [("spec.clusterIPs", "FieldValueInvalid")], id="address"),
    ],
)
async def test_a_bad_service_is_refused(server: Server, spec: Any, causes: list[tuple[str, str]]) -> None:
    answer = await server.create(server.path("services"), service(**spec))
    assert (answer.code, answer.causes) == (422, causes)


async def test_immutable_config_maps_and_secrets_stay_as_they_are(server: Server) -> None:
    for plural in ("configmaps", "secrets"):
        await server.created(server.path(plural), {"metadata": {"name": "x"}, "data": {"a": "YQ=="}, "immutable": True})
        answer = await server.merge(server.path(plural, "x"), {"immutable": None, "data": {"b": "Yg=="}})
        assert (answer.code, answer.causes) == (422, [("immutable", "FieldValueForbidden"), ("data", "FieldValueForbidden")])


async def test_secrets_encode_strings_and_keep_their_type(server: Server) -> None:
    created = await server.created(server.path("secrets"), {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    assert (created["data"], created["type"]) == ({"a": "Yg=="}, "Opaque")
    assert "stringData" not in created
    assert (await server.merge(server.path("secrets", "s"), {"type": "x"})).causes == [("type", "FieldValueInvalid")]
    assert (await server.create(server.path("secrets"), {"metadata": {"name": "t"}, "data": {"a": "!!"}})).code == 400


async def test_keys_of_config_maps_are_checked(server: Server) -> None:
    answer = await server.create(server.path("configmaps"), config_map(**{"a b": "c"}))
    assert (answer.code, answer.causes) == (422, [("data[a b]", "FieldValueInvalid")])


async def test_the_data_of_controller_revisions_is_immutable(server: Server) -> None:
    path = server.path("controllerrevisions", group="apps")
    revision = {"metadata": {"name": "r"}, "revision": 1, "data": {"spec": {"list": [], "empty": {}, "zero": 0}}}
    assert (await server.created(path, revision))["data"] == revision["data"]
    assert (await server.merge(f"{path}/r", {"data": {"spec": {"zero": 1}}})).causes == [("data", "FieldValueInvalid")]
    assert (await server.merge(f"{path}/r", {"revision": 2})).body["revision"] == 2
    assert (await server.merge(f"{path}/r", {"metadata": {"labels": {"a": "b"}}})).code == 200
    assert (await server.create(path, {"metadata": {"name": "x"}})).causes == [("data", "FieldValueRequired")]


@pytest.mark.parametrize(
    ("time", "code"), [("2024-01-01T00:00:00.123456Z", 201), ("2024-01-01T00:00:00Z", 400), ("2024-01-01T00:00:00.123Z", 400), ("x", 400)]
)
async def test_lease_times_have_six_decimals(server: Server, time: str, code: int) -> None:
    lease = {"metadata": {"name": "l"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 12, "renewTime": time}}
    assert (await server.create(server.path("leases", group="coordination.k8s.io"), lease)).code == code


async def test_events_belong_to_the_namespace_of_their_object(server: Server) -> None:
    about = {"kind": "Canary", "apiVersion": "flagger.app/v1beta1", "namespace": server.namespace, "name": "web"}
    event = {
        "metadata": {"generateName": "web-"},
        "involvedObject": about,
        "reason": "Synced",
        "message": "m",
        "type": "Normal",
        "firstTimestamp": "2024-01-01T00:00:00Z",
    }
    created = await server.created(server.path("events"), event)
    assert (created["eventTime"], created["source"], created["reportingComponent"]) == (None, {}, "")
    refused = await server.create(server.path("events"), {**event, "involvedObject": {**about, "namespace": "other"}})
    assert refused.causes == [("involvedObject.namespace", "FieldValueInvalid")]


async def test_an_autoscaler_is_completed_and_checked(server: Server) -> None:
    path = server.path("horizontalpodautoscalers", group="autoscaling", version="v2")
    target = {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}
    created = await server.created(path, {"metadata": {"name": "h"}, "spec": {"maxReplicas": 3, "scaleTargetRef": target}})
    assert created["spec"]["minReplicas"] == 1
    assert created["spec"]["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 80}
    assert "generation" not in created["metadata"]
    bad = await server.create(path, {"metadata": {"name": "x"}, "spec": {"maxReplicas": 1, "minReplicas": 2, "scaleTargetRef": target}})
    assert bad.causes == [("spec.maxReplicas", "FieldValueInvalid")]


async def test_endpoint_slices_are_completed(server: Server) -> None:
    body = {"metadata": {"name": "s"}, "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]}
    created = await server.created(server.path("endpointslices", group="discovery.k8s.io"), body)
    assert created["endpoints"] == [{"addresses": ["10.0.0.1"], "conditions": {}}]
    assert created["ports"] == [{"name": "", "protocol": "TCP", "port": 80}]
