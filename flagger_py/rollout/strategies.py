"""Strategies: where the traffic goes next (engine:§6). Each is a list of stages that are held for an interval and then analysed.

`rollout.step` counts the stages that were entered. A weighted run finds its next stage by the weight, not by the count, so that a list
that is edited in the middle of a run goes on from where the traffic is (engine:HAZ-22).
"""

from flagger_py.api.effective import Strategy
from flagger_py.rollout.plan import Plan
from flagger_py.rollout.questions import QuestionKind
from flagger_py.rollout.traffic import ALL_CANARY, ALL_PRIMARY, MIRRORED, Routes


def next_stage(plan: Plan, step: int, routes: Routes) -> Routes | None:
    """The traffic of the stage after `step` stages, of which the last left these routes; `None` when the promotion is next."""
    match plan.strategy:
        case Strategy.WEIGHTED:
            return _next_weight(plan, step, routes)
        case Strategy.AB_TESTING:
            return ALL_CANARY if step < plan.iterations else None  # of the matching requests (engine:AB-01)
        case Strategy.BLUE_GREEN:
            return _next_iteration(plan, step)


def _next_weight(plan: Plan, step: int, routes: Routes) -> Routes | None:
    """The next larger weight (engine:WGT-03, WGT-05); before the first one the mirror, where asked for (engine:MIR-01)."""
    if plan.skip_analysis or routes.canary >= plan.max_weight:
        return None
    if plan.mirror and step == 0:
        return MIRRORED
    canary = plan.next_weight(routes.canary)
    return Routes(100 - canary, canary)


def _next_iteration(plan: Plan, step: int) -> Routes | None:
    """N iterations beside the traffic, then one with all of it, where the router can move it (engine:BG-01..04)."""
    if step < plan.iterations:
        return MIRRORED if plan.mirror and plan.routes_weights else ALL_PRIMARY
    if step == plan.iterations:
        return ALL_CANARY if plan.routes_weights else ALL_PRIMARY
    return None


def stages(plan: Plan) -> int:
    """How many stages a whole run has: the step at which its promotion is next."""
    match plan.strategy:
        case Strategy.WEIGHTED:
            return len(plan.steps) + plan.mirror
        case Strategy.AB_TESTING:
            return plan.iterations
        case Strategy.BLUE_GREEN:
            return plan.iterations + 1


def step_of(plan: Plan, routes: Routes, iterations: int, *, is_waiting: bool) -> int:
    """The step that a run of Flagger stands at (engine:RST-05). Behind its promotion gate `iterations` is one too low (HAZ-24)."""
    if plan.strategy is Strategy.WEIGHTED:
        return int(routes != ALL_PRIMARY or iterations != 0)
    if plan.strategy is Strategy.BLUE_GREEN and routes == ALL_CANARY:
        return plan.iterations + 1
    return plan.iterations if is_waiting else min(max(iterations, 0), plan.iterations)


def gate_before(plan: Plan, routes: Routes, following: Routes) -> QuestionKind | None:
    """The gate that lets traffic to the canary: asked where its share rises, so a mirror does not use it up (engine:HAZ-23, BG-02)."""
    if following.canary <= routes.canary or plan.strategy is Strategy.AB_TESTING:
        return None
    return QuestionKind.CONFIRM_TRAFFIC_INCREASE if plan.strategy is Strategy.WEIGHTED else QuestionKind.CONFIRM_PROMOTION


def describe(plan: Plan, step: int, routes: Routes) -> str:
    """What people are told of a stage."""
    if plan.strategy is Strategy.WEIGHTED:
        return f"Advance {plan.canary_name} canary weight {routes.canary}"
    if step > plan.iterations:
        return "Routing all traffic to canary" if plan.routes_weights else f"Last check of {plan.canary_name} before the promotion"
    return f"Advance {plan.canary_name} canary iteration {step}/{plan.iterations}"


def promotion_routes(plan: Plan, routes: Routes) -> Routes:
    """The next stage of traffic back to the primary: one jump, or `stepWeightPromotion` at a time (engine:SHIFT, WGT-10)."""
    canary = max(0, routes.canary - plan.step_weight_promotion) if plan.step_weight_promotion else 0
    return Routes(100 - canary, canary)
