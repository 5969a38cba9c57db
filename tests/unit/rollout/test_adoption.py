"""First contact with what Flagger left behind, phase by phase (engine:RST-05, STS-09, design §6)."""

from dataclasses import replace

import pytest

from flagger_py.api.status import CanaryStatus, Phase
from flagger_py.rollout.effects import Adopt
from flagger_py.rollout.readiness import Ready
from flagger_py.rollout.traffic import ALL_CANARY, ALL_PRIMARY, Pending, Routes
from flagger_py.rollout.turn import UNKNOWN_REVISION
from flagger_py.rollout.views import PrimaryView, ServicesView, TargetView
from flagger_py.rollout.world import FirstContact, World
from tests.unit.rollout.simulation import SECOND, START, manifest, weighted_plan
from tests.unit.rollout.situations import DEAD, NOT_READY, ONE, THREE, TWO, primary_becomes, saying
from tests.unit.rollout.watched import Watched

IN_PLACE = ServicesView(canary=True, primary=True, apex=True)
FLAGGER_ID = "2c1f2f0e-5d0b-4c8e-9a5e-0d3c6a9b7f11"
OLD, NEW = {"configmap/web": "0123456789abcdef"}, {"configmap/web": "fedcba9876543210"}


class Adopted(Watched):
    """Knows what the primary's template really is, as the live reads of first contact do."""

    def world(self) -> World:
        matches = self.target is not None and self.target.revision == self.primary_revision
        return replace(super().world(), first_contact=FirstContact(matches) if self.primary else None)


def left_by_flagger(
    phase: Phase,
    *,
    target: str,
    up: bool,
    primary: str = ONE,
    routes: Routes | Pending = ALL_PRIMARY,
    weight: int = 0,
    iterations: int = 0,
    stored: dict[str, str] | None = None,
    live: dict[str, str] | None = None,
) -> Adopted:
    """One row of the table of engine:RST-05."""
    status = CanaryStatus(
        phase=phase,
        canary_weight=weight,
        iterations=iterations,
        tracked_configs=stored,
        last_transition_time=START,
        last_applied_spec="859f8dc857",
    )
    pods = 2 if up else 0
    return Adopted(
        plan=weighted_plan(),
        answer=saying(),
        canary=manifest().model_copy(update={"status": status}),
        now=START + 4 * SECOND,
        target=TargetView("t-1", 7, target, pods, pods, Ready()),
        primary=PrimaryView(2, 2, Ready(), FLAGGER_ID),
        primary_revision=primary,
        services=IN_PLACE,
        routes=routes,
        checksums=live if live is not None else (stored or {}),
    )


def take_over(simulation: Adopted) -> None:
    """The first pass; it only writes the record, and keeps the primary's template."""
    target, routes = simulation.target, simulation.routes
    decision = simulation.watched_step()
    assert (simulation.target, simulation.routes) == (target, routes), "nothing is touched"
    assert decision.effects == (Adopt(),)


@pytest.mark.parametrize("phase", [Phase.INITIALIZED, Phase.SUCCEEDED, Phase.FAILED])
def test_a_settled_canary_whose_primary_equals_the_target_starts_no_run(phase: Phase) -> None:
    """engine:STS-09, workloads:GEN-20."""
    simulation = left_by_flagger(phase, target=ONE, up=False)
    take_over(simulation)
    simulation.settle()
    assert simulation.phase() is phase
    assert (simulation.record.revision, simulation.record.promoted_revision) == (ONE, ONE)
    simulation.release(TWO)
    simulation.settle()
    assert simulation.phase() is Phase.PROGRESSING


@pytest.mark.parametrize("phase", [Phase.INITIALIZED, Phase.SUCCEEDED])
def test_a_revision_that_came_while_no_controller_ran_is_run(phase: Phase) -> None:
    """engine:STS-09: unknown format is never unchanged without a comparison."""
    simulation = left_by_flagger(phase, target=TWO, up=False)
    take_over(simulation)
    assert simulation.record.promoted_revision == UNKNOWN_REVISION
    simulation.settle()
    assert (simulation.phase(), simulation.record.revision) == (Phase.PROGRESSING, TWO)


@pytest.mark.parametrize("phase", [Phase.INITIALIZED, Phase.SUCCEEDED, Phase.WAITING])
def test_a_config_that_changed_while_no_controller_ran_is_run(phase: Phase) -> None:
    """engine:REV-04, workloads:CFG-07, CFG-11: Flagger's checksums are comparable."""
    simulation = left_by_flagger(phase, target=ONE, up=False, stored=OLD, live=NEW)
    take_over(simulation)
    simulation.settle()
    assert (simulation.phase(), simulation.status.tracked_configs) == (Phase.PROGRESSING, NEW)


def test_a_failed_revision_is_not_run_again_and_setting_back_the_promoted_one_is_a_revert() -> None:
    """engine:STS-09, ACC-11."""
    simulation = left_by_flagger(Phase.FAILED, target=TWO, up=False)
    take_over(simulation)
    simulation.settle()
    assert simulation.phase() is Phase.FAILED
    simulation.release(ONE)
    simulation.settle()
    assert simulation.phase() is Phase.FAILED
    assert simulation.record.promoted_revision == ONE
    simulation.release(TWO)
    simulation.settle()
    assert simulation.phase() is Phase.PROGRESSING


def test_after_a_failed_promotion_the_canary_goes_on_serving() -> None:
    """engine:RST-05, HAZ-19, workloads:ST-11."""
    simulation = left_by_flagger(Phase.FAILED, target=TWO, up=True, primary=TWO, routes=ALL_CANARY, weight=100)
    primary_becomes(simulation, DEAD)
    take_over(simulation)
    simulation.settle()
    assert (simulation.phase(), simulation.routes) == (Phase.FAILED, ALL_CANARY)
    primary_becomes(simulation, Ready())
    simulation.advance()
    simulation.advance()
    assert (simulation.phase(), simulation.routes) == (Phase.SUCCEEDED, ALL_PRIMARY)


def test_waiting_goes_on_waiting_for_the_gate() -> None:
    """engine:RST-05."""
    simulation = left_by_flagger(Phase.WAITING, target=TWO, up=False)
    take_over(simulation)
    simulation.settle()
    assert (simulation.phase(), simulation.record.revision) == (Phase.PROGRESSING, TWO)


@pytest.mark.parametrize(
    ("phase", "routes", "weight", "iterations", "step"),
    [
        pytest.param(Phase.PROGRESSING, ALL_PRIMARY, 0, 0, 0, id="just started"),
        pytest.param(Phase.PROGRESSING, Routes(80, 20), 20, 0, 1, id="weighted"),
        pytest.param(Phase.PROGRESSING, Routes(80, 20), 0, 0, 1, id="engine:HAZ-01 stopped before the weight was stored"),
        pytest.param(Phase.WAITING_PROMOTION, Routes(60, 40), 0, -1, 1, id="engine:ISS-03 weight 0 behind the promotion gate"),
        pytest.param(Phase.PROGRESSING, Pending("not accepted yet"), 20, 0, 1, id="routes that cannot be read at the moment"),
    ],
)
def test_a_run_goes_on_with_the_weights_where_they_are(
    phase: Phase, routes: Routes | Pending, weight: int, iterations: int, step: int
) -> None:
    """engine:RST-05, RST-02."""
    simulation = left_by_flagger(phase, target=TWO, up=True, routes=routes, weight=weight, iterations=iterations)
    take_over(simulation)
    seen = routes if isinstance(routes, Routes) else Routes(80, 20)
    assert (simulation.phase(), simulation.record.step, simulation.status.canary_weight) == (phase, step, seen.canary)
    simulation.routes = seen
    simulation.now += 5 * SECOND
    simulation.settle()
    assert simulation.weight == (seen.canary or 20), "the rest of Flagger's interval is waited for"
    for _ in range(5):
        simulation.advance()
    assert (simulation.phase(), simulation.primary_revision) == (Phase.SUCCEEDED, TWO)


@pytest.mark.parametrize("phase", [Phase.PROMOTING, Phase.FINALISING])
def test_a_promotion_goes_on(phase: Phase) -> None:
    """engine:RST-05: without a second roll of the primary."""
    routes = Routes(60, 40) if phase is Phase.PROMOTING else ALL_PRIMARY
    simulation = left_by_flagger(phase, target=TWO, up=True, primary=TWO, routes=routes, weight=routes.canary)
    take_over(simulation)
    for _ in range(3):
        simulation.advance()
    assert simulation.phase() is Phase.SUCCEEDED
    assert simulation.primary
    assert simulation.primary.promotion_id == FLAGGER_ID


@pytest.mark.parametrize("phase", [Phase.PROMOTING, Phase.FINALISING])
def test_a_revision_that_came_during_the_promotion_is_not_taken_for_promoted(phase: Phase) -> None:
    """engine:REV-01, REV-02, HAZ-17: the primary carries what was analysed."""
    simulation = left_by_flagger(phase, target=THREE, up=True, primary=TWO, routes=ALL_PRIMARY)
    take_over(simulation)
    assert simulation.record.promoted_revision == UNKNOWN_REVISION
    for _ in range(6):
        simulation.advance()
    assert (simulation.phase(), simulation.primary_revision) == (Phase.SUCCEEDED, THREE)
    assert sum("New revision detected" in message for message in set(simulation.messages)) == 1


def test_an_unready_primary_holds_the_promotion_that_is_taken_over() -> None:
    """engine:RST-05, ST-27."""
    simulation = left_by_flagger(Phase.PROMOTING, target=TWO, up=True, primary=TWO, routes=Routes(60, 40), weight=40)
    primary_becomes(simulation, NOT_READY)
    take_over(simulation)
    simulation.advance(30)
    assert (simulation.phase(), simulation.weight) == (Phase.PROMOTING, 40)


@pytest.mark.parametrize("phase", [Phase.NONE, Phase.INITIALIZING])
@pytest.mark.parametrize("target", [ONE, TWO], ids=["equal", "different"])
def test_a_primary_that_exists_is_the_promoted_revision_and_a_different_target_is_a_run(phase: Phase, target: str) -> None:
    """engine:RST-05, workloads:DEP-04: a restored backup is never promoted silently."""
    simulation = left_by_flagger(phase, target=target, up=True)
    simulation.services = ServicesView(canary=True, primary=True, apex=False)
    simulation.routes = Pending("it does not exist yet")
    take_over(simulation)
    simulation.settle()
    assert simulation.phase() is (Phase.INITIALIZED if target == ONE else Phase.PROGRESSING)
    assert simulation.services.apex
    assert simulation.primary
    assert simulation.primary.promotion_id == FLAGGER_ID


def test_initialising_without_a_primary_begins() -> None:
    """engine:RST-05."""
    simulation = left_by_flagger(Phase.INITIALIZING, target=ONE, up=True)
    simulation.primary = None
    simulation.services = replace(IN_PLACE, apex=False)
    simulation.settle()
    assert (simulation.phase(), simulation.primary_revision) == (Phase.INITIALIZED, ONE)


@pytest.mark.parametrize("missing", ["target", "primary"])
def test_a_run_is_not_taken_over_while_half_of_it_is_missing(missing: str) -> None:
    """engine:RST-05: it is looked at again until both are there."""
    simulation = left_by_flagger(Phase.PROGRESSING, target=TWO, up=True, routes=Routes(80, 20), weight=20)
    target, primary = simulation.target, simulation.primary
    if missing == "target":
        simulation.target = None
    else:
        simulation.primary = None
    decision = simulation.watched_step()
    assert decision.retry
    assert missing in decision.reason
    assert simulation.status.rollout is None
    simulation.target, simulation.primary = target, primary
    simulation.settle()
    assert (simulation.phase(), simulation.weight) == (Phase.PROGRESSING, 20)
