"""Manual commands: what a person writes into the annotation `flagger.app/command` (design §6, engine:ISS-16)."""

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from flagger_py.api.metadata import COMMAND

ID_LIMIT: Final = 36
"""As long as a UUID: it is stored in a status that has to stay small."""
_ID: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{ID_LIMIT}}}")
_FIELDS: Final = ("id", "verb", "run")
_SHOWN: Final = 60


class Verb(StrEnum):
    """What can be asked for."""

    PROMOTE = "promote"
    """Promote the revision now, without the rest of its analysis."""
    ABORT = "abort"
    """Roll back."""
    PAUSE = "pause"
    """Stay at this step; checks go on, and still roll back."""
    RESUME = "resume"
    """Go on after a pause."""
    RETRY = "retry"
    """Run a failed revision once more."""
    SKIP = "skip"
    """Go to the next step now, whatever check or gate holds it."""
    RESTART = "restart"
    """Run the revision again from its first step."""


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """One command. `id` makes it this one and no other: it is obeyed or refused once, however often it is seen."""

    id: str
    verb: Verb
    run: str = ""
    """`status.rollout.run` of the run that is meant; only a retry may leave it out."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """It cannot be understood. The id is empty where that is what is wrong."""

    id: str
    verb: str
    reason: str


def parse_command(text: str) -> CommandRequest | Malformed:
    """The annotation's value as a command, or what is wrong with it and what is allowed."""
    try:
        given = json.loads(text)
    except ValueError as error:
        return _malformed({}, "", f"is no JSON: {error}")
    if not isinstance(given, dict):
        return _malformed({}, "", "must be a JSON object with id, verb and run")
    if not (isinstance(given.get("id"), str) and _ID.fullmatch(given["id"])):
        return _malformed({}, ".id", f"is {_shown(given.get('id'))}; must be 1 to {ID_LIMIT} letters, digits, '.', '_' or '-'")
    if unknown := sorted(set(given) - set(_FIELDS)):
        return _malformed(given, "", f"has the unknown field {_shown(unknown[0])}; known are {', '.join(_FIELDS)}")
    if given.get("verb") not in list(Verb):
        return _malformed(given, ".verb", f"is {_shown(given.get('verb'))}; must be one of {', '.join(Verb)}")
    if not isinstance(given.get("run", ""), str):
        return _malformed(given, ".run", f"is {_shown(given['run'])}; must be a string, the value of status.rollout.run")
    return CommandRequest(given["id"], Verb(given["verb"]), given.get("run", ""))


def _malformed(given: dict[str, Any], field: str, reason: str) -> Malformed:
    return Malformed(given.get("id", ""), str(given.get("verb", ""))[:_SHOWN], f"metadata.annotations[{COMMAND}]{field} {reason}")


def _shown(value: object) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
