"""Which rules that name a defect of Flagger are held by a test: `python -m tests.rules` prints how many, and those that no test cites.

A test cites a rule as `FILE:ID` in a docstring, a parameter's id or a comment; what follows after a comma is of the same file:
`engine:HAZ-01, HAZ-02, RST-01..04, workloads:RDY-12`.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
_ID = r"[A-Z]{2,5}-(?:[A-Z])?\d+(?:\.\.\d+)?"
_CITATION = re.compile(rf"\b(engine|api|routers|workloads|metrics|operations):({_ID}(?:,\s+{_ID})*)")
_BARE = re.compile(r"\b(HAZ|GAP)-(\d+)\b")
"""These two prefixes are of one file each."""
_FILE_OF = {"HAZ": "engine", "GAP": "api"}


class Rule(NamedTuple):
    """One rule of the specification; `mark` says why it needs a test: HAZ, GAP, ⚠ or [D]."""

    mark: str
    file: str
    id: str

    def __str__(self) -> str:
        return f"{self.file}:{self.id}"


def rules() -> list[Rule]:
    """All rules of `rules.txt`."""
    lines = (HERE / "rules.txt").read_text().splitlines()
    fields = [line.split() for line in lines if line and not line.startswith("#")]
    return [Rule(mark, file, id_) for mark, file, *ids in fields for item in ids for id_ in _expanded(item)]


def citations(texts: Iterable[str]) -> set[str]:
    """Every `FILE:ID` in these texts."""
    return {citation for text in texts for citation in _cited_in(text)}


def tests() -> Iterator[str]:
    """The source of every test and its helpers."""
    for path in sorted(HERE.rglob("*.py")):
        if path != Path(__file__):
            yield path.read_text()


def _cited_in(text: str) -> Iterator[str]:
    for file, ids in _CITATION.findall(text):
        for item in re.split(r",\s+", ids):
            yield from (f"{file}:{id_}" for id_ in _expanded(item))
    for prefix, number in _BARE.findall(text):
        yield f"{_FILE_OF[prefix]}:{prefix}-{number}"


def _expanded(item: str) -> Iterator[str]:
    """`HAZ-01..03` is three ids."""
    first, _, last = item.partition("..")
    prefix, _, number = first.rpartition("-")
    if not last:
        yield first
        return
    for each in range(int(number), int(last) + 1):
        yield f"{prefix}-{each:0{len(number)}}"


def main() -> None:
    """Print the table: a line per mark, then the rules that no test cites."""
    cited = citations(tests())
    for mark, group in groupby(sorted(rules()), key=lambda rule: rule.mark):
        of_mark = list(group)
        missing = [str(rule) for rule in of_mark if str(rule) not in cited]
        print(f"{mark:4} {len(of_mark) - len(missing):3} of {len(of_mark):3} cited")
        if missing:
            print(f"     missing: {' '.join(missing)}")


if __name__ == "__main__":
    main()
