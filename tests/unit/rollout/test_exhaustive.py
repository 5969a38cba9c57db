"""Every state that a disturbance can lead a small rollout to, and the way out of each (design §3).

`ROLLOUT_TROUBLES=2` searches deeper: some 50,000 to 150,000 states for each plan, in minutes instead of seconds.
"""

import os
from dataclasses import replace

import pytest

from flagger_py.api.metadata import FINALIZER
from flagger_py.rollout.questions import QuestionKind
from tests.unit.rollout.moves import NEW_SERVICE, heal
from tests.unit.rollout.simulation import SECOND, weighted_plan
from tests.unit.rollout.state_space import StateSpace

TROUBLES = int(os.environ.get("ROLLOUT_TROUBLES", "1"))
SMALL: dict[str, object] = {"steps": (50,), "max_weight": 50, "threshold": 1, "progress_deadline": 20 * SECOND, "has_metrics": False}
GATES = frozenset({QuestionKind.CONFIRM_ROLLOUT, QuestionKind.CONFIRM_TRAFFIC_INCREASE, QuestionKind.CONFIRM_PROMOTION})


@pytest.mark.timeout(60 + 600 * (TROUBLES - 1))
@pytest.mark.parametrize(
    ("changes", "states"),
    [
        pytest.param({"steps": (20, 40), "max_weight": 40, "threshold": 2}, 3500, id="two steps and a second chance"),
        pytest.param({"step_weight_promotion": 25}, 3000, id="a promotion in stages"),
        pytest.param({"skip_analysis": True}, 1000, id="no analysis"),
        pytest.param({"hooks": GATES}, 4000, id="every gate"),
        pytest.param({"hooks": frozenset({QuestionKind.PRE_ROLLOUT, QuestionKind.POST_ROLLOUT})}, 5000, id="hooks before and after"),
        pytest.param({"hooks": frozenset({QuestionKind.ROLLBACK})}, 6000, id="a rollback hook"),
    ],
)
def test_whatever_happens_the_properties_hold_and_the_newest_revision_is_settled(changes: dict[str, object], states: int) -> None:
    """engine:ACC-18: crashes after each effect, lost pods, hooks and checks that fail, edits of routes, deleted objects, new revisions.

    `Watched` holds each move to the properties; `StateSpace` lets each state heal and looks at where it ends.
    """
    space = StateSpace(weighted_plan(**SMALL | changes), troubles=TROUBLES, limit=500_000)
    space.explore()
    assert len(space.states) > states, "the search has lost its way"


@pytest.mark.timeout(60 + 600 * (TROUBLES - 1))
def test_the_same_holds_for_a_target_without_pods() -> None:
    """workloads:SVC-01, KN-06: a Service, which has no generation either."""
    space = StateSpace(weighted_plan(**SMALL), troubles=TROUBLES, limit=500_000, target=NEW_SERVICE)
    space.explore()
    assert len(space.states) > 800, "the search has lost its way"


@pytest.mark.timeout(60 + 600 * (TROUBLES - 1))
@pytest.mark.parametrize(
    "changes", [pytest.param({}, id="weighted"), pytest.param({"step_weight_promotion": 25}, id="a promotion in stages")]
)
def test_deleted_in_any_of_these_states_it_goes_and_users_are_served(changes: dict[str, object]) -> None:
    """engine:FIN-02, FIN-08, ISS-10: `Watched` holds each pass of the deletion to the order that keeps users served."""
    space = StateSpace(weighted_plan(**SMALL | changes), troubles=TROUBLES, limit=500_000)
    space.explore()
    for key, state in space.states.items():
        simulation = space.thaw(state)
        simulation.plan = replace(simulation.plan, revert_on_deletion=True)
        simulation.edit(finalizers=(FINALIZER,))
        simulation.delete()
        for _ in range(30):
            if simulation.gone or not heal(simulation):
                simulation.now += simulation.plan.interval / 2
            if not simulation.gone:
                simulation.watched_step()
        assert simulation.gone, f"{simulation.decisions[-1].reason} after {space.way_to(key)}"
        assert not any("let go" in text for text in simulation.messages), space.way_to(key)
