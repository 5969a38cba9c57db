"""What holds for every Canary that a router accepts."""

import asyncio
import random
import re
from copy import deepcopy
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import Manifest
from flagger_py.rollout.traffic import Routes, Traffic
from flagger_py.routers.base import RouterError
from flagger_py.routers.cookies import cookie_pattern, escaped
from tests.unit.routers.memory import MemoryObjects
from tests.unit.routers.samples import COOKIES, SPLITTING, canary_of, route_of, router_of

PROPERTY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])

names = st.sampled_from(["x-a", "x-b", "x-c"])
comparisons = st.dictionaries(st.sampled_from(["exact", "regex"]), st.sampled_from(["1", "two.*"]), min_size=1, max_size=1)
conditions = st.dictionaries(names, comparisons, max_size=3)
matches = st.fixed_dictionaries(
    {},
    optional={
        "uri": st.sampled_from([{"prefix": "/shop"}, {"exact": "/cart"}, {"regex": "/v.*"}, {"prefix": "/"}]),
        "method": st.just({"exact": "GET"}),
        "headers": conditions,
        "queryParams": conditions,
    },
)
operations = st.fixed_dictionaries(
    {}, optional={"add": st.dictionaries(names, st.just("1"), max_size=3), "set": st.dictionaries(names, st.just("2"), max_size=2)}
)
services = st.fixed_dictionaries(
    {},
    optional={
        "hosts": st.lists(st.sampled_from(["a.example", "b.example", "*"]), unique=True, max_size=3),
        "timeout": st.sampled_from(["", "5s"]),
        "match": st.lists(matches, max_size=3),
        "retries": st.fixed_dictionaries({"attempts": st.integers(0, 3), "retryOn": st.sampled_from(["", "5xx, reset"])}),
        "rewrite": st.sampled_from([{"uri": "/"}, {"authority": "b.example"}, {}]),
        "headers": st.fixed_dictionaries({}, optional={"request": operations, "response": operations}),
        "corsPolicy": st.fixed_dictionaries(
            {"allowOrigin": st.just(["*"])},
            optional={"maxAge": st.just("24h"), "allowCredentials": st.booleans(), "allowHeaders": st.just([])},
        ),
        "apex": st.just({"labels": {"team": "shop"}}),
    },
)
affinities = st.fixed_dictionaries(
    {"cookieName": st.just("canary-ck")},
    optional={"primaryCookieName": st.just("primary-ck"), "path": st.just("/"), "secure": st.booleans()},
)
analyses: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"sessionAffinity": affinities}),
    st.fixed_dictionaries({"match": st.lists(st.fixed_dictionaries({"headers": conditions.filter(bool)}), min_size=1, max_size=2)}),
)
splits = st.integers(0, 100).map(lambda canary: Traffic(Routes(100 - canary, canary), COOKIES))
seeds = st.integers(0, 2**16)


@st.composite
def canaries(draw: st.DrawFn) -> Canary:
    """A Canary that its router accepts."""
    canary = canary_of(draw(st.sampled_from(SPLITTING)), service=draw(services), analysis=draw(analyses))
    try:
        router_of(canary.spec.provider).render(canary, Traffic(Routes(50, 50), COOKIES), {})
    except RouterError:
        assume(False)
    return canary


@PROPERTY
@given(canaries(), splits, splits)
def test_the_weights_that_are_set_are_read(canary: Canary, first: Traffic, then: Traffic) -> None:
    """routers:CTR-02: whatever stood there before."""

    async def check() -> None:
        router = router_of(canary.spec.provider, MemoryObjects())
        for traffic in (first, then):
            await router.set_routes(canary, traffic)
            assert await router.get_routes(canary) == traffic.routes

    asyncio.run(check())


@PROPERTY
@given(canaries(), splits, seeds)
def test_the_form_in_which_a_server_keeps_it_is_no_drift(canary: Canary, traffic: Traffic, seed: int) -> None:
    """routers:GW-B1, GW-B2, GW-B3, IST-25, CTR-09: defaults, order and zero values."""

    async def check() -> None:
        objects = MemoryObjects()
        router = router_of(canary.spec.provider, objects)
        await router.set_routes(canary, traffic)
        for ref in list(objects.stored):
            objects.edit(ref, lambda manifest: reform(manifest["spec"], random.Random(seed)))
        objects.writes.clear()
        await router.set_routes(canary, traffic)
        assert objects.writes == []

    asyncio.run(check())


@PROPERTY
@given(canaries(), splits, splits)
def test_what_others_own_survives(canary: Canary, first: Traffic, then: Traffic) -> None:
    """routers:CTR-09, GW-B4, CON-12, UPS-02, UPS-11."""

    async def check() -> None:
        objects = MemoryObjects()
        router = router_of(canary.spec.provider, objects)
        await router.set_routes(canary, first)
        route = route_of(router, canary)
        objects.edit(route, add_foreign)
        await router.set_routes(canary, then)
        assert foreign(objects.stored[route]) == foreign(added(objects.stored[route]))
        assert await router.get_routes(canary) == then.routes

    asyncio.run(check())


@PROPERTY
@given(canaries(), splits)
def test_rendering_is_a_function_of_its_input(canary: Canary, traffic: Traffic) -> None:
    """What is rendered over itself is itself."""
    router = router_of(canary.spec.provider)
    once = router.render(canary, traffic, {})
    assert router.render(canary, traffic, deepcopy(once)) == once


tokens = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=';=",\\ '), min_size=1, max_size=8)


@given(tokens, tokens)
def test_a_cookie_is_found_among_others_and_only_itself(name: str, value: str) -> None:
    """routers:SA-14: escaped and anchored."""
    pattern = re.compile(cookie_pattern(f"{name}={value}"))
    for header in (f"{name}={value}", f"a=b; {name}={value}", f"{name}={value}; a=b", f"a=b;{name}={value};c=d"):
        assert pattern.fullmatch(header)
    for header in (f"x{name}={value}", f"{name}={value}x", f"{name}=; z{name}={value}", f"a={name}={value}"):
        assert not pattern.fullmatch(header)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_an_escaped_text_matches_itself(text: str) -> None:
    assert re.fullmatch(escaped(text), text)


def reform(part: Any, chance: random.Random) -> None:
    """Reorder lists that are keyed or sets, and add zero values and empty members, as some server might."""
    if isinstance(part, list):
        for item in part:
            reform(item, chance)
    if isinstance(part, dict):
        for key, value in part.items():
            reform(value, chance)
            if key in ("queryParams", "add", "set", "hostnames", "parentRefs", "hosts", "gateways") and isinstance(value, list):
                chance.shuffle(value)
            if key in ("headers", "matches") and isinstance(value, list):
                chance.shuffle(value)
        if "allowMethods" not in part and "allowOrigin" in part:
            part["allowMethods"] = []
            part.setdefault("allowCredentials", False)
        if "destination" in part and part.get("weight") == 0 and chance.random() < 0.5:
            del part["weight"]


def add_foreign(manifest: Manifest) -> None:
    """A user's own rule, field, label and annotation."""
    manifest.update(added(manifest))


def added(manifest: Manifest) -> Manifest:
    changed = deepcopy(manifest)
    changed["metadata"]["annotations"]["theirs"] = "1"
    changed["metadata"].setdefault("labels", {})["theirs"] = "1"
    spec = changed["spec"]
    spec["theirs"] = {"a": "b"}
    rules, rule = {
        "HTTPRoute": ("rules", {"backendRefs": [{"name": "other", "port": 1}], "filters": [{"type": "ExtensionRef"}]}),
        "VirtualService": (
            "http",
            {"match": [{"port": 9}], "route": [{"destination": {"host": "other"}}], "fault": {"delay": {"fixedDelay": "1s"}}},
        ),
        "HTTPProxy": ("routes", {"conditions": [{"prefix": "/other"}], "services": [{"name": "other", "port": 1}], "permitInsecure": True}),
    }[changed["kind"]]
    if not any("other" in str(found) for found in spec[rules]):
        spec[rules].append(rule)
    for found in spec[rules]:
        found["theirs"] = "kept"
    return changed


def foreign(manifest: Manifest) -> Any:
    """What `added` puts in."""
    spec = manifest["spec"]
    rules = spec.get("rules") or spec.get("http") or spec.get("routes")
    others = [rule for rule in rules if "'other'" in str(rule)]
    metadata = manifest["metadata"]
    return spec["theirs"], [rule["theirs"] for rule in rules], [rule | {"matches": 0} for rule in others], metadata["labels"]["theirs"]
