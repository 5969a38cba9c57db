"""The route kinds of the embedded cluster accept what our routers render and what Flagger left, and refuse what a real cluster refuses."""

import pytest
import yaml

from flagger_py.kube.client import Client
from flagger_py.objects.errors import Invalid
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import Manifest, Ref, Resource
from tests.unit.local.crds.routes import NAMESPACE, ROOT, ROUTES, create, http_proxy, http_route, new_client, resource_of, virtual_service

DEFAULTED = {"gatewayapi-v1/cors-without-max-age HTTPRoute web"}
"""routers:GW-B3: the definition adds `maxAge: 5`, which the router takes for no drift."""


def _documents(folder: str) -> dict[str, Manifest]:
    found: dict[str, Manifest] = {}
    for path in sorted((ROOT / "tests/fixtures" / folder).glob("*/*.yaml")):
        for manifest in yaml.safe_load_all(path.read_text()):
            if manifest.get("kind") in ROUTES:
                name = f"{path.parent.name}/{path.stem} {manifest['kind']} {manifest['metadata']['name']}"
                found[name] = manifest
    return found


RENDERED = _documents("routers")
RECORDED = _documents("takeover")


@pytest.fixture(scope="module")
def client() -> Client:
    return new_client()


@pytest.mark.parametrize("name", sorted(RENDERED.keys() - DEFAULTED))
async def test_what_a_router_renders_is_stored_as_it_is(client: Client, name: str) -> None:
    """routers:§3, every golden file: nothing is pruned, nothing is added."""
    assert (await create(client, RENDERED[name]))["spec"] == RENDERED[name]["spec"]


@pytest.mark.parametrize("name", sorted(RECORDED))
async def test_what_flagger_wrote_is_stored_as_it_is(client: Client, name: str) -> None:
    """operations:OPS take-over, every recording."""
    assert (await create(client, RECORDED[name]))["spec"] == RECORDED[name]["spec"]


async def test_a_cors_filter_gets_a_max_age(client: Client) -> None:
    """routers:GW-B3."""
    for name in DEFAULTED:
        stored = await create(client, RENDERED[name])
        assert stored["spec"]["rules"][0]["filters"][0]["cors"]["maxAge"] == 5


async def test_a_route_gets_the_defaults_that_flagger_trips_over(client: Client) -> None:
    """routers:GW-B2, routers:GW-03: path, comparison, backend and parent."""
    rule = {"matches": [{"headers": [{"name": "x", "value": "1"}]}], "backendRefs": [{"name": "web", "port": 80}]}
    stored = await create(client, http_route(rule))
    assert stored["spec"] == {
        "parentRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw"}],
        "rules": [
            {
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}, "headers": [{"type": "Exact", "name": "x", "value": "1"}]}],
                "backendRefs": [{"group": "", "kind": "Service", "name": "web", "port": 80, "weight": 1}],
            }
        ],
    }


async def test_a_rule_without_matches_matches_every_path(client: Client) -> None:
    """routers:GW-05."""
    stored = await create(client, http_route({"backendRefs": [{"name": "web", "port": 80}]}))
    assert stored["spec"]["rules"][0]["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]


async def test_both_versions_show_one_object(client: Client) -> None:
    """routers:GWB-01: a route written in v1beta1 is read in v1."""
    old = http_route({"backendRefs": [{"name": "web", "port": 80}]}) | {"apiVersion": "gateway.networking.k8s.io/v1beta1"}
    stored = await create(client, old)
    read = await client.get(
        Ref(Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute"), NAMESPACE, stored["metadata"]["name"])
    )
    assert (read["apiVersion"], read["spec"]) == ("gateway.networking.k8s.io/v1", stored["spec"])


async def test_status_is_a_subresource_of(client: Client) -> None:
    """routers:CON-13: a status that is sent with a new HTTPProxy is ignored."""
    manifest = {"apiVersion": "projectcontour.io/v1", "kind": "HTTPProxy", "spec": {}, "status": {"currentStatus": "valid"}}
    stored = await create(client, manifest)
    assert stored.get("status", {}).get("currentStatus") != "valid"
    ref = Ref(resource_of(manifest), NAMESPACE, stored["metadata"]["name"])
    changed = await client.patch(ref, MergePatch({"status": {"currentStatus": "valid"}}), subresource="status")
    assert (changed["status"]["currentStatus"], changed["metadata"]["generation"]) == ("valid", 1)


async def test_an_unknown_field_is_pruned(client: Client) -> None:
    """routers:CRD-01 holds for the definitions of the routers too."""
    stored = await create(client, virtual_service({"route": [{"destination": {"host": "web", "color": "red"}}]}))
    assert stored["spec"]["http"][0]["route"][0]["destination"] == {"host": "web"}


BAD_SHAPES = {
    "GW-12 time-out in days": http_route({"timeouts": {"request": "1d"}}),
    "GW-03 too many parents": http_route({}, parentRefs=[{"name": f"gw-{index}"} for index in range(33)]),
    "GW-20 more than 16 rules": http_route(*({} for _ in range(17))),
    "GW-06 more than 64 matches": http_route({"matches": [{} for _ in range(65)]}),
    "GW-06 a method of one's own": http_route({"matches": [{"method": "FETCH"}]}),
    "GW-14 a weight below 0": http_route({"backendRefs": [{"name": "web", "port": 80, "weight": -1}]}),
    "GW-08 an empty header value": http_route(
        {"filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"add": [{"name": "x", "value": ""}]}}]}
    ),
    "GW-08 one header twice": http_route(
        {"filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"add": [{"name": "x", "value": v} for v in "12"]}}]}
    ),
    "CON-05 an empty cause": http_proxy(retryPolicy={"retryOn": [""]}),
    "CON-05 a space before a cause": http_proxy(retryPolicy={"retryOn": ["5xx", " reset"]}),
    "CON-03 time-out in days": http_proxy(timeoutPolicy={"response": "1d"}),
    "CON-01 a service without a port": http_proxy(services=[{"name": "web"}]),
    "IST-08 two comparisons at once": virtual_service({"match": [{"uri": {"exact": "/", "prefix": "/"}}]}),
    "IST-15 a destination without a host": virtual_service({"route": [{"destination": {}}]}),
}


@pytest.mark.parametrize("name", BAD_SHAPES)
async def test_a_bad_shape_is_refused(client: Client, name: str) -> None:
    """routers:§3 and §5: the limits of the real definitions."""
    with pytest.raises(Invalid):
        await create(client, BAD_SHAPES[name])
