"""Every strategy with real traffic: who meets the new version is measured on answers, when it is promoted and when it is rolled back."""

from typing import Any

import pytest

from tests.local.site import App, Site
from tests.local.stage import on_stage
from tests.local.test_kills import site_without_election
from tests.local.users import Group, assert_matching_met, groups

ITERATIONS = {"iterations": 2, "stepWeight": None, "maxWeight": None}
REGEX_COOKIE = {"headers": {"cookie": {"regex": r"^(.*;\s*)?tester=yes(;.*)?$"}}}
AB_MATCHES: dict[str, list[dict[str, Any]]] = {
    "gatewayapi:v1": [{"headers": {"x-exact": {"exact": "yes"}}}, {"headers": {"x-present": {"regex": ".*"}}}, REGEX_COOKIE],
    "istio": [
        {"headers": {"x-exact": {"exact": "yes"}}},
        {"headers": {"x-prefix": {"prefix": "inside-"}}},
        {"headers": {"x-present": {"regex": ".*"}}},
        REGEX_COOKIE,
    ],
    "contour": [
        {"headers": {"x-exact": {"exact": "yes"}}},
        {"headers": {"x-prefix": {"prefix": "inside-"}}},
        {"headers": {"cookie": {"suffix": "tester=yes"}}},
    ],
}
MATCHING = {
    "x-exact": Group({"x-exact": "yes"}, matches=True),
    "x-prefix": Group({"x-prefix": "inside-1"}, matches=True),
    "x-present": Group({"x-present": "anything"}, matches=True),
    "cookie": Group({"Cookie": "theme=dark; tester=yes"}, matches=True),
}
OTHERS = {
    "another value": Group({"x-exact": "no", "x-prefix": "outside"}, matches=False),
    "another cookie": Group({"Cookie": "tester=no; theme=yes"}, matches=False),
}


def users_of(provider: str) -> dict[str, Group]:
    """A group for each condition of the provider, and those that meet none."""
    names = {name for match in AB_MATCHES[provider] for name in match["headers"]}
    return {name: group for name, group in MATCHING.items() if name in names} | OTHERS


@pytest.mark.parametrize("provider", AB_MATCHES)
@on_stage(site_without_election)
async def test_an_ab_test_shows_the_new_version_to_matching_users_only(site: Site, provider: str) -> None:
    """engine:AB-01, AB-03, routers:GW-20, IST-18, CON-08: promoted, and rolled back without anybody else having met it."""
    analysis = {**ITERATIONS, "match": AB_MATCHES[provider]}
    users = users_of(provider)
    async with site.app(f"ab-{provider.partition(':')[0]}", provider, rate=20, analysis=analysis) as app, groups(app, users) as loads:
        await app.release("2")
        await app.until_phase("Progressing")
        assert await app.until_phase("Succeeded", "Failed") == "Succeeded", await app.messages()
        assert app.weights.weights == [0, 100, 0]
        assert_matching_met("2", app, users, loads)
        assert await app.primary_version() == "2"
        await fail(app, "3")
        assert_matching_met("3", app, users, loads)
        assert "3" not in app.answers()
        app.assert_only_failures_of()
        await site.assert_no_gateway_failure()


async def fail(app: App, version: str) -> None:
    """Release a version half of whose answers are errors, and see it rolled back."""
    app.weights.forget()
    await app.change_analysis(threshold=2)
    await app.release(version, FAULT_ERROR_PERCENT="50")
    await app.until_phase("Progressing")
    assert await app.until_phase("Succeeded", "Failed") == "Failed"
    await app.until_weight(0)
    assert await app.primary_version() != version
