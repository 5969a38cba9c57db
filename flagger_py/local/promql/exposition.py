"""Reads Prometheus' text format (version 0.0.4): one line, one sample."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from flagger_py.local.promql.store import METRIC_NAME

_SERIES: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(.*)\})?\s*")
_LABEL: Final = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|$)')
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPED: Final = {"n": "\n", "\\": "\\", '"': '"'}


class BadExposition(ValueError):
    """A page is not in the text format; the message names the line."""


@dataclass(frozen=True, slots=True)
class Line:
    """`series` is the text of name and labels, as it is written: equal texts, equal series."""

    series: str
    value: float
    time_ms: int | None = None


def lines(page: str) -> Iterator[Line]:
    """The samples of a page in order. Raises `BadExposition`."""
    for number, text in enumerate(page.split("\n"), 1):
        stripped = text.strip()
        if stripped and not stripped.startswith("#"):
            try:
                yield _line(stripped)
            except ValueError as error:
                raise BadExposition(f"line {number}: {stripped[:120]!r} is no sample") from error


def labels_of(series: str) -> Mapping[str, str]:
    """The labels of a series' text, its name among them. Raises `BadExposition`."""
    match = _SERIES.fullmatch(series)
    if match is None:
        raise BadExposition(f"{series[:120]!r} is no series")
    return {**_labels(match.group(2) or "", series), METRIC_NAME: match.group(1)}


def _line(text: str) -> Line:
    end = text.rfind("}") + 1 or len(text.split(None, 1)[0])
    value, *time = text[end:].split()
    if len(time) > 1:
        raise ValueError("more than a value and a time")
    return Line(text[:end], float(value), int(time[0]) if time else None)


def _labels(text: str, series: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    text, position = text.rstrip(), 0
    while position < len(text):
        match = _LABEL.match(text, position)
        if match is None:
            raise BadExposition(f"the labels of {series[:120]!r} cannot be read")
        labels[match.group(1)] = _ESCAPE.sub(lambda found: _ESCAPED.get(found.group(1), found.group()), match.group(2))
        position = match.end()
    return labels
