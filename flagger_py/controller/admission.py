"""What holds a Canary before its objects are looked at: a spec that is invalid or not supported, another CRD, another owner."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from flagger_py.api.canary import Canary, CanarySpec
from flagger_py.api.decoding import Undecodable, parse_canary, parse_readable
from flagger_py.api.problems import Problem, ProblemSeverity
from flagger_py.api.rollout_record import RECORD_VERSION
from flagger_py.api.status import ConditionType
from flagger_py.objects.resource import Manifest
from flagger_py.rollout.world import Fault

Validate = Callable[[Canary], tuple[Problem, ...]]


@dataclass(frozen=True, slots=True)
class Admission:
    """Gives the faults of a Canary by itself. `validate` gives all problems of a spec, warnings included."""

    validate: Validate
    minimum_interval: timedelta
    crd_problem: Callable[[], str] = lambda: ""
    """Why the installed CRD is not ours; empty while it is (design §5)."""
    _problems: dict[tuple[str, int], tuple[Fault, ...]] = field(default_factory=dict)

    def parse(self, manifest: Manifest) -> tuple[Canary, tuple[Fault, ...]]:
        """The Canary; where its spec cannot be read, one without a spec, and the faults that say why (api:API-16).

        One that is being deleted keeps what can be read of its spec, and has no such faults (engine:HAZ-07).
        """
        parsed = parse_canary(manifest)
        if not isinstance(parsed, Undecodable):
            return parsed, ()
        canary = parse_readable(manifest)
        if canary.metadata.deletion_timestamp is not None:
            return canary, ()
        return canary.with_changes(spec=CanarySpec()), _faults_of(parsed.problems)

    def faults(self, canary: Canary) -> tuple[Fault, ...]:
        """Why this Canary is held; empty where it may go on. A deletion goes on whatever the spec says."""
        if problem := self.crd_problem():
            return (Fault(ConditionType.CRD_CURRENT, "OtherCrd", problem, retry=True),)
        record = canary.status.rollout
        if record is not None and not record.is_known:
            text = f"status.rollout.version {record.version} is newer than this release understands ({RECORD_VERSION}); run a newer one"
            return (Fault(ConditionType.VALID, "NotSupported", text),)
        return () if canary.metadata.deletion_timestamp is not None else self._spec_faults(canary)

    def _spec_faults(self, canary: Canary) -> tuple[Fault, ...]:
        key = (canary.metadata.uid, canary.metadata.generation)
        if key not in self._problems:
            for stale in [stale for stale in self._problems if stale[0] == key[0]]:
                del self._problems[stale]
            self._problems[key] = _faults_of(self.validate(canary))
        return self._problems[key]


def second_owner(canary: Canary, older: str) -> Fault:
    """Two Canaries on one target: the older goes on, this one is held (api:GAP-60)."""
    target = canary.spec.target_ref
    text = f"spec.targetRef: {target.kind} {canary.namespace}/{target.name} is already handled by the older Canary {older}"
    return Fault(ConditionType.VALID, "Invalid", text)


def _faults_of(problems: tuple[Problem, ...]) -> tuple[Fault, ...]:
    """One fault for all problems that refuse the spec; an invalid one outranks an unsupported one."""
    refused = [problem for problem in problems if problem.severity in (ProblemSeverity.INVALID, ProblemSeverity.NOT_SUPPORTED)]
    if not refused:
        return ()
    invalid = any(problem.severity is ProblemSeverity.INVALID for problem in refused)
    return (Fault(ConditionType.VALID, "Invalid" if invalid else "NotSupported", "; ".join(str(problem) for problem in refused)),)
