"""A request and its response, as values."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """One whole request; header names are in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = b""
    peer: str = ""
    """The address that the connection came from; empty where it is not known."""

    def has(self, name: str) -> bool:
        """Whether the query names this parameter, with a value or without."""
        return name in parse_qs(self.query, keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. HEAD requests get its headers only."""

    status: int = 200
    body: bytes = b""
    content_type: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def text(cls, body: str, status: int = 200) -> "Response":
        return cls(status, body.encode())


Handler = Callable[[Request], Awaitable[Response]]
