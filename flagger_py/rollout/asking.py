"""Questions to people, hooks and metrics. An answer comes with the world of a later turn."""

from dataclasses import replace

from flagger_py.rollout.questions import Answer, Question, QuestionKey, QuestionKind
from flagger_py.rollout.turn import Turn


def ask(turn: Turn, kind: QuestionKind, *, run: str = "", phase: str = "") -> Answer | None:
    """The answer to a question of this step, or `None` while there is none (it is asked then).

    `run` names what is asked outside of a run's steps; `phase` is what hooks are told where that is not the Canary's.
    """
    key = _key(turn, kind, run)
    if key not in turn.world.answers:
        _ask(turn, key, phase)
    return _consult(turn, key)


def poll(turn: Turn, kind: QuestionKind, number: int, *, run: str = "") -> Answer | None:
    """The latest answer to what is asked again and again; `number` is that of the poll that is due, 0 while none is.

    An answer that says yes is the last word, whenever it comes. While a poll is under way no other is begun, so that a hook
    may take longer than an interval; the answer of the poll before it, if it is still due, stands until then.
    """
    key = _key(turn, kind, run)
    answered = sorted((known for known in turn.world.answers if known.is_poll_of(key)), key=lambda known: known.poll)
    if yes := next((known for known in answered if turn.world.answers[known].is_yes(kind)), None):
        return _consult(turn, yes)
    due = replace(key, poll=number)
    under_way = next((open_ for open_ in turn.world.asking if open_.is_poll_of(key)), None)
    if under_way:
        _consult(turn, under_way)
    elif number and due not in answered:
        _ask(turn, due)
    return _consult(turn, due if due in answered else answered[-1]) if answered and number else None


def _key(turn: Turn, kind: QuestionKind, run: str) -> QuestionKey:
    return QuestionKey(run, 0, 0, kind) if run else QuestionKey(turn.record.run, turn.record.step, turn.record.check_number, kind)


def _ask(turn: Turn, key: QuestionKey, phase: str = "") -> None:
    turn.consulted.add(key)
    turn.questions.append(Question(key, phase or turn.phase, turn.checksum, turn.record.revision))
    turn.hold(f"waiting for the answer to {key.kind}")


def _consult(turn: Turn, key: QuestionKey) -> Answer | None:
    turn.consulted.add(key)
    return turn.world.answers.get(key)
