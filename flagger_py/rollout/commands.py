"""Manual commands (design §6, engine:ISS-07, ISS-16): obeyed for the run that they name and no other, and each of them once.

What a command wants is decided here. The phase brings it about in the same pass, and the acknowledgement goes into the same patch.
"""

from collections.abc import Callable, Mapping
from typing import Final

from flagger_py.api.commands import CommandRequest, Malformed, Verb, parse_command
from flagger_py.api.metadata import COMMAND
from flagger_py.api.rollout_record import RESULT_LIMIT, Command
from flagger_py.api.status import Phase
from flagger_py.rollout import alerts
from flagger_py.rollout.notices import Severity
from flagger_py.rollout.outcomes import Result, decide_end
from flagger_py.rollout.progress import begin_promotion
from flagger_py.rollout.runs import begin_again
from flagger_py.rollout.turn import RUN_PHASES, UNKNOWN_REVISION, Turn

DONE: Final = "done"
REFUSED: Final = "refused"
PAUSED: Final = "The rollout is paused by hand."
_ANALYSIS: Final = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION})

Refusal = str
"""Why a command is not obeyed; empty where it is."""


def obey(turn: Turn) -> CommandRequest | None:
    """Do what the Canary's command wants, if it is a new one. Gives back one whose effect shows only at the end of the pass."""
    text = turn.world.canary.metadata.annotations.get(COMMAND, "")
    if not text or turn.phase is Phase.NONE:
        return None
    request = parse_command(text)
    if turn.record.command is not None and request.id == turn.record.command.id:
        return None
    if isinstance(request, Malformed):
        _refuse_malformed(turn, request, text)
        return None
    refusal = _wrong_run(turn, request) or _VERBS[request.verb](turn, request)
    if request.verb is Verb.SKIP and not refusal:
        turn.skips_step = True
        return request
    _acknowledge(turn, request, refusal)
    return None


def conclude(turn: Turn, pending: CommandRequest | None) -> None:
    """At the end of the pass: whether the step could be skipped, and what people see of a pause."""
    if pending is not None:
        _acknowledge(turn, pending, (turn.reason or "the run has ended") if turn.skips_step else "")
    if turn.record.paused_since is not None:
        turn.enter(turn.phase, PAUSED)


def _wrong_run(turn: Turn, request: CommandRequest) -> Refusal:
    run = turn.record.run
    if request.verb is Verb.RETRY and not request.run:
        return ""
    if not run:
        return f"no run is under way, it is {turn.phase}"
    if not request.run:
        return f"it names no run; the run is {run}"
    return "" if request.run == run else f"the run is {run}, not {request.run[:20]}"


def _obstacle(turn: Turn) -> Refusal:
    """Why nothing can be changed about the analysis."""
    if turn.phase not in RUN_PHASES:
        return f"no run is under way, it is {turn.phase}"
    if turn.record.outcome is not None:
        return f"the run ends already: {turn.record.outcome.reason}"
    if turn.phase not in _ANALYSIS or turn.record.promoting:
        return "the promotion has begun"
    return ""


def _change_obstacle(turn: Turn) -> Refusal:
    return _obstacle(turn) or ("the target is changed, a new run begins" if turn.is_new_revision else "")


def _promote(turn: Turn, _: CommandRequest) -> Refusal:
    if refusal := _change_obstacle(turn):
        return refusal
    turn.update(gate=None)
    begin_promotion(turn)
    return ""


def _abort(turn: Turn, request: CommandRequest) -> Refusal:
    """The primary of a promotion that has begun carries the revision already: the way back is to set the target back."""
    if refusal := _obstacle(turn):
        return refusal
    decide_end(turn, Result.FAILED, f"aborted by command {request.id}", severity=alerts.Severity.WARN)
    return ""


def _pause(turn: Turn, _: CommandRequest) -> Refusal:
    if refusal := _change_obstacle(turn):
        return refusal
    turn.update(paused_since=turn.record.paused_since or turn.now)
    return ""


def _resume(turn: Turn, _: CommandRequest) -> Refusal:
    if turn.record.paused_since is None:
        return "it is not paused"
    turn.update(paused_since=None)
    turn.enter(turn.phase)
    return ""


def _retry(turn: Turn, _: CommandRequest) -> Refusal:
    """The revision counts as one that was never seen, so that it takes the same way as a new one, gates and limits included."""
    if turn.phase is not Phase.FAILED:
        return f"nothing has failed, it is {turn.phase}"
    if turn.record.serving_canary:
        return "the canary serves until the primary is ready"
    if turn.world.target is None:
        return "the target does not exist"
    if turn.is_promoted_revision:
        return "the target is at the promoted revision"
    turn.update(revision=UNKNOWN_REVISION)
    return ""


def _skip(turn: Turn, _: CommandRequest) -> Refusal:
    return _change_obstacle(turn)


def _restart(turn: Turn, _: CommandRequest) -> Refusal:
    if refusal := _change_obstacle(turn):
        return refusal
    begin_again(turn)
    return ""


_VERBS: Final[Mapping[Verb, Callable[[Turn, CommandRequest], Refusal]]] = {
    Verb.PROMOTE: _promote,
    Verb.ABORT: _abort,
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.RETRY: _retry,
    Verb.SKIP: _skip,
    Verb.RESTART: _restart,
}


def _refuse_malformed(turn: Turn, request: Malformed, text: str) -> None:
    """Without an id it cannot be acknowledged; it is told once all the same."""
    if request.id:
        _store(turn, request.id, request.verb, f"{REFUSED}: {request.reason}")
    turn.tell(Severity.WARNING, f"Manual command refused: {request.reason}", f"command/malformed/{text}")


def _acknowledge(turn: Turn, request: CommandRequest, refusal: Refusal) -> None:
    _store(turn, request.id, request.verb, f"{REFUSED}: {refusal}" if refusal else DONE)
    text = f"Manual command {request.verb} ({request.id}) on {turn.plan.canary_name}"
    if refusal:
        turn.tell(Severity.WARNING, f"{text} refused: {refusal}", f"command/{request.id}")
    else:
        turn.tell(Severity.NORMAL, f"{text} obeyed", f"command/{request.id}")


def _store(turn: Turn, command_id: str, verb: str, result: str) -> None:
    short = result if len(result) <= RESULT_LIMIT else f"{result[: RESULT_LIMIT - 1]}…"
    turn.update(command=Command(id=command_id, verb=verb, result=short, at=turn.now))
