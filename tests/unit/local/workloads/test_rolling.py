"""How replicas move from old ReplicaSets to the new one."""

from typing import Any

import pytest

from flagger_py.local.workloads.rolling import Bounds, Set, is_scaling, recreate, roll, scale


def deployment(replicas: int, surge: int | str = "25%", unavailable: int | str = "25%", **strategy: Any) -> dict[str, Any]:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"spec": {"replicas": replicas, "strategy": {"type": "RollingUpdate", "rollingUpdate": rolling, **strategy}}}


def counts(name: str, replicas: int, available: int | None = None, **more: Any) -> Set:
    return Set(name, replicas, replicas if available is None else available, replicas, **more)


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        pytest.param(deployment(4), (1, 1), id="a quarter"),
        pytest.param(deployment(1), (1, 0), id="surge rounds up, unavailable down"),
        pytest.param(deployment(10, "30%", 2), (3, 2), id="per cent and number"),
        pytest.param(deployment(1, 0, "25%"), (0, 1), id="one may be unavailable where nothing else could move"),
        pytest.param(deployment(3, type="Recreate"), (0, 0), id="recreate has no bounds"),
    ],
)
def test_bounds(manifest: dict[str, Any], expected: tuple[int, int]) -> None:
    bounds = Bounds.of(manifest)
    assert (bounds.surge, bounds.unavailable) == expected


@pytest.mark.parametrize(
    ("bounds", "new", "old", "expected"),
    [
        pytest.param(Bounds(2, 1, 0), counts("new", 0), [counts("old", 2)], {"new": 1}, id="one more within surge"),
        pytest.param(Bounds(2, 1, 0), counts("new", 1, 0), [counts("old", 2)], {}, id="waits for the new pod"),
        pytest.param(Bounds(2, 1, 0), counts("new", 1), [counts("old", 2)], {"old": 1}, id="an old one goes for it"),
        pytest.param(Bounds(2, 1, 0), counts("new", 2), [counts("old", 1)], {"old": 0}, id="the last old one"),
        pytest.param(Bounds(4, 0, 2), counts("new", 0), [counts("old", 4)], {"old": 2}, id="without surge the old ones go first"),
        pytest.param(Bounds(3, 1, 0), counts("new", 1, 0), [counts("old", 3, 1)], {}, id="nothing while availability is low"),
        pytest.param(
            Bounds(2, 1, 1),
            counts("new", 1, 0),
            [counts("bad", 2, 0, created="1"), counts("good", 1, created="0")],
            {"bad": 0},
            id="unhealthy old pods go first",
        ),
        pytest.param(Bounds(1, 1, 0), counts("new", 3), [], {"new": 1}, id="too many new ones"),
        pytest.param(Bounds(0, 0, 1), counts("new", 0), [counts("old", 2)], {"old": 0}, id="scaled to zero in the middle"),
    ],
)
def test_a_step_of_a_rolling_update(bounds: Bounds, new: Set, old: list[Set], expected: dict[str, int]) -> None:
    assert roll(bounds, new, old) == expected


def test_a_rolling_update_ends_and_never_drops_below_its_bounds() -> None:
    bounds = Bounds.of(deployment(5, 2, 1))
    new, old = counts("new", 0), counts("old", 5)
    for _ in range(50):
        step = roll(bounds, new, [old])
        if not step:
            break
        new, old = counts("new", step.get("new", new.replicas)), counts("old", step.get("old", old.replicas))
        assert 4 <= new.replicas + old.replicas <= 7
    assert (new.replicas, old.replicas) == (5, 0)


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        pytest.param(counts("new", 0), [counts("old", 2)], {"old": 0}, id="old ones end"),
        pytest.param(counts("new", 0), [Set("old", 0, 0, 1)], {}, id="waits until they are gone"),
        pytest.param(counts("new", 0), [counts("old", 0)], {"new": 2}, id="then new ones start"),
    ],
)
def test_recreate(new: Set, old: list[Set], expected: dict[str, int]) -> None:
    assert recreate(Bounds(2, 0, 0), new, old) == expected


@pytest.mark.parametrize(
    ("bounds", "new", "old", "expected"),
    [
        pytest.param(Bounds(0, 1, 0), counts("new", 2), [], {"new": 0}, id="to zero"),
        pytest.param(Bounds(3, 1, 0), counts("new", 0), [counts("old", 0)], {"new": 3}, id="from zero the new one"),
        pytest.param(Bounds(3, 1, 0), counts("new", 3), [], {}, id="nothing to do"),
        pytest.param(
            Bounds(10, 5, 0), counts("new", 5, 0, limit=10), [counts("old", 5, limit=10)], {"new": 8, "old": 7}, id="in proportion"
        ),
        pytest.param(Bounds(2, 0, 0), counts("new", 4, 0, limit=8), [counts("old", 4, limit=8)], {"new": 1, "old": 1}, id="shrinking"),
        pytest.param(Bounds(0, 1, 0), counts("new", 1, 0, limit=3), [counts("old", 2, limit=3)], {"new": 0, "old": 0}, id="both to zero"),
    ],
)
def test_scaling(bounds: Bounds, new: Set, old: list[Set], expected: dict[str, int]) -> None:
    assert scale(bounds, new, old) == expected


def test_a_change_of_replicas_is_seen_by_what_was_asked_for_before() -> None:
    assert is_scaling(Bounds(3, 1, 0), [counts("new", 2, desired=2)])
    assert not is_scaling(Bounds(3, 1, 0), [counts("new", 2, desired=3), counts("old", 0, desired=1)])
