"""A gateway that does not take over the routes: held, told, and asked to look again (routers:GW-15, UPS-05)."""

from flagger_py.rollout.effects import NudgeRoutes, SetTraffic
from flagger_py.rollout.traffic import Pending, Routes
from tests.unit.rollout.simulation import Simulation

BEHIND = Pending("HTTPRoute test/web: parent gateway has not seen generation 2 yet (it is at 1)", Routes(80, 20))


def nudges(simulation: Simulation) -> int:
    return sum(isinstance(effect, NudgeRoutes) for decision in simulation.decisions for effect in decision.effects)


class LateGateway(Simulation):
    """Never says that it has taken over a weight for the canary."""

    is_late = True

    def apply(self, effect: object) -> None:
        super().apply(effect)  # type: ignore[arg-type]  # the union of effects, as the base takes it
        if isinstance(effect, SetTraffic) and self.is_late and effect.traffic.routes.canary:
            self.routes = BEHIND


def test_a_gateway_that_is_behind_for_an_interval_is_told_of_and_nudged() -> None:
    simulation = LateGateway().initialise()
    simulation.release("v1:two")
    simulation.settle()
    simulation.advance(2)
    simulation.advance(9)
    assert nudges(simulation) == 0
    simulation.advance(2)
    assert nudges(simulation) > 0
    assert any("has not seen generation 2 yet" in message for message in simulation.messages)
    assert simulation.canary.status.canary_weight == 20


def test_the_step_begins_when_the_gateway_has_caught_up() -> None:
    simulation = LateGateway().initialise()
    simulation.release("v1:two")
    simulation.settle()
    simulation.advance(30)
    simulation.is_late, simulation.routes = False, Routes(80, 20)
    simulation.advance(1)
    simulation.advance(9)
    assert simulation.canary.status.canary_weight == 20
    simulation.advance(1)
    assert simulation.canary.status.canary_weight == 40
    assert simulation.canary.status.rollout
    assert simulation.canary.status.rollout.unready_since.routes is None
