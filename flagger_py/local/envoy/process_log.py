"""What an Envoy process has written to its log: why it ended, and why it refused what it was given."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LAST_LINES: Final = 5
LONGEST_LINE: Final = 500
LONGEST_TAIL: Final = 256 * 1024
"""Bytes that are read from the end."""

_LINE: Final = re.compile(r"^\[[^]]*\]\[\d+\]\[(?P<level>\w+)\]\[\w+\] (?:\[[^]]*\] )?(?P<text>.*)")
_STACK: Final = re.compile(r"#\d+: |Backtrace \(use |Envoy version: |Address mapping: ")
_REFUSAL: Final = re.compile(r"REST config for /v3/discovery:(?P<kind>\w+) rejected: (?P<reason>.*)")


class ProcessLog:
    """The log file of one Envoy after the other; only what the newest has written counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begin = 0

    def begin(self) -> None:
        """A new Envoy starts."""
        self._begin = self.path.stat().st_size if self.path.exists() else 0

    def failures(self) -> list[str]:
        """The last lines that say that something is broken, without the frames of a backtrace."""
        broken = (match["text"] for match in self._matches(_LINE) if match["level"] in {"critical", "error"})
        return _last(text for text in broken if not _STACK.match(text))

    def refusals(self, kind: str) -> list[str]:
        """Why Envoy did not take what it was last given of this kind."""
        return _last(match["reason"] for match in self._matches(_REFUSAL) if match["kind"] == kind)[-1:]

    def _matches(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        return filter(None, map(pattern.search, self._tail().splitlines()))

    def _tail(self) -> str:
        if not self.path.exists():
            return ""
        with self.path.open("rb") as file:
            file.seek(max(self._begin, self.path.stat().st_size - LONGEST_TAIL))
            return file.read().decode(errors="replace")


def _last(texts: Iterator[str]) -> list[str]:
    return [text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…" for text in texts][-LAST_LINES:]
