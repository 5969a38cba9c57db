"""Routes as Envoy's configuration."""

from typing import Any

import pytest

from flagger_py.local.envoy.model import (
    Backend,
    Cors,
    HeaderChanges,
    Match,
    Mirror,
    PathKind,
    PathMatch,
    Redirect,
    Retry,
    Rewrite,
    Route,
    RouteTable,
    ValueKind,
    ValueMatch,
    VirtualHost,
    WeightedBackend,
    merge_hosts,
)
from flagger_py.local.envoy.routes import render_route, route_configurations, seconds

PRIMARY, CANARY = Backend("test", "web-primary", 80), Backend("test", "web-canary", 80)
BOTH = (WeightedBackend(PRIMARY, 90), WeightedBackend(CANARY, 10))


def rendered(**route: Any) -> dict[str, Any]:
    return render_route(Route(**{"match": Match(), "source": "s", "backends": BOTH, **route}))


def action(**route: Any) -> dict[str, Any]:
    found: dict[str, Any] = rendered(**route)["route"]
    return found


def test_a_weighted_route_whole() -> None:
    assert rendered() == {
        "name": "s",
        "match": {"prefix": "/"},
        "route": {
            "weighted_clusters": {
                "clusters": [{"name": "test/web-primary/80", "weight": 90}, {"name": "test/web-canary/80", "weight": 10}]
            },
            "cluster_not_found_response_code": "INTERNAL_SERVER_ERROR",
        },
    }


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param(PathMatch(PathKind.EXACT, "/a"), {"path": "/a"}, id="exact"),
        pytest.param(PathMatch(PathKind.PREFIX, "/a/"), {"path_separated_prefix": "/a"}, id="segments"),
        pytest.param(PathMatch(PathKind.STRING_PREFIX, "/a", True), {"prefix": "/a", "case_sensitive": False}, id="string prefix"),
        pytest.param(PathMatch(PathKind.REGEX, "/a.*"), {"safe_regex": {"regex": "/a.*"}}, id="regex"),
    ],
)
def test_paths(path: PathMatch, expected: dict[str, Any]) -> None:
    assert rendered(match=Match(path))["match"] == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (ValueMatch("x", ValueKind.EXACT, "1"), {"name": "x", "string_match": {"exact": "1"}}),
        (ValueMatch("x", ValueKind.REGEX, "a.*"), {"name": "x", "string_match": {"safe_regex": {"regex": "a.*"}}}),
        (ValueMatch("x", ValueKind.CONTAINS, "a", ignore_case=True), {"name": "x", "string_match": {"contains": "a", "ignore_case": True}}),
        (ValueMatch("x", ValueKind.PRESENT, inverted=True), {"name": "x", "present_match": True, "invert_match": True}),
    ],
)
def test_header_conditions(header: ValueMatch, expected: dict[str, Any]) -> None:
    assert rendered(match=Match(headers=(header,)))["match"]["headers"] == [expected]


def test_a_method_is_a_pseudo_header_and_a_query_a_condition() -> None:
    match = Match(method=ValueMatch(":method", ValueKind.EXACT, "GET"), query=(ValueMatch("v", ValueKind.EXACT, "2"),))
    assert rendered(match=match)["match"] == {
        "prefix": "/",
        "headers": [{"name": ":method", "string_match": {"exact": "GET"}}],
        "query_parameters": [{"name": "v", "string_match": {"exact": "2"}}],
    }


def test_header_changes_escape_commands_and_keep_what_was_just_set() -> None:
    changes = HeaderChanges((("a", "100%"),), (("b", "2"),), ("A", "c"))
    found = rendered(response=changes)
    assert found["response_headers_to_add"] == [
        {"header": {"key": "a", "value": "100%%"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD", "keep_empty_value": True},
        {"header": {"key": "b", "value": "2"}, "append_action": "APPEND_IF_EXISTS_OR_ADD", "keep_empty_value": True},
    ]
    assert found["response_headers_to_remove"] == ["c"]


@pytest.mark.parametrize(
    ("rewrite", "path", "expected"),
    [
        pytest.param(Rewrite("inner"), "/", {"host_rewrite_literal": "inner"}, id="host"),
        pytest.param(Rewrite(prefix="/x"), "/a", {"prefix_rewrite": "/x"}, id="prefix"),
        pytest.param(
            Rewrite(prefix="/"), "/a.b", {"regex_rewrite": {"pattern": {"regex": "^/a\\.b/*"}, "substitution": "/"}}, id="prefix to root"
        ),
        pytest.param(
            Rewrite(full_path="/x\\1"), "/", {"regex_rewrite": {"pattern": {"regex": "^/.*$"}, "substitution": "/x\\\\1"}}, id="whole path"
        ),
    ],
)
def test_rewrites(rewrite: Rewrite, path: str, expected: dict[str, Any]) -> None:
    found = action(rewrite=rewrite, match=Match(PathMatch(PathKind.PREFIX, path)))
    assert {key: found[key] for key in expected} == expected


def test_a_share_without_a_backend_goes_to_a_cluster_that_does_not_exist() -> None:
    clusters = action(backends=(WeightedBackend(None, 1),))["weighted_clusters"]["clusters"]
    assert clusters == [{"name": "unresolved", "weight": 1}]


@pytest.mark.parametrize("backends", [(), (WeightedBackend(PRIMARY, 0),)])
def test_no_weight_at_all_is_answered_500(backends: tuple[WeightedBackend, ...]) -> None:
    assert rendered(backends=backends)["direct_response"] == {"status": 500}


def test_a_redirect() -> None:
    assert rendered(redirect=Redirect("https", code=301))["redirect"] == {"response_code": "MOVED_PERMANENTLY", "scheme_redirect": "https"}


def test_mirrors_are_fractions_of_a_million() -> None:
    fraction = {"default_value": {"numerator": 5000, "denominator": "MILLION"}}
    assert action(mirrors=(Mirror(CANARY, 0.5),))["request_mirror_policies"] == [
        {"cluster": "test/web-canary/80", "runtime_fraction": fraction}
    ]


def test_retries_and_timeouts() -> None:
    found = action(retry=Retry(3, ("5xx",), 1.5, (503,), 0.1), timeout=15.0, idle_timeout=300.0)
    assert (found["timeout"], found["idle_timeout"]) == ("15s", "300s")
    assert found["retry_policy"] == {
        "retry_on": "5xx,retriable-status-codes",
        "num_retries": 3,
        "per_try_timeout": "1.5s",
        "retriable_status_codes": [503],
        "retry_back_off": {"base_interval": "0.1s"},
    }


def test_cors_is_a_setting_of_the_filter() -> None:
    cors = Cors((ValueMatch("origin", ValueKind.EXACT, "https://a"),), ("GET", "PUT"), ("x-e",), credentials=True, max_age=60)
    policy = rendered(cors=cors)["typed_per_filter_config"]["envoy.filters.http.cors"]
    assert {key: value for key, value in policy.items() if key != "@type"} == {
        "allow_origin_string_match": [{"exact": "https://a"}],
        "allow_methods": "GET,PUT",
        "allow_headers": "x-e",
        "allow_credentials": True,
        "max_age": "60",
    }


def test_each_port_has_a_configuration_of_its_own_even_without_hosts() -> None:
    table = RouteTable((80, 81), (VirtualHost(80, "*", (Route(Match(), "s", BOTH),)),))
    found = route_configurations(table)
    assert {port: len(entry["virtual_hosts"]) for port, entry in found.items()} == {80: 1, 81: 0}
    assert found[80]["name"] == "http-80"


def test_backends_are_those_of_routes_and_mirrors() -> None:
    route = Route(Match(), "s", (WeightedBackend(PRIMARY, 1), WeightedBackend(None, 1)), mirrors=(Mirror(CANARY),))
    assert RouteTable((80,), (VirtualHost(80, "*", (route,)),)).backends() == (CANARY, PRIMARY)


def test_hosts_of_one_name_are_merged_in_order() -> None:
    first, second = Route(Match(), "1"), Route(Match(), "2")
    merged = merge_hosts((VirtualHost(80, "a", (first,)), VirtualHost(81, "a", ()), VirtualHost(80, "a", (second,))))
    assert merged == (VirtualHost(80, "a", (first, second)), VirtualHost(81, "a", ()))


@pytest.mark.parametrize(("value", "expected"), [(15.0, "15s"), (0.25, "0.25s"), (0.0, "0s")])
def test_durations(value: float, expected: str) -> None:
    assert seconds(value) == expected
