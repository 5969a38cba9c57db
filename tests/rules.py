"""Which rules that name a defect of Flagger are held by a test: `python -m tests.rules` prints how many, and those that no test cites.

A test cites a rule as `FILE:ID` in a docstring, a parameter's id or a comment; what follows after a comma is of the same file:
`engine:HAZ-01, HAZ-02, RST-01..04, workloads:RDY-12`. A golden file of the routers lists its rules.
What is about something that we do not have yet stands in `rules_not_applicable.txt`, with the reason.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import yaml

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
    fields = [line.split() for line in _lines("rules.txt")]
    return [Rule(mark, file, id_) for mark, file, *ids in fields for item in ids for id_ in _expanded(item)]


def not_applicable() -> dict[str, str]:
    """Why a rule needs no test yet, by `FILE:ID`."""
    reasons = {}
    for line in _lines("rules_not_applicable.txt"):
        cited, _, reason = line.partition(" | ")
        file, *ids = cited.split()
        reasons |= {f"{file}:{id_}": reason.strip() for item in ids for id_ in _expanded(item)}
    return reasons


def missing(cited: set[str], reasons: Mapping[str, str]) -> list[str]:
    """The rules that no test cites, and that have no reason for it."""
    return [str(rule) for rule in rules() if str(rule) not in cited and str(rule) not in reasons]


def citations(texts: Iterable[str]) -> set[str]:
    """Every `FILE:ID` in these texts."""
    return {citation for text in texts for citation in _cited_in(text)}


def sources() -> Iterator[str]:
    """The source of every test and its helpers, and the rules of every golden file."""
    for path in sorted(HERE.rglob("*.py")):
        if path != Path(__file__):
            yield path.read_text()
    for path in sorted((HERE / "fixtures/routers").rglob("*.yaml")):
        given = path.read_text().partition("\n---")[0]
        yield f"routers:{', '.join(yaml.load(given, yaml.CSafeLoader)['rules'])}"


def _lines(name: str) -> list[str]:
    return [line for line in (HERE / name).read_text().splitlines() if line and not line.startswith("#")]


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
    """Print the table: a line per mark, then what is not applicable and why, and the rules that no test cites."""
    cited, reasons = citations(sources()), not_applicable()
    for mark, group in groupby(sorted(rules()), key=lambda rule: rule.mark):
        of_mark = [str(rule) for rule in group]
        excused = [rule for rule in of_mark if rule not in cited and rule in reasons]
        left = [rule for rule in of_mark if rule not in cited and rule not in reasons]
        print(f"{mark:4} {len(of_mark) - len(excused) - len(left):3} of {len(of_mark):3} cited, {len(excused)} not applicable")
        for reason, group_of_reason in groupby(sorted(excused, key=reasons.__getitem__), key=reasons.__getitem__):
            print(f"     {reason}: {' '.join(group_of_reason)}")
        if left:
            print(f"     missing: {' '.join(left)}")
    if outdated := sorted(cited & reasons.keys()):
        print(f"cited meanwhile, drop the reason: {' '.join(outdated)}")


if __name__ == "__main__":
    main()
