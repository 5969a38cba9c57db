"""How many decisions per second the core makes on one core: the only part that is measured in this process."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from flagger_py.api.capabilities import Capabilities
from flagger_py.api.decoding import Undecodable, parse_canary
from flagger_py.api.rollout_record import CheckOutcome
from flagger_py.controller.flags import ControllerFlags
from flagger_py.rollout.decide import decide
from flagger_py.rollout.plan import plan_of
from flagger_py.rollout.questions import Answer, QuestionKey, QuestionKind
from flagger_py.rollout.readiness import Ready
from flagger_py.rollout.traffic import Routes
from flagger_py.rollout.verdicts import CheckResult
from flagger_py.rollout.views import PrimaryView, ServicesView, TargetView
from flagger_py.rollout.world import ConfigsView, World
from tests.bench.manifests import STEPS, canary

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
INTERVAL: Final = timedelta(seconds=10)
RUN: Final = "run"
CONFIGS: Final = {f"configmap/config-{number}": "0123456789abcdef" for number in range(10)}


def settled_world() -> World:
    """A Canary with ten configs after its last run: nothing to do."""
    status = {"phase": "Succeeded", "canaryWeight": 0, "rollout": _record(step=len(STEPS), primary=100)}
    return _world(status, Routes(100, 0))


def step_world() -> World:
    """The end of a step's interval, with the answer of the analysis: the next weight is decided on."""
    weight = STEPS[1]
    status = {"phase": "Progressing", "canaryWeight": weight, "rollout": _record(step=2, primary=100 - weight)}
    world = _world(status, Routes(100 - weight, weight))
    checks = tuple(CheckResult(name, 99.9, ">= 99", CheckOutcome.PASS) for name in ("request-success-rate", "request-duration"))
    key = QuestionKey(RUN, 2, 1, QuestionKind.ANALYSIS)
    return replace(world, answers={key: Answer(checks=checks)})


def decisions_per_second(world: World, *, seconds: float = 1.0, at_once: int = 200) -> float:
    """By the CPU time of this process, so that a busy machine counts less."""
    made, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        for _ in range(at_once):
            decide(world, NOW)
        made += at_once
    return made / (time.process_time() - start)


def _record(*, step: int, primary: int) -> dict[str, object]:
    begun = (NOW - INTERVAL).isoformat()
    return {
        "version": 1,
        "run": RUN,
        "revision": "v1:new" if primary < 100 else "v1:one",
        "promotedRevision": "v1:one",
        "step": step,
        "checkNumber": 1,
        "startedAt": begun,
        "stepStartedAt": begun,
        "preRollout": True,
        "desired": {"primary": primary, "canary": 100 - primary},
        "checks": [{"name": "request-success-rate", "value": 99.9, "bound": ">= 99", "result": "pass", "at": begun}],
    }


def _world(status: dict[str, object], routes: Routes) -> World:
    condition = {"type": "Promoted", "status": "Unknown", "reason": status["phase"], "message": "As a run has it."}
    manifest = canary("web", "test", "gatewayapi:v1", INTERVAL)
    manifest["metadata"] |= {"uid": "1", "generation": 1, "resourceVersion": "1"}
    manifest["status"] = {**status, "trackedConfigs": CONFIGS, "conditions": [condition], "observedGeneration": 1}
    parsed = parse_canary(manifest)
    if isinstance(parsed, Undecodable):
        raise TypeError(str(parsed))
    is_running = routes.canary > 0
    return World(
        canary=parsed,
        plan=plan_of(parsed, minimum_interval=ControllerFlags().minimum_interval, capabilities=Capabilities(weights=True)),
        target=TargetView("2", 2, "v1:new" if is_running else "v1:one", 2 if is_running else 0, 2 if is_running else 0, Ready()),
        primary=PrimaryView(2, 2, Ready(), "id"),
        configs=ConfigsView(CONFIGS),
        services=ServicesView(canary=True, primary=True, apex=True),
        routes=routes,
    )
