"""VirtualServices on Gateways and in the mesh as routes."""

from typing import Any

import pytest

from flagger_py.local.envoy.istio import translate
from flagger_py.local.envoy.istio_routes import DEFAULT_RETRY
from flagger_py.local.envoy.model import HeaderChanges, PathKind, Retry, Rewrite, Route, ValueKind
from flagger_py.local.envoy.translation import RoutingObjects, Translation
from flagger_py.objects.resource import Manifest
from tests.unit.local.routing import SERVICES, named, shares


def virtual_service(*rules: dict[str, Any], name: str = "web", **spec: Any) -> Manifest:
    return named(name, {"hosts": ["web.example.com", "web"], "gateways": ["istio-system/public"], "http": list(rules), **spec})


def istio_gateway(*hosts: str, port: int = 80, protocol: str = "HTTP") -> Manifest:
    servers = [{"port": {"number": port, "name": "http", "protocol": protocol}, "hosts": list(hosts or ("*",))}]
    return named("public", {"selector": {"istio": "ingressgateway"}, "servers": servers}, namespace="istio-system")


def to(host: str, weight: int | None = None, **more: Any) -> dict[str, Any]:
    return {"destination": {"host": host, **more.pop("destination", {})}, **({} if weight is None else {"weight": weight}), **more}


def translated(*services: Manifest, gateways: tuple[Manifest, ...] = (istio_gateway(),)) -> Translation:
    return translate(RoutingObjects(services=SERVICES, istio_gateways=gateways, virtual_services=services))


def first_route(*rules: dict[str, Any], **spec: Any) -> Route:
    return translated(virtual_service(*rules, **spec)).hosts[0].routes[0]


def test_weights_by_host() -> None:
    """routers:IST-15"""
    translation = translated(virtual_service({"route": [to("web-primary", 90), to("web-canary.test.svc.cluster.local", 10)]}))
    assert [(host.port, host.domain) for host in translation.hosts] == [(80, "web.example.com"), (80, "web")]
    assert shares(translation.hosts[0].routes[0]) == {"web-primary": 90, "web-canary": 10}


def test_a_lone_destination_gets_everything() -> None:
    """routers:IST-18"""
    assert shares(first_route({"route": [to("web-primary", 0)]})) == {"web-primary": 100}


def test_rules_keep_their_order() -> None:
    """routers:SA-04"""
    rules = [{"match": [{"headers": {"Cookie": {"regex": ".*x.*"}}}], "route": [to("web-canary")]}, {"route": [to("web-primary")]}]
    assert [list(shares(route)) for route in translated(virtual_service(*rules)).hosts[0].routes] == [["web-canary"], ["web-primary"]]


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        pytest.param(("*",), ["web.example.com", "web"], id="any"),
        pytest.param(("*.example.com",), ["web.example.com"], id="wildcard"),
        pytest.param(("test/web.example.com",), ["web.example.com"], id="namespace"),
        pytest.param(("other/*", "./*"), [], id="other namespaces"),
    ],
)
def test_a_gateway_admits_hosts(hosts: tuple[str, ...], expected: list[str]) -> None:
    translation = translated(virtual_service({"route": [to("web")]}), gateways=(istio_gateway(*hosts),))
    assert [host.domain for host in translation.hosts] == expected


def test_a_tls_server_serves_nothing_here() -> None:
    assert not translated(virtual_service({"route": [to("web")]}), gateways=(istio_gateway(protocol="HTTPS"),)).hosts


def test_the_mesh_is_reached_by_the_names_of_the_service() -> None:
    """routers:IST-06"""
    translation = translated(virtual_service({"route": [to("web")]}, hosts=["web"], gateways=["mesh"]))
    assert [host.domain for host in translation.hosts] == ["web", "web.test", "web.test.svc", "web.test.svc.cluster.local"]


def test_matches_of_all_kinds() -> None:
    """routers:IST-08"""
    match = {
        "uri": {"prefix": "/a"},
        "ignoreUriCase": True,
        "method": {"exact": "GET"},
        "headers": {"x": {"regex": "a.*"}, "y": {}},
        "withoutHeaders": {"z": {"exact": "1"}},
        "authority": {"prefix": "web"},
        "queryParams": {"q": {"exact": "1"}},
    }
    found = first_route({"match": [match], "route": [to("web")]}).match
    assert (found.path.kind, found.path.value, found.path.ignore_case) == (PathKind.STRING_PREFIX, "/a", True)
    assert [(entry.name, entry.kind, entry.inverted) for entry in found.headers] == [
        ("x", ValueKind.REGEX, False),
        ("y", ValueKind.PRESENT, False),
        ("z", ValueKind.EXACT, True),
        (":authority", ValueKind.PREFIX, False),
    ]
    assert [(entry.name, entry.value) for entry in found.query] == [("q", "1")]


@pytest.mark.parametrize(
    "match",
    [
        pytest.param({"gateways": ["mesh"]}, id="another gateway"),
        pytest.param({"sourceLabels": {"app": "x"}}, id="labels of the client"),
        pytest.param({"sourceNamespace": "x"}, id="namespace of the client"),
    ],
)
def test_a_match_that_cannot_hold_at_this_gateway_is_left_out(match: dict[str, Any]) -> None:
    translation = translated(virtual_service({"match": [match], "route": [to("web")]}))
    assert all(not host.routes for host in translation.hosts)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param({"mirror": {"host": "web-canary"}}, [("web-canary", 100.0)], id="everything"),
        pytest.param({"mirror": {"host": "web-canary"}, "mirrorPercentage": {"value": 50}}, [("web-canary", 50.0)], id="half"),
        pytest.param(
            {"mirrors": [{"destination": {"host": "web-canary"}, "percentage": {"value": 0.5}}]}, [("web-canary", 0.5)], id="mirrors"
        ),
    ],
)
def test_mirrors(rule: dict[str, Any], expected: list[tuple[str, float]]) -> None:
    """routers:IST-17"""
    route = first_route({**rule, "route": [to("web-primary")]})
    assert [(mirror.backend.service, mirror.percent) for mirror in route.mirrors] == expected


def test_headers_of_the_rule_and_of_a_destination() -> None:
    """routers:SA-06"""
    cookie = {"response": {"add": {"Set-Cookie": "a=b; Max-Age=5"}}}
    headers = {"request": {"set": {"x": "1", "Host": "inner"}, "remove": ["y"]}}
    route = first_route({"headers": headers, "route": [to("web-primary", 90), to("web-canary", 10, headers=cookie)]})
    assert route.request == HeaderChanges((("x", "1"),), (), ("y",))
    assert route.rewrite == Rewrite("inner")
    assert route.backends[1].response == HeaderChanges(add=(("Set-Cookie", "a=b; Max-Age=5"),))


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        pytest.param({"uri": {"prefix": "/a"}}, Rewrite("", None, "/b"), id="the prefix"),
        pytest.param({"uri": {"exact": "/a"}}, Rewrite("", "/b", None), id="the whole path"),
    ],
)
def test_rewrites(match: dict[str, Any], expected: Rewrite) -> None:
    """routers:IST-07"""
    assert first_route({"match": [match], "rewrite": {"uri": "/b"}, "route": [to("web")]}).rewrite == expected


@pytest.mark.parametrize(
    ("retries", "expected"),
    [
        pytest.param({}, DEFAULT_RETRY, id="Istio's default"),
        pytest.param({"retries": {"attempts": 0}}, None, id="none"),
        pytest.param(
            {"retries": {"attempts": 3, "perTryTimeout": "1s", "retryOn": "5xx, 503"}}, Retry(3, ("5xx",), 1.0, (503,)), id="its own"
        ),
    ],
)
def test_retries(retries: dict[str, Any], expected: Retry | None) -> None:
    assert first_route({**retries, "route": [to("web")]}).retry == expected


def test_a_timeout_and_cors() -> None:
    cors = {"allowOrigins": [{"prefix": "https://"}], "allowMethods": ["GET"], "allowCredentials": True, "maxAge": "24h"}
    route = first_route({"timeout": "15s", "corsPolicy": cors, "route": [to("web")]})
    assert route.timeout == 15.0
    assert route.cors is not None
    assert (route.cors.origins[0].kind, route.cors.credentials, route.cors.max_age) == (ValueKind.PREFIX, True, 86400)


@pytest.mark.parametrize("destination", [{"host": "gone"}, {"host": "web", "port": {"number": 81}}, {"host": "web", "subset": "v1"}])
def test_a_destination_that_does_not_resolve(destination: dict[str, Any]) -> None:
    assert shares(first_route({"route": [{"destination": destination}]})) == {"?": 100}


def test_a_delegate_serves_the_host_of_its_root() -> None:
    """routers:IST-04"""
    root = virtual_service({"match": [{"uri": {"prefix": "/"}}], "delegate": {"name": "web"}}, name="root")
    delegate = named(
        "web", {"http": [{"match": [{"headers": {"x": {"exact": "1"}}}], "route": [to("web-primary", 70), to("web-canary", 30)]}]}
    )
    translation = translated(root, delegate)
    assert shares(translation.hosts[0].routes[0]) == {"web-primary": 70, "web-canary": 30}
    assert [entry.name for entry in translation.hosts[0].routes[0].match.headers] == ["x"]


def test_a_field_that_cannot_be_read_leaves_the_others_alone() -> None:
    broken, good = virtual_service({"timeout": "soon", "route": [to("web")]}, name="broken"), virtual_service({"route": [to("web")]})
    translation = translated(broken, good)
    assert len(translation.hosts) == 2
    assert translation.problems == ("VirtualService test/broken: 'soon' is not a duration such as 15s, 500ms or 1m30s",)
