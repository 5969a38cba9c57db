"""What clients learn about a server before they use it, and the forms in which it answers."""

from tests.contract.definitions import definition, version, widget
from tests.contract.servers import Json, Server
from tests.contract.workloads import deployment

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"


async def test_versions_of_a_group_are_listed_best_first(server: Server) -> None:
    await server.define(definition(server.group, version(), version("v1beta1", storage=False), version("v2alpha1", storage=False)))
    answer = await server.until(f"/apis/{server.group}", lambda answer: answer.code == 200)
    assert [one["version"] for one in answer.body["versions"]] == ["v1", "v1beta1", "v2alpha1"]
    assert answer.body["preferredVersion"] == {"groupVersion": f"{server.group}/v1", "version": "v1"}
    groups = (await server.get("/apis")).body["groups"]
    assert {"apps", "autoscaling", "coordination.k8s.io", "discovery.k8s.io", server.group} <= {group["name"] for group in groups}


async def test_resources_of_a_version(server: Server) -> None:
    await server.define(definition(server.group))
    answer = await server.until(f"/apis/{server.group}/v1", lambda answer: answer.code == 200)
    resources = {resource["name"]: resource for resource in answer.body["resources"]}
    assert set(resources) == {"widgets", "widgets/status", "widgets/scale"}
    main = resources["widgets"]
    assert (main["kind"], main["singularName"], main["namespaced"], main["shortNames"]) == ("Widget", "widget", True, ["wd"])
    assert set(main["verbs"]) == {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
    assert resources["widgets/scale"]["kind"] == "Scale"


async def test_built_in_resources_are_described(server: Server) -> None:
    wanted = {
        "/api/v1": {"pods": "Pod", "services": "Service", "configmaps": "ConfigMap", "pods/log": "Pod", "namespaces/finalize": "Namespace"},
        "/apis/apps/v1": {"deployments": "Deployment", "deployments/scale": "Scale", "daemonsets/status": "DaemonSet"},
    }
    for path, kinds in wanted.items():
        found = {resource["name"]: resource["kind"] for resource in (await server.get(path)).body["resources"]}
        assert {name: found.get(name) for name in kinds} == kinds


async def test_aggregated_discovery(server: Server) -> None:
    await server.define(definition(server.group))

    def lists_group(items: list[Json]) -> bool:
        return any(item["metadata"]["name"] == server.group for item in items)

    for _ in range(200):
        answer = await server.call("GET", "/apis", headers={"accept": AGGREGATED})
        assert answer.body["kind"] == "APIGroupDiscoveryList"
        if lists_group(answer.body["items"]):
            break
    group = next(item for item in answer.body["items"] if item["metadata"]["name"] == server.group)
    resource = group["versions"][0]["resources"][0]
    assert (resource["resource"], resource["scope"]) == ("widgets", "Namespaced")
    assert resource["responseKind"] == {"group": server.group, "version": "v1", "kind": "Widget"}
    assert {one["subresource"] for one in resource["subresources"]} == {"status", "scale"}


async def test_the_openapi_document_shows_the_schema_of_custom_resources(server: Server) -> None:
    """design:§5: the controller looks for `status.rollout` there."""
    await server.define(definition(server.group))
    path = f"/openapi/v3/apis/{server.group}/v1"
    answer = await server.until(path, lambda answer: answer.code == 200 and server.group in str(answer.body))
    schemas = answer.body["components"]["schemas"].values()
    shown = next(one for one in schemas if _kinds(one) == [(server.group, "Widget")])
    assert set(shown["properties"]["status"]["properties"]) == {"phase", "replicas", "selector"}
    operation = answer.body["paths"][f"/apis/{server.group}/v1/namespaces/{{namespace}}/widgets/{{name}}"]["patch"]
    assert "fieldValidation" in {parameter["name"] for parameter in operation["parameters"]}
    assert f"apis/{server.group}/v1" in (await server.get("/openapi/v3")).body["paths"]


async def test_the_version_and_health_of_the_server(server: Server) -> None:
    found = (await server.get("/version")).body
    assert (found["major"], found["minor"]) == ("1", "36")
    for path in ("/healthz", "/livez", "/readyz"):
        assert (await server.get(path)).body == "ok"


async def test_tables_have_the_columns_of_the_kind(server: Server) -> None:
    path = server.path("deployments", group="apps")
    await server.created(path, deployment())
    table = (await server.call("GET", path, headers={"accept": TABLE})).body
    assert [column["name"] for column in table["columnDefinitions"]] == [
        "Name",
        "Ready",
        "Up-to-date",
        "Available",
        "Age",
        "Containers",
        "Images",
        "Selector",
    ]
    (row,) = table["rows"]
    assert row["cells"][:4] == ["web", "0/2", 0, 0]
    assert row["cells"][5:] == ["web", "web:1", "app=web"]
    assert row["object"]["kind"] == "PartialObjectMetadata"


async def test_printer_columns_of_a_definition(server: Server) -> None:
    columns = [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "Ready", "type": "string", "jsonPath": '.spec.free.conditions[?(@.type=="Ready")].status', "priority": 1},
        {"name": "Since", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        {"name": "Missing", "type": "string", "jsonPath": ".spec.none"},
    ]
    path = await server.define(definition(server.group, version(additionalPrinterColumns=columns)))
    conditions = [{"type": "Other", "status": "a"}, {"type": "Ready", "status": "b"}]
    await server.created(path, widget(server.group, free={"conditions": conditions}))
    table = (await server.call("GET", path, headers={"accept": TABLE})).body
    assert [(column["name"], column["type"], column["priority"]) for column in table["columnDefinitions"]] == [
        ("Name", "string", 0),
        ("Size", "integer", 0),
        ("Ready", "string", 1),
        ("Since", "date", 0),
        ("Missing", "string", 0),
    ]
    cells = table["rows"][0]["cells"]
    assert (cells[:3], cells[4]) == (["w", 1, "b"], None)


async def test_metadata_only_lists(server: Server) -> None:
    path = server.path("secrets")
    await server.created(path, {"metadata": {"name": "a"}, "data": {"k": "YQ=="}})
    answer = await server.call("GET", path, headers={"accept": METADATA})
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    (item,) = answer.body["items"]
    assert (item["kind"], item["metadata"]["name"]) == ("PartialObjectMetadata", "a")
    assert "data" not in item


async def test_an_unknown_media_type_is_not_acceptable(server: Server) -> None:
    answer = await server.call("GET", server.path("configmaps"), headers={"accept": "text/html"})
    assert (answer.code, answer.reason) == (406, "NotAcceptable")


def _kinds(schema: Json) -> list[tuple[str, str]]:
    return [(one["group"], one["kind"]) for one in schema.get("x-kubernetes-group-version-kind", [])]
