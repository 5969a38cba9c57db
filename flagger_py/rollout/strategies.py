"""Strategies: where the traffic goes next. Weighted steps (engine:WGT-*); the other ones join here."""

from flagger_py.rollout.plan import Plan
from flagger_py.rollout.traffic import Routes


def is_at_end(plan: Plan, routes: Routes) -> bool:
    """All steps are done: the next thing is the promotion (engine:WGT-05)."""
    return plan.skip_analysis or routes.canary >= plan.max_weight


def next_routes(plan: Plan, routes: Routes) -> Routes:
    """The next step's split (engine:WGT-03)."""
    canary = plan.next_weight(routes.canary)
    return Routes(100 - canary, canary)


def promotion_routes(plan: Plan, routes: Routes) -> Routes:
    """The next stage of traffic back to the primary: one jump, or `stepWeightPromotion` at a time (engine:SHIFT, WGT-10)."""
    canary = max(0, routes.canary - plan.step_weight_promotion) if plan.step_weight_promotion else 0
    return Routes(100 - canary, canary)
