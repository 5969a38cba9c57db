"""What a payload asks for: a command to start, or one to wait for (metrics:LT-13, metrics:LT-30 to LT-35)."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from flagger_py.loadtester.payload import Payload, is_true

DEFAULT_TYPE: Final = "cmd"
NOT_YET: Final = ("concord", "ngrinder")
"""Types that Flagger's load tester has and this one does not."""


class BadTask(ValueError):
    """The metadata describe no task; the message is the body of the answer."""


@dataclass(frozen=True, slots=True)
class Task:
    """A program with its arguments, for one Canary."""

    type: str
    canary: str
    command: str
    """As it stands in the metadata: what logs and answers show."""
    arguments: tuple[str, ...]
    waits: bool
    """Whether the answer waits for the end, and tells of it."""
    logs_output: bool = True
    """Whether the log shows what it wrote where it succeeded; it always does where it failed."""
    returns_output: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Two tasks that do not wait and have the same key are one (metrics:LT-40)."""
        return self.canary, self.command


def task_of(payload: Payload) -> Task:
    """The task that the metadata describe. Raises `BadTask`."""
    metadata = payload.metadata
    if not metadata:
        raise BadTask("metadata not found in payload")
    kind = metadata.get("type", DEFAULT_TYPE)
    if kind == DEFAULT_TYPE:
        return _started(payload)
    if kind in NOT_YET:
        raise BadTask(f"task type {kind} is not supported by this version yet: use {_known()}")
    if kind not in _ARGUMENTS:
        raise BadTask(f"unknown task type {kind}")
    command = metadata.get("cmd", "")
    return Task(
        kind,
        payload.canary,
        command,
        _ARGUMENTS[kind](command),
        waits=True,
        returns_output=is_true(metadata.get("returnCmdOutput")),
    )


def _started(payload: Payload) -> Task:
    command = payload.metadata.get("cmd")
    if command is None:
        raise BadTask("cmd not found in metadata")
    logs = is_true(payload.metadata.get("logCmdOutput"))
    return Task(DEFAULT_TYPE, payload.canary, command, ("sh", "-c", command), waits=False, logs_output=logs)


def _words(program: str) -> Callable[[str], tuple[str, ...]]:
    """A program whose arguments are split as a shell would, without being given to one: quotes count, nothing is expanded."""

    def split(command: str) -> tuple[str, ...]:
        try:
            return program, *shlex.split(command)
        except ValueError as error:
            raise BadTask(f"metadata.cmd {command!r}: {error}") from error

    return split


_ARGUMENTS: Final[Mapping[str, Callable[[str], tuple[str, ...]]]] = {
    "bash": lambda command: ("bash", "-c", command),
    "helm": _words("helm"),
    "helmv3": _words("helmv3"),
    "kubectl": _words("kubectl"),
}


def _known() -> str:
    return ", ".join((DEFAULT_TYPE, *_ARGUMENTS))
