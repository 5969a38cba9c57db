"""`flagger-py routers`: what is listed of each router."""

import json

import pytest
from click.testing import CliRunner

from flagger_py import cli
from flagger_py.api.capabilities import Capabilities, MatchKind
from flagger_py.cli.routers import describe
from flagger_py.objects.plugins import BrokenPlugin, Origin
from flagger_py.routers import registry
from flagger_py.routers.base import Router

EVERYTHING = Capabilities(
    weights=True,
    header_match=frozenset(MatchKind),
    query_match=frozenset({MatchKind.REGEX, MatchKind.EXACT}),
    source_label_match=True,
    mirror_weighted=True,
    mirror_iterations=True,
    mirror_percent=True,
    session_affinity=True,
    primary_cookie=True,
)


class Good(Router):
    @classmethod
    def capabilities(cls, provider: str) -> Capabilities:
        return Capabilities(weights=True, session_affinity=True)


class Raising(Router):
    @classmethod
    def capabilities(cls, provider: str) -> Capabilities:
        raise ZeroDivisionError("no reason")


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three routers: one that works, one that cannot be imported, one that raises when it is asked."""

    def load(provider: str) -> type[Router]:
        if provider == "broken":
            raise BrokenPlugin("provider 'broken' cannot be imported: ImportError: no lib")
        return Good if provider == "good" else Raising

    monkeypatch.setattr(registry, "names", lambda: ("broken", "good", "raising"))
    monkeypatch.setattr(registry, "origin", lambda provider: Origin("acme-routers", "2.0"))
    monkeypatch.setattr(registry, "load", load)


def test_capabilities_are_listed_in_words() -> None:
    assert list(describe(EVERYTHING)) == [
        "weights",
        "header match (exact, prefix, suffix, regex)",
        "query parameter match (exact, regex)",
        "source label match",
        "mirroring (with weights, with iterations, a percentage)",
        "session affinity (primary cookie too)",
    ]
    assert list(describe(Capabilities())) == []


@pytest.mark.usefixtures("plugins")
def test_each_router_is_listed_with_origin_and_capabilities_or_with_its_problem() -> None:
    result = CliRunner().invoke(cli.main, ["routers"])
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "broken  (acme-routers 2.0)",
        "    cannot be used: provider 'broken' cannot be imported: ImportError: no lib",
        "good  (acme-routers 2.0)",
        "    weights; session affinity",
        "raising  (acme-routers 2.0)",
        "    cannot be used: ZeroDivisionError: no reason",
    ]


@pytest.mark.usefixtures("plugins")
def test_the_list_can_be_had_as_json() -> None:
    listed = json.loads(CliRunner().invoke(cli.main, ["routers", "-o", "json"]).output)
    assert listed[1] == {"provider": "good", "origin": "acme-routers 2.0", "capabilities": ["weights", "session affinity"], "problem": ""}


def test_a_name_that_two_distributions_offer_is_listed_as_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def origin(provider: str) -> Origin:
        raise BrokenPlugin("provider 'twice' is offered by a 1 and b 2; uninstall all but one")

    monkeypatch.setattr(registry, "names", lambda: ("twice",))
    monkeypatch.setattr(registry, "origin", origin)
    assert "offered by a 1 and b 2" in CliRunner().invoke(cli.main, ["routers"]).output
