"""What one Canary has to know of the others."""

from flagger_py.controller.fleet import Fleet
from flagger_py.objects.resource import CANARY, Manifest, Ref


def canary(name: str, *, created: str, target: str = "web", phase: str = "Initialized", weight: int = 0) -> Manifest:
    return {
        "metadata": {"name": name, "namespace": "test", "creationTimestamp": created},
        "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}},
        "status": {"phase": phase, "canaryWeight": weight, "failedChecks": 0, "iterations": 0},
    }


def ref(name: str) -> Ref:
    return Ref(CANARY, "test", name)


def test_of_two_canaries_on_one_target_the_older_goes_on() -> None:
    """api:GAP-60, engine:HAZ-36: by creation time, then by name."""
    fleet = Fleet()
    for name, created in (("b", "2026-01-01T00:00:00Z"), ("c", "2026-01-02T00:00:00Z"), ("a", "2026-01-01T00:00:00Z")):
        fleet.note(ref(name), canary(name, created=created))
    assert [fleet.older_owner(ref(name)) for name in "abc"] == [None, ref("a"), ref("a")]
    fleet.forget(ref("a"))
    assert [fleet.older_owner(ref(name)) for name in "bc"] == [None, ref("b")]


def test_a_canary_that_turns_to_another_target_frees_the_first() -> None:
    fleet = Fleet()
    fleet.note(ref("a"), canary("a", created="2026-01-01T00:00:00Z"))
    fleet.note(ref("b"), canary("b", created="2026-01-02T00:00:00Z"))
    fleet.note(ref("a"), canary("a", created="2026-01-01T00:00:00Z", target="other"))
    assert fleet.older_owner(ref("b")) is None


def test_a_manifest_that_cannot_be_parsed_counts_all_the_same() -> None:
    """api:API-16: a poison object must not free its target for a younger one."""
    fleet = Fleet()
    poison = {
        "metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"targetRef": {"kind": "Deployment", "name": "web"}},
    }
    fleet.note(ref("a"), poison)
    fleet.note(ref("b"), canary("b", created="2026-01-02T00:00:00Z"))
    assert fleet.older_owner(ref("b")) == ref("a")


def test_whoever_shares_a_target_is_told_when_another_joins_or_leaves() -> None:
    """The pass of a younger Canary may run before that of the older one that has gone: it is woken once more."""
    fleet, told = Fleet(), list[Ref]()
    fleet.on_rivals_changed(told.append)
    fleet.note(ref("b"), canary("b", created="2026-01-02T00:00:00Z"))
    fleet.note(ref("c"), canary("c", created="2026-01-02T00:00:00Z", target="other"))
    assert not told
    fleet.note(ref("a"), canary("a", created="2026-01-01T00:00:00Z"))
    assert told == [ref("b")]
    fleet.note(ref("a"), canary("a", created="2026-01-01T00:00:00Z"))
    assert told == [ref("b")]
    fleet.forget(ref("a"))
    assert told == [ref("b")] * 2


def test_runs_without_traffic_on_their_canary_are_starting() -> None:
    fleet = Fleet()
    fleet.note(ref("a"), canary("a", created="2026-01-01T00:00:00Z", target="one", phase="Progressing"))
    fleet.note(ref("b"), canary("b", created="2026-01-01T00:00:00Z", target="two", phase="Progressing", weight=10))
    assert (fleet.starting_besides(ref("a")), fleet.starting_besides(ref("b"))) == (0, 1)
    fleet.note(ref("a"), canary("a", created="2026-01-01T00:00:00Z", target="one", phase="Progressing", weight=10))
    assert fleet.starting_besides(ref("b")) == 0
