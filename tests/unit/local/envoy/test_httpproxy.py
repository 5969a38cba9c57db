"""HTTPProxies as routes and statuses, as Contour has them."""

from typing import Any

import pytest

from flagger_py.local.envoy.httpproxy import ORPHANED, translate
from flagger_py.local.envoy.model import HeaderChanges, PathKind, Retry, Rewrite, ValueKind
from flagger_py.local.envoy.translation import RoutingObjects
from flagger_py.objects.resource import Manifest
from tests.unit.local.routing import SERVICES, named, only_host, only_route, shares


def root(**spec: Any) -> Manifest:
    includes = [{"name": "web", "namespace": "test", "conditions": [{"prefix": "/"}]}]
    return named("root", {"virtualhost": {"fqdn": "web.example.com"}, "includes": includes, **spec})


def child(*routes: dict[str, Any], name: str = "web") -> Manifest:
    return named(name, {"routes": list(routes)})


def service(name: str, weight: int | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "port": 80, **({} if weight is None else {"weight": weight}), **more}


def objects(*proxies: Manifest) -> RoutingObjects:
    return RoutingObjects(services=SERVICES, http_proxies=proxies)


def status_of(name: str, *proxies: Manifest) -> Any:
    return next(entry.status for entry in translate(objects(*proxies)).statuses if entry.ref.name == name)


def test_a_root_serves_the_routes_of_what_it_includes() -> None:
    """routers:CON-01, CON-16"""
    headers = {"set": [{"name": "l5d-dst-override", "value": "web-canary.test.svc.cluster.local:80"}]}
    services = [service("web-primary", 80), service("web-canary", 20, requestHeadersPolicy=headers)]
    translation = translate(objects(root(), child({"conditions": [{"prefix": "/"}], "services": services})))
    assert only_host(translation).domain == "web.example.com"
    assert shares(only_route(translation)) == {"web-primary": 80, "web-canary": 20}
    assert only_route(translation).backends[1].request == HeaderChanges((("l5d-dst-override", "web-canary.test.svc.cluster.local:80"),))


def test_a_service_without_weight_gets_nothing_beside_one_that_has() -> None:
    """routers:CON-01: the key is omitted when 0"""
    translation = translate(objects(root(), child({"services": [service("web-primary", 100), service("web-canary")]})))
    assert shares(only_route(translation)) == {"web-primary": 100, "web-canary": 0}


def test_services_without_any_weight_share_alike() -> None:
    translation = translate(objects(root(), child({"services": [service("web-primary"), service("web-canary")]})))
    assert shares(only_route(translation)) == {"web-primary": 1, "web-canary": 1}


def test_prefixes_of_inclusions_are_joined_and_headers_add_up() -> None:
    include = {"name": "web", "conditions": [{"prefix": "/shop"}, {"header": {"name": "a", "exact": "1"}}]}
    condition = [{"prefix": "/cart"}, {"header": {"name": "b", "notcontains": "2"}}]
    proxies = root(includes=[include]), child({"conditions": condition, "services": [service("web")]})
    match = only_route(translate(objects(*proxies))).match
    assert (match.path.kind, match.path.value) == (PathKind.STRING_PREFIX, "/shop/cart")
    assert [(entry.name, entry.kind, entry.inverted) for entry in match.headers] == [
        ("a", ValueKind.EXACT, False),
        ("b", ValueKind.CONTAINS, True),
    ]


def test_timeouts_and_retries() -> None:
    """routers:CON-03, CON-04"""
    policies = {
        "timeoutPolicy": {"response": "15s", "idle": "5m"},
        "retryPolicy": {"count": 3, "perTryTimeout": "1s", "retryOn": ["5xx", "reset"]},
    }
    route = only_route(translate(objects(root(), child({"services": [service("web")], **policies}))))
    assert (route.timeout, route.idle_timeout) == (15.0, 300.0)
    assert route.retry == Retry(3, ("5xx", "reset"), 1.0)


def test_without_a_timeout_policy_envoys_default_holds() -> None:
    assert only_route(translate(objects(root(), child({"services": [service("web")]})))).timeout is None


def test_a_prefix_is_replaced() -> None:
    route = {"conditions": [{"prefix": "/a"}], "services": [service("web")], "pathRewritePolicy": {"replacePrefix": [{"replacement": "/"}]}}
    assert only_route(translate(objects(root(), child(route)))).rewrite == Rewrite("", None, "/")


def test_a_mirror_is_no_share() -> None:
    route = only_route(translate(objects(root(), child({"services": [service("web"), service("web-canary", mirror=True)]}))))
    assert shares(route) == {"web": 1}
    assert [(mirror.backend.service, mirror.percent) for mirror in route.mirrors] == [("web-canary", 100)]


def test_the_cors_policy_of_the_host_holds_for_its_routes() -> None:
    host = {"fqdn": "web.example.com", "corsPolicy": {"allowOrigin": ["*"], "allowMethods": ["GET"], "maxAge": "10m"}}
    route = only_route(translate(objects(root(virtualhost=host), child({"services": [service("web")]}))))
    assert route.cors is not None
    assert (route.cors.methods, route.cors.max_age, route.cors.origins[0].value) == (("GET",), 600, ".*")


def test_a_valid_chain_says_so() -> None:
    proxies = root(), child({"services": [service("web")]})
    for name in ("root", "web"):
        status = status_of(name, *proxies)
        assert (status["currentStatus"], status["description"]) == ("valid", "Valid HTTPProxy")
        assert [(entry["type"], entry["status"], entry["observedGeneration"]) for entry in status["conditions"]] == [("Valid", "True", 3)]


def test_a_proxy_that_no_root_includes_is_orphaned() -> None:
    status = status_of("web", child({"services": [service("web")]}))
    assert (status["currentStatus"], status["description"]) == ("orphaned", ORPHANED)


@pytest.mark.parametrize(
    ("route", "message"),
    [
        pytest.param(
            {"conditions": [{"prefix": "/a"}, {"prefix": "/b"}], "services": [service("web")]},
            "more than one prefix, exact or regex condition is not allowed in a condition block",
            id="two prefixes (routers:CON-09)",
        ),
        pytest.param(
            {"conditions": [{"prefix": "a"}], "services": [service("web")]},
            "path conditions must start with /, a was supplied",
            id="no slash",
        ),
        pytest.param(
            {"conditions": [{"header": {"name": "x"}}], "services": [service("web")]},
            "condition on 'x' needs exactly one of exact, notexact, contains, notcontains, regex, prefix, suffix, present, notpresent",
            id="header without operator (routers:CON-08)",
        ),
        pytest.param(
            {"services": [service("gone")]},
            'Spec.Routes unresolved service reference: service "test/gone" port 80 not found',
            id="missing service",
        ),
    ],
)
def test_an_invalid_proxy_names_its_error(route: dict[str, Any], message: str) -> None:
    status = status_of("web", root(), child(route))
    assert status["currentStatus"] == "invalid"
    assert status["conditions"][0]["errors"][0]["message"] == message


@pytest.mark.parametrize(
    ("proxies", "message"),
    [
        pytest.param((root(),), "include test/web not found", id="missing include"),
        pytest.param(
            (root(), named("other", {"virtualhost": {"fqdn": "web.example.com"}})),
            'fqdn "web.example.com" is used in multiple HTTPProxies: test/other, test/root',
            id="one host, two roots",
        ),
        pytest.param(
            (root(includes=[{"name": "b"}]), named("b", {"virtualhost": {"fqdn": "b.example.com"}})),
            "root httpproxy cannot include another root httpproxy: test/b",
            id="a root includes a root",
        ),
    ],
)
def test_an_invalid_root_names_its_error(proxies: tuple[Manifest, ...], message: str) -> None:
    status = status_of("root", *proxies)
    assert status["currentStatus"] == "invalid"
    assert message in status["conditions"][0]["errors"][0]["message"]


def test_a_cycle_of_inclusions_ends() -> None:
    looping = named("web", {"includes": [{"name": "web"}], "routes": [{"services": [service("web")]}]})
    assert "cycle" in status_of("web", root(), looping)["conditions"][0]["errors"][0]["message"]
    assert shares(only_route(translate(objects(root(), looping)))) == {"web": 1}
