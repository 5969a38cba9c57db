"""The rules in CEL of the route kinds: the embedded server checks them all, and refuses what a real cluster refuses."""

import pytest

from flagger_py.kube.client import Client
from flagger_py.local.apiserver.schema import custom
from flagger_py.local.apiserver.validation import SchemaValidator
from flagger_py.objects.errors import Invalid
from tests.unit.local.crds.routes import create, definitions, http_route, new_client, virtual_service


@pytest.fixture(scope="module")
def client() -> Client:
    return new_client()


PREFIX_REWRITE = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}
MIRROR = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "web", "port": 80}}}
NO_CHANGE = {"type": "RequestHeaderModifier", "requestHeaderModifier": {}}

BROKEN_RULES = {
    "GW-03 one parent twice": http_route({}, parentRefs=[{"name": "gw"}, {"name": "gw"}]),
    "GW-06 a path without a slash": http_route({"matches": [{"path": {"value": "shop"}}]}),
    "GW-06 a path with two slashes": http_route({"matches": [{"path": {"value": "/shop//cart"}}]}),
    "GW-06 a path with a space": http_route({"matches": [{"path": {"value": "/my shop"}}]}),
    "GW-09 a path of the wrong type": http_route(
        {"filters": [{"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplaceFullPath", "replacePrefixMatch": "/"}}}]}
    ),
    "GW-10 a Service without a port": http_route(
        {"filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "web"}}}]}
    ),
    "GW-12 a backend time-out above the whole": http_route({"timeouts": {"request": "1s", "backendRequest": "2s"}}),
    "GW-14 a backend without a port": http_route({"backendRefs": [{"name": "web"}]}),
    "GW-26 a filter twice": http_route({"filters": [NO_CHANGE, NO_CHANGE]}),
    "GW-27 a prefix rewritten under two matches": http_route(
        {"matches": [{"path": {"value": "/a"}}, {"path": {"value": "/b"}}], "filters": [PREFIX_REWRITE]}
    ),
    "GW-27 a prefix rewritten under an exact path": http_route(
        {"matches": [{"path": {"type": "Exact", "value": "/a"}}], "filters": [PREFIX_REWRITE]}
    ),
    "GW-07 a filter of another type": http_route({"filters": [{"type": "CORS", "requestHeaderModifier": {}}]}),
    "GW-07 more than 128 matches in all": http_route(*({"matches": [{} for _ in range(43)]} for _ in range(3))),
    "IST-08 a time-out in days": virtual_service({"timeout": "1d"}),
    "IST-08 no time at all": virtual_service({"retries": {"attempts": 1, "perTryTimeout": "0s"}}),
}


@pytest.mark.parametrize("name", BROKEN_RULES)
async def test_a_broken_rule_is_refused(client: Client, name: str) -> None:
    """routers:§3 and §5: the rules in CEL of the real definitions."""
    with pytest.raises(Invalid):
        await create(client, BROKEN_RULES[name])


async def test_several_mirrors_are_accepted(client: Client) -> None:
    """routers:GW-10: of the filters only RequestMirror may be repeated."""
    assert len((await create(client, http_route({"filters": [MIRROR, MIRROR]})))["spec"]["rules"][0]["filters"]) == 2


def test_every_rule_is_checked() -> None:
    """No rule of ours is beyond what the embedded server can evaluate."""
    schemas = {
        f"{crd['metadata']['name']} {version['name']}": version["schema"]["openAPIV3Schema"]
        for crd in definitions()
        for version in crd["spec"]["versions"]
    }
    unsupported = {name: SchemaValidator(custom(schema)).unsupported_rules for name, schema in schemas.items()}
    assert not any(unsupported.values()), unsupported
