"""What a handler gives back: a whole answer, or a stream of chunks."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from flagger_py.local.apiserver.status import Refused

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `warnings` become `Warning` headers, one each."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Streaming:
    """An answer whose chunks are still to come; closing the iterator ends it."""

    chunks: AsyncIterator[bytes]
    status: int = 200
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def json_answer(value: Any, status: int = 200) -> Answer:
    return Answer(status, orjson.dumps(value))


def text_answer(text: str, status: int = 200) -> Answer:
    return Answer(status, text.encode(), "text/plain; charset=utf-8")


def refusal(refused: Refused, warnings: Iterable[str] = ()) -> Answer:
    """The answer that says no."""
    return Answer(refused.code, orjson.dumps(refused.body), headers=refused.headers, warnings=tuple(warnings))


PAGE_NOT_FOUND = text_answer("404 page not found\n", 404)
