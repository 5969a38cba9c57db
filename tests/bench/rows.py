"""From measurements to rows of the table: the budgets of design §9, and what others were measured to need (issue 3 §5)."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from statistics import median, quantiles

from tests.bench.audit import AuditedRequest
from tests.bench.idle import Idle, Start
from tests.bench.report import Row, above, below
from tests.bench.rollouts import StepCost

MIB = 2**20
KIB = 2**10
MOST_COMMON = 5
FEW = 500
"""Fewer further Canaries than this tell nothing of the memory of one: the allocator's steps are larger."""


def start(found: Start, canaries: int) -> Row:
    text = f"{found.seconds:.2f} s ({found.cpu_seconds:.2f} s CPU)"
    return below(f"start to first watch, {canaries} Canaries", found.seconds, 2.0, text, budget="≤ 2 s")


def idle(found: Idle, foreign: int) -> list[Row]:
    at = f"{found.canaries} settled"
    leases = sum(1 for request in found.requests if request.is_lease) / found.seconds
    rate, renewals = found.requests_per_second, found.watch_renewals_per_second
    memory = found.resident_bytes / MIB
    return [
        below(
            f"requests per second besides the lease, {at}",
            rate,
            0.1,
            f"{rate:.3f} ({renewals:.3f} of them to renew watches; lease: {leases:.2f}){_by_what(found.others)}",
            budget="≤ 0.1",
            others="14 per Canary and interval (139 at its limit) / 0.07",
        ),
        below(
            f"requests per Canary in {found.seconds:.0f} s, {at}",
            found.requests_per_canary,
            0,
            f"{found.requests_per_canary:g}",
            budget="0",
        ),
        below(f"CPU of one core, {at}", found.cpu_percent, 0.3, f"{found.cpu_percent:.2f} %", budget="≤ 0.3 %", others="13 % / 0.15 %"),
        below(
            f"memory, {at}, {foreign} foreign objects of each kind",
            memory,
            150,
            f"{memory:.0f} MiB",
            budget="≤ 150 MiB (1,000; 5,000 foreign)",
            others="129 / 210 MB (1,000)",
        ),
    ]


def _by_what(requests: Sequence[AuditedRequest]) -> str:
    """What was asked most."""
    found = Counter(request.what for request in requests).most_common(MOST_COMMON)
    return "".join(f"\n{number} {what}" for what, number in found)


def without_election(found: Idle) -> Row:
    text = f"{found.requests_per_second:.3f} requests/s, {found.cpu_percent:.2f} % CPU, {found.resident_bytes / MIB:.0f} MiB"
    return Row(f"leader election off, {found.canaries} settled", text, others="Argo Rollouts: 0.07, 0.15 %, 210 MB")


def memory_per_canary(resident: dict[int, int]) -> Row:
    """From the fewest to the most Canaries, each in a process of its own."""
    fewest, most = min(resident), max(resident)
    each = (resident[most] - resident[fewest]) / (most - fewest) / KIB
    limit = 40.0 if most - fewest >= FEW else None
    return below(f"memory per further Canary ({fewest} to {most})", each, limit, f"{each:.1f} KiB", budget="≤ 40 KiB")


def peak(resident: int, canaries: int) -> Row:
    return Row(f"peak memory after all of this, {canaries} Canaries", f"{resident / MIB:.0f} MiB")


def steps(cost: StepCost) -> Row:
    written = [
        ("route", ("patch httproutes", "update httproutes", "patch virtualservices", "update virtualservices")),
        ("status", ("patch canaries/status", "update canaries/status")),
        ("events", ("create events", "patch events")),
    ]
    per_step = {name: cost.per_step(*whats) for name, whats in written}
    others = {what: number for what, number in cost.requests.items() if not any(what in whats for _, whats in written)}
    rest = sum(others.values()) / cost.steps
    text = ", ".join(f"{number:g} {name}" for name, number in per_step.items()) + f", {rest:g} others"
    text += "".join(f"\n{number / cost.steps:g} {what}" for what, number in sorted(others.items()))
    within = per_step["route"] <= 1 and per_step["status"] <= 1 and per_step["events"] <= 2 and not rest
    return Row("requests per weighted step", text, "1 route + 1 status + ≤ 2 events", within)


def notice(how: str, seconds: Sequence[float]) -> Row:
    middle, last = median(seconds), _percentile(seconds, 99)
    within = middle <= 0.2 and last <= 1.0
    text = f"median {middle:.3f} s, p99 {last:.3f} s ({len(seconds)})"
    return Row(f"new revision to canary scaled up, {how}", text, "median ≤ 0.2 s, p99 ≤ 1 s", within, "median 160 s (1,000) / 0.4 to 1.0 s")


def lateness(seconds: Sequence[float], active: int, interval: timedelta, how: str) -> Row:
    middle, last = median(seconds), _percentile(seconds, 99)
    text = f"median {middle:.3f} s, p99 {last:.3f} s ({len(seconds)} steps)"
    return below(f"step lateness, {active} rollouts at {interval.total_seconds():g} s, {how}", last, 1.0, text, budget="p99 ≤ 1 s")


def cpu_per_step(seconds: float, steps: int, how: str) -> Row:
    """Everything that the rollouts needed: their start, two metric queries per step, and the promotion."""
    return Row(f"CPU per weighted step, {how}", f"{1000 * seconds / steps:.1f} ms")


def core(settled: float, step: float) -> list[Row]:
    return [
        above("decide per second, settled Canary", settled, 50_000, f"{settled:,.0f}", budget="≥ 50,000"),
        above("decide per second, weighted step", step, 10_000, f"{step:,.0f}", budget="≥ 10,000"),
    ]


def _percentile(values: Sequence[float], percent: int) -> float:
    """The largest value of a few, a percentile of many."""
    return max(values) if len(values) < 100 else quantiles(values, n=100)[percent - 1]
