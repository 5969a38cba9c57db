"""The log of the process: JSON lines on stderr with Flagger's keys (operations:§5), or readable lines on a terminal.

The level can be changed while the process runs, by `PUT /loglevel` over loopback (`kubectl port-forward` gives that to whoever has the
right to it); a signal is not used for it, because it could say only "next level".
"""

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Final, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS: Final[Mapping[str, int]] = MappingProxyType(
    {"debug": 10, "info": 20, "warn": 30, "warning": 30, "error": 40, "fatal": 50, "panic": 50}
)
"""Flagger's words and `warning`, which it documents and takes for info (operations:§1)."""

FIRST_LINES: Final = 100
_SECRETS: Final = frozenset({"authorization", "headers", "password", "secret", "token"})
_SHOWN_AS: Final = {"warning": "warn", "critical": "fatal", "exception": "error"}
_FIRST: Final = ("level", "ts", "caller", "msg", "canary")


class Level:
    """The level of the process; lines below it are not made."""

    def __init__(self, level: str) -> None:
        self._name = level if level in LEVELS else "info"

    def get(self) -> str:
        return self._name

    def set(self, level: str) -> None:
        """Change it at once. Raises `ValueError` for a word that is no level."""
        if level not in LEVELS:
            raise ValueError(f"log level {level!r} is unknown: use {', '.join(LEVELS)}")
        self._name = level

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """As the first processor: drop what is below the level."""
        if LEVELS[_SHOWN_AS.get(method, method)] < LEVELS[self._name]:
            raise structlog.DropEvent
        return event


class Sampling:
    """Of lines with the same level and message, the first `FIRST_LINES` of a second and then one in `FIRST_LINES` (operations:§5).

    `clock` gives seconds that only rise.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._second = -1
        self._counts: Counter[tuple[str, str]] = Counter()

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        """As the second processor: what is dropped costs nothing more."""
        if (second := int(self._clock())) != self._second:
            self._second = second
            self._counts.clear()
        line = (method, str(event.get("event", "")))
        self._counts[line] += 1
        count = self._counts[line]
        if count > FIRST_LINES and count % FIRST_LINES:
            raise structlog.DropEvent
        return event


def configure(level: str, log_format: str, stream: TextIO | None = None) -> Level:
    """Set up the log of the whole process, other libraries' included, and return its level.

    An unknown level is `info`, as in Flagger. `log_format` is `json`, `console`, or `auto`: console on a terminal.
    """
    stream = stream or sys.stderr
    current = Level(level)
    readable = log_format == "console" or (log_format == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.CallsiteParameterAdder(
            {structlog.processors.CallsiteParameter.PATHNAME, structlog.processors.CallsiteParameter.LINENO}
        ),
        _as_flagger_writes,
        _hide_secrets,
    ]
    output = _readable(colors=stream.isatty()) if readable else _json_lines()
    structlog.configure(
        processors=[current, Sampling(), *shared, *output],
        logger_factory=structlog.PrintLoggerFactory(stream),
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),  # `Level` filters instead, because it can be changed
    )
    _take_in_libraries(shared, output, stream)
    return current


def _take_in_libraries(shared: list[Processor], output: list[Processor], stream: TextIO) -> None:
    """Other libraries log through `logging`, from warnings on at any level of ours: below it they write bodies with tokens in them."""
    handler = logging.StreamHandler(stream)
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[remove_meta, *output]))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def _json_lines() -> list[Processor]:
    return [
        structlog.processors.ExceptionRenderer(),
        _named_stacktrace,
        structlog.processors.JSONRenderer(serializer=_dump),
    ]


def _readable(*, colors: bool) -> list[Processor]:
    # Plain tracebacks: the default ones show local variables, which may hold credentials.
    return [
        structlog.dev.ConsoleRenderer(
            colors=colors, event_key="msg", timestamp_key="ts", exception_formatter=structlog.dev.plain_traceback, sort_keys=False
        )
    ]


def _as_flagger_writes(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Flagger's keys first, with milliseconds, zap's level words, and `package/file:line`."""
    path = PurePath(event.pop("pathname", ""))
    event["caller"] = f"{'/'.join(path.parts[-2:])}:{event.pop('lineno', 0)}"
    event["ts"] = f"{event['ts'][:23]}Z"
    event["level"] = _SHOWN_AS.get(event["level"], event["level"])
    event["msg"] = event.pop("event")
    first = {key: event.pop(key) for key in _FIRST if key in event}
    return {**first, **event}


def _hide_secrets(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A safety net: no value under a name like `token` leaves the process."""
    for key in event.keys() & _SECRETS:
        event[key] = "***"
    return event


def _named_stacktrace(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if trace := event.pop("exception", None) or event.pop("stack", None):
        event["stacktrace"] = trace
    return event


def _dump(event: Any, **options: Any) -> str:
    return orjson.dumps(event, default=str).decode()
