"""Rules about the strategy: steps, iterations, mirroring, session affinity, and what the provider can do of it."""

from collections.abc import Iterator
from itertools import pairwise

from flagger_py.api import effective, support
from flagger_py.api.analysis import Analysis, SessionAffinity
from flagger_py.api.canary import Canary
from flagger_py.api.capabilities import Capabilities
from flagger_py.api.effective import Strategy
from flagger_py.api.problems import Problem, invalid, not_supported, warning
from flagger_py.api.providers import KUBERNETES
from flagger_py.api.support import Area
from flagger_py.api.validation.context import Context

_PATH = "spec.analysis"
_FEATURES = {
    Strategy.WEIGHTED: support.WEIGHTED,
    Strategy.AB_TESTING: support.AB_TESTING,
    Strategy.BLUE_GREEN: support.BLUE_GREEN,
}


def strategy_problems(canary: Canary, context: Context) -> Iterator[Problem]:
    """Everything that is wrong with how the new version is to be tried."""
    analysis = effective.analysis_of(canary)
    provider = effective.provider(canary, context.provider)
    yield from _step_problems(analysis)
    yield from _deadline_problems(canary)
    yield from _support_problems(canary, provider)
    yield from _weights_problems(canary, provider, context.capabilities(provider))
    yield from _mirror_problems(canary, provider, context.capabilities(provider))
    if analysis.session_affinity:
        yield from _affinity_problems(analysis, provider, context.capabilities(provider))
        yield from _cookie_problems(analysis.session_affinity)


def _step_problems(analysis: Analysis) -> Iterator[Problem]:
    steps = analysis.step_weights
    if any(following <= weight for weight, following in pairwise(steps)):
        yield invalid(f"{_PATH}.stepWeights", list(steps), "must rise strictly, such as [10, 20, 50]", "GAP-04")
    if steps and analysis.has("max_weight"):
        yield warning(f"{_PATH}.maxWeight", analysis.max_weight, f"is ignored: the last of stepWeights ({steps[-1]}) counts", "GAP-05")
    elif analysis.step_weight > 0:
        yield from _overshoot_problems(analysis)
    if analysis.match and not analysis.iterations:
        message = "applies to matching requests only; an A/B test needs iterations instead of step weights"
        yield warning(f"{_PATH}.match", None, message, "GAP-09")


def _overshoot_problems(analysis: Analysis) -> Iterator[Problem]:
    weights, end = effective.weight_steps(analysis), effective.max_weight(analysis)
    if analysis.has("max_weight") and weights and weights[-1] > end:
        message = f"goes beyond maxWeight {end}: the steps are {', '.join(map(str, weights))}"
        yield warning(f"{_PATH}.stepWeight", analysis.step_weight, message, "GAP-06")


def _deadline_problems(canary: Canary) -> Iterator[Problem]:
    if canary.spec.progress_deadline_seconds == 0:
        yield warning("spec.progressDeadlineSeconds", 0, "rolls back as soon as a pod is not ready", "GAP-54")


def _support_problems(canary: Canary, provider: str) -> Iterator[Problem]:
    """Strategies that this version lacks. Where the analysis is skipped it needs none."""
    analysis = canary.spec.analysis
    if analysis is None or effective.is_analysis_skipped(canary):
        return
    strategy = Strategy.BLUE_GREEN if provider == KUBERNETES else effective.strategy(canary)
    if not support.is_supported(Area.STRATEGY, _FEATURES[strategy]):
        yield not_supported(f"{_PATH}.iterations", analysis.iterations, f"{_FEATURES[strategy]} is not supported by this version yet")
    if analysis.mirror and not support.is_supported(Area.STRATEGY, support.MIRRORING):
        yield not_supported(f"{_PATH}.mirror", value=True, message=f"{support.MIRRORING} is not supported by this version yet")
    if analysis.session_affinity and not support.is_supported(Area.STRATEGY, support.SESSION_AFFINITY):
        yield not_supported(f"{_PATH}.sessionAffinity", None, f"{support.SESSION_AFFINITY} is not supported by this version yet")


def _weights_problems(canary: Canary, provider: str, can: Capabilities | None) -> Iterator[Problem]:
    analysis = effective.analysis_of(canary)
    has_steps = analysis.step_weight > 0 or bool(analysis.step_weights)
    if provider == KUBERNETES and (has_steps or analysis.match):
        yield warning(_PATH, None, f"provider {KUBERNETES} splits no traffic: step weights and match have no effect", "GAP-55")
    elif can and not can.weights and has_steps and provider:
        yield invalid(_PATH, None, f"provider {provider} cannot split traffic by weight: use iterations", "routers:CTR-06")
    if provider == "nginx" and analysis.match and not analysis.iterations:
        yield invalid(f"{_PATH}.match", None, "needs iterations with provider nginx, which would promote after one step", "GAP-09")


def _mirror_problems(canary: Canary, provider: str, can: Capabilities | None) -> Iterator[Problem]:
    analysis = effective.analysis_of(canary)
    if analysis.mirror_weight and not analysis.mirror:
        yield warning(f"{_PATH}.mirrorWeight", analysis.mirror_weight, "is ignored: mirror is not set", "GAP-14")
    elif not 0 <= analysis.mirror_weight <= 100:
        yield warning(f"{_PATH}.mirrorWeight", analysis.mirror_weight, "must be from 0 to 100, or the mesh refuses it", "GAP-14")
    if not analysis.mirror or not provider or can is None:
        return
    if provider == KUBERNETES:
        yield warning(f"{_PATH}.mirror", value=True, message=f"is ignored by provider {KUBERNETES}", rule="GAP-13")
    elif reason := _why_no_mirror(canary, provider, can):
        yield invalid(f"{_PATH}.mirror", value=True, message=reason, rule="GAP-13")
    elif analysis.mirror_weight and not can.mirror_percent:
        yield invalid(f"{_PATH}.mirrorWeight", analysis.mirror_weight, f"provider {provider} mirrors all requests or none", "GAP-14")


def _why_no_mirror(canary: Canary, provider: str, can: Capabilities) -> str:
    analysis, service = effective.analysis_of(canary), canary.spec.service
    if not (can.mirror_weighted or can.mirror_iterations):
        return f"provider {provider} cannot mirror requests"
    if analysis.iterations and not can.mirror_iterations:
        return f"provider {provider} cannot mirror requests with iterations"
    if not analysis.iterations and not can.mirror_weighted:
        return f"provider {provider} can mirror requests with iterations only"
    if not analysis.iterations and service and service.app_protocol.lower() == "tcp":
        return "TCP connections cannot be mirrored"
    if not analysis.iterations and analysis.session_affinity:
        return "mirroring and sessionAffinity exclude each other"
    return ""


def _affinity_problems(analysis: Analysis, provider: str, can: Capabilities | None) -> Iterator[Problem]:
    path = f"{_PATH}.sessionAffinity"
    if analysis.iterations and not analysis.match:
        yield warning(path, None, "has no effect with iterations: everybody changes the version at once", "GAP-33")
    if can is None or not provider:
        return
    if analysis.match and can.session_affinity:
        yield invalid(
            path, None, "and match exclude each other: the requests that match would not be told from those that are pinned", "PRV-05"
        )
    if not can.session_affinity:
        yield invalid(path, None, f"provider {provider} cannot pin sessions", "GAP-34")
    elif analysis.session_affinity and analysis.session_affinity.primary_cookie_name and not can.primary_cookie:
        name = analysis.session_affinity.primary_cookie_name
        yield invalid(f"{path}.primaryCookieName", name, f"provider {provider} can pin sessions to the canary only", "GAP-34")


def _cookie_problems(affinity: SessionAffinity) -> Iterator[Problem]:
    path = f"{_PATH}.sessionAffinity"
    if affinity.cookie_name == affinity.primary_cookie_name:
        yield invalid(f"{path}.primaryCookieName", affinity.primary_cookie_name, "must differ from cookieName", "engine:VAL-23")
    if affinity.has("max_age") and affinity.max_age == 0:
        yield warning(f"{path}.maxAge", 0, f"means {effective.DEFAULT_COOKIE_MAX_AGE} seconds", "GAP-38")
    if not affinity.secure and (affinity.same_site == "None" or affinity.partitioned):
        field = "sameSite" if affinity.same_site == "None" else "partitioned"
        yield warning(f"{path}.{field}", affinity.same_site or True, "needs secure: true, or browsers drop the cookie", "GAP-37")
