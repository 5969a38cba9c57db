"""The worlds of the micro benchmark are what they claim to be."""

from flagger_py.rollout.decide import decide
from flagger_py.rollout.effects import SetTraffic
from tests.bench.core import NOW, settled_world, step_world
from tests.bench.manifests import STEPS


def test_on_the_settled_canary_there_is_nothing_to_do() -> None:
    world = settled_world()
    decision = decide(world, NOW)
    assert decision.status is world.canary.status
    assert (decision.notices, decision.questions, decision.wake_at) == ((), (), None)


def test_on_the_weighted_step_the_next_weight_is_set() -> None:
    decision = decide(step_world(), NOW)
    assert decision.status.canary_weight == STEPS[2]
    assert [effect.traffic.routes.canary for effect in decision.effects if isinstance(effect, SetTraffic)] == [STEPS[2]]
