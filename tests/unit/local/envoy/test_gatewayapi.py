"""HTTPRoutes and Gateways as routes and statuses."""

from typing import Any

import pytest

from flagger_py.local.envoy.gatewayapi import covers, translate
from flagger_py.local.envoy.model import HeaderChanges, PathKind, Redirect, Retry, Rewrite, ValueKind
from flagger_py.local.envoy.translation import CONTROLLER_NAME, Key
from tests.unit.local.routing import conditions, gateway, gateway_objects, http_route, named, only_host, only_route, ref, shares


def test_a_weighted_route_splits_between_two_services() -> None:
    """routers:GW-01"""
    translation = translate(gateway_objects(http_route({"backendRefs": [ref("web-primary", 70), ref("web-canary", 30)]})))
    assert (only_host(translation).port, only_host(translation).domain) == (80, "web.example.com")
    assert shares(only_route(translation)) == {"web-primary": 70, "web-canary": 30}


def test_the_status_repeats_the_parent_reference_and_the_generation() -> None:
    """routers:GW-15"""
    parent = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw", "namespace": "test"}
    translation = translate(gateway_objects(http_route({"backendRefs": [ref("web-primary", 1)]}, parentRefs=[parent])))
    (status,) = (entry.status for entry in translation.statuses if entry.ref.resource.kind == "HTTPRoute")
    assert status["parents"][0]["parentRef"] == parent
    assert status["parents"][0]["controllerName"] == CONTROLLER_NAME
    assert {entry["type"]: (entry["status"], entry["observedGeneration"]) for entry in status["parents"][0]["conditions"]} == {
        "Accepted": ("True", 3),
        "ResolvedRefs": ("True", 3),
    }


def test_what_other_controllers_wrote_into_the_status_is_kept() -> None:
    route = http_route({"backendRefs": [ref("web-primary", 1)]})
    route["status"] = {"parents": [{"controllerName": "example.com/other", "parentRef": {"name": "gw"}, "conditions": []}]}
    (status,) = (entry.status for entry in translate(gateway_objects(route)).statuses if entry.ref.resource.kind == "HTTPRoute")
    assert [parent["controllerName"] for parent in status["parents"]] == ["example.com/other", CONTROLLER_NAME]


def test_a_mesh_parent_is_none_of_our_business() -> None:
    """routers:GW-03"""
    parents = [{"group": "", "kind": "Service", "name": "web", "port": 80}]
    translation = translate(gateway_objects(http_route({"backendRefs": [ref("web-primary", 1)]}, parentRefs=parents)))
    assert not translation.hosts
    assert translation.statuses[0].status == {"parents": []}


@pytest.mark.parametrize(
    ("route", "listener", "reason"),
    [
        pytest.param({"parentRefs": [{"name": "other"}]}, {}, "NoMatchingParent", id="no such Gateway"),
        pytest.param({"parentRefs": [{"name": "gw", "sectionName": "https"}]}, {}, "NoMatchingParent", id="no such listener"),
        pytest.param({"parentRefs": [{"name": "gw", "port": 81}]}, {}, "NoMatchingParent", id="no such port"),
        pytest.param({}, {"hostname": "*.example.org"}, "NoMatchingListenerHostname", id="another host name"),
        pytest.param({}, {"protocol": "HTTPS"}, "NoMatchingParent", id="a protocol that is not served"),
        pytest.param({}, {"allowedRoutes": {"kinds": [{"kind": "GRPCRoute"}]}}, "NotAllowedByListeners", id="another kind only"),
        pytest.param(
            {},
            {"allowedRoutes": {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "b"}}}}},
            "NotAllowedByListeners",
            id="another namespace only",
        ),
    ],
)
def test_a_route_that_does_not_attach_says_why(route: dict[str, Any], listener: dict[str, Any], reason: str) -> None:
    objects = gateway_objects(
        http_route({"backendRefs": [ref("web-primary", 1)]}, **route),
        gateways=(gateway(**listener),),
        namespaces={"test": {"team": "a"}},
    )
    translation = translate(objects)
    assert not translation.hosts
    assert conditions(translation, parent=0)["Accepted"] == ("False", reason)


def test_a_selector_admits_namespaces_by_label() -> None:
    allowed = {"namespaces": {"from": "Selector", "selector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["a"]}]}}}
    objects = gateway_objects(
        http_route({"backendRefs": [ref("web-primary", 1)]}),
        gateways=(gateway(allowedRoutes=allowed),),
        namespaces={"test": {"team": "a"}},
    )
    assert translate(objects).hosts


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        pytest.param(ref("gone", 1), "BackendNotFound", id="no Service"),
        pytest.param(ref("web-primary", 1, port=81), "BackendNotFound", id="no port"),
        pytest.param(ref("web-primary", 1, kind="Bucket"), "InvalidKind", id="no Service kind"),
        pytest.param(ref("web", 1, namespace="other"), "RefNotPermitted", id="no grant"),
    ],
)
def test_a_backend_that_does_not_resolve_keeps_its_share(backend: dict[str, Any], reason: str) -> None:
    """Its requests are answered 500; the other backend keeps its own share."""
    translation = translate(gateway_objects(http_route({"backendRefs": [ref("web-primary", 3), backend]})))
    assert shares(only_route(translation)) == {"web-primary": 3, "?": 1}
    assert conditions(translation, parent=0) == {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("False", reason)}


def test_a_grant_opens_a_service_of_another_namespace() -> None:
    grant = named("grant", {"from": [{"kind": "HTTPRoute", "namespace": "test"}], "to": [{"kind": "Service"}]}, namespace="other")
    route = http_route({"backendRefs": [ref("web", 1, namespace="other")]})
    objects = gateway_objects(route, reference_grants=(grant,))
    translation = translate(type(objects)(**{**_fields(objects), "services": {Key("other", "web"): (80,)}}))
    assert shares(only_route(translation)) == {"web": 1}


def _fields(objects: Any) -> dict[str, Any]:
    return {name: getattr(objects, name) for name in ("services", "gateways", "http_routes", "reference_grants")}


def test_matches_of_all_kinds() -> None:
    """routers:GW-06"""
    match = {
        "path": {"type": "RegularExpression", "value": "/a/.*"},
        "method": "POST",
        "headers": [{"name": "Cookie", "type": "RegularExpression", "value": ".*canary.*"}, {"name": "x-b", "value": "y"}],
        "queryParams": [{"name": "v", "type": "Exact", "value": "2"}],
    }
    found = only_route(translate(gateway_objects(http_route({"matches": [match], "backendRefs": [ref("web", 1)]})))).match
    assert (found.path.kind, found.path.value) == (PathKind.REGEX, "/a/.*")
    assert found.method is not None
    assert found.method.value == "POST"
    assert [(header.name, header.kind, header.value) for header in found.headers] == [
        ("Cookie", ValueKind.REGEX, ".*canary.*"),
        ("x-b", ValueKind.EXACT, "y"),
    ]
    assert [(query.name, query.value) for query in found.query] == [("v", "2")]


def test_a_sticky_rule_wins_by_its_header_whatever_the_order() -> None:
    """routers:SA-04"""
    plain = {"backendRefs": [ref("web-primary", 1)]}
    sticky = {"matches": [{"headers": [{"name": "Cookie", "value": "x"}]}], "backendRefs": [ref("web-canary", 1)]}
    for rules in ((plain, sticky), (sticky, plain)):
        routes = only_host(translate(gateway_objects(http_route(*rules)))).routes
        assert [list(shares(route)) for route in routes] == [["web-canary"], ["web-primary"]]


def test_longer_prefixes_and_exact_paths_come_first() -> None:
    matches = [{"path": {"value": "/"}}, {"path": {"value": "/a"}}, {"path": {"type": "Exact", "value": "/"}}]
    routes = only_host(translate(gateway_objects(http_route({"matches": matches, "backendRefs": [ref("web", 1)]})))).routes
    assert [(route.match.path.kind, route.match.path.value) for route in routes] == [
        (PathKind.EXACT, "/"),
        (PathKind.PREFIX, "/a"),
        (PathKind.PREFIX, "/"),
    ]


def test_filters_of_all_kinds() -> None:
    """routers:GW-07, GW-08, GW-09, GW-10, GW-11"""
    filters = [
        {"type": "RequestHeaderModifier", "requestHeaderModifier": {"add": [{"name": "a", "value": "1"}], "remove": ["c"]}},
        {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "d", "value": "4"}]}},
        {"type": "URLRewrite", "urlRewrite": {"hostname": "h", "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/x"}}},
        {"type": "RequestMirror", "requestMirror": {"backendRef": ref("web-canary", 1), "fraction": {"numerator": 1, "denominator": 4}}},
        {"type": "CORS", "cors": {"allowOrigins": ["https://a", "https://*.b"], "allowMethods": ["GET"], "maxAge": 86400}},
    ]
    route = only_route(translate(gateway_objects(http_route({"filters": filters, "backendRefs": [ref("web", 1)]}))))
    assert route.request == HeaderChanges(add=(("a", "1"),), remove=("c",))
    assert route.response == HeaderChanges(set=(("d", "4"),))
    assert route.rewrite == Rewrite("h", None, "/x")
    assert [(mirror.backend.service, mirror.percent) for mirror in route.mirrors] == [("web-canary", 25.0)]
    assert route.cors is not None
    assert [(origin.kind, origin.value) for origin in route.cors.origins] == [
        (ValueKind.EXACT, "https://a"),
        (ValueKind.REGEX, "https://.*\\.b"),
    ]
    assert (route.cors.methods, route.cors.max_age) == (("GET",), 86400)


def test_a_redirect_needs_no_backend() -> None:
    filters = [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}}]
    assert only_route(translate(gateway_objects(http_route({"filters": filters})))).redirect == Redirect("https", code=301)


def test_a_cookie_is_set_by_the_backend_that_was_chosen() -> None:
    """routers:SA-06"""
    cookie = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [{"name": "Set-Cookie", "value": "a=b; Max-Age=5"}]}}
    rule = {"backendRefs": [ref("web-primary", 90), ref("web-canary", 10, filters=[cookie])]}
    primary, canary = only_route(translate(gateway_objects(http_route(rule)))).backends
    assert primary.response == HeaderChanges()
    assert canary.response == HeaderChanges(add=(("Set-Cookie", "a=b; Max-Age=5"),))


@pytest.mark.parametrize(
    ("timeouts", "expected"),
    [
        pytest.param({}, 0.0, id="none means no limit"),
        pytest.param({"request": "15s"}, 15.0, id="request"),
        pytest.param({"request": "1m", "backendRequest": "500ms"}, 0.5, id="the shorter one, as there is one try"),
        pytest.param({"request": "0s"}, 0.0, id="zero disables"),
    ],
)
def test_timeouts(timeouts: dict[str, str], expected: float) -> None:
    """routers:GW-12"""
    rule = {"timeouts": timeouts, "backendRefs": [ref("web", 1)]}
    assert only_route(translate(gateway_objects(http_route(rule)))).timeout == expected


def test_retries_name_the_codes() -> None:
    rule = {"retry": {"codes": [503], "attempts": 2, "backoff": "100ms"}, "backendRefs": [ref("web", 1)]}
    found = only_route(translate(gateway_objects(http_route(rule)))).retry
    assert found == Retry(2, ("connect-failure", "refused-stream", "reset"), codes=(503,), backoff=0.1)


def test_a_filter_that_is_not_served_is_refused_by_name() -> None:
    rule = {"filters": [{"type": "ExtensionRef", "extensionRef": {}}], "backendRefs": [ref("web", 1)]}
    translation = translate(gateway_objects(http_route(rule)))
    assert conditions(translation, parent=0)["Accepted"] == ("False", "UnsupportedValue")
    message = translation.statuses[0].status["parents"][0]["conditions"][0]["message"]
    assert message == "spec.rules[].filters[].type: ExtensionRef is not served by the embedded gateway"


def test_a_gateway_counts_its_routes() -> None:
    translation = translate(gateway_objects(http_route({"backendRefs": [ref("web", 1)]})))
    status = translation.statuses[1].status
    assert status["addresses"] == [{"type": "IPAddress", "value": "127.0.0.1"}]
    assert [(listener["name"], listener["attachedRoutes"]) for listener in status["listeners"]] == [("http", 1)]
    assert conditions(translation, 1) == {"Accepted": ("True", "Accepted"), "Programmed": ("True", "Programmed")}


def test_the_narrower_host_of_listener_and_route_is_served() -> None:
    listeners = gateway(hostname="*.example.com")
    route = http_route({"backendRefs": [ref("web", 1)]}, hostnames=["a.example.com", "*.com", "b.example.org"])
    hosts = translate(gateway_objects(route, gateways=(listeners,))).hosts
    assert [host.domain for host in hosts] == ["a.example.com", "*.example.com"]


@pytest.mark.parametrize(
    ("pattern", "host", "expected"),
    [
        ("*", "a.b", True),
        ("*.b", "a.b", True),
        ("*.b", "*.a.b", True),
        ("*.b", "b", False),
        ("a.b", "*.b", False),
        ("a.b", "a.b", True),
    ],
)
def test_what_a_host_pattern_covers(pattern: str, host: str, expected: bool) -> None:
    assert covers(pattern, host) is expected
