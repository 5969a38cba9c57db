"""The table: what was measured, beside the budget and what Flagger and Argo Rollouts were measured to need (issue 3 §5, design §9)."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `within` says whether it keeps the budget; `None` where there is none."""

    what: str
    measured: str
    budget: str = ""
    within: bool | None = None
    others: str = ""

    @property
    def verdict(self) -> str:
        return {True: "ok", False: "OVER", None: ""}[self.within]


def below(what: str, value: float, limit: float | None, text: str, *, budget: str = "", others: str = "") -> Row:
    """A figure that must not be above its limit."""
    return Row(what, text, budget, None if limit is None else value <= limit, others)


def above(what: str, value: float, limit: float, text: str, *, budget: str) -> Row:
    """A figure that must not be below its limit."""
    return Row(what, text, budget, value >= limit)


def show(title: str, rows: Iterable[Row], console: Console) -> None:
    """Print the table."""
    table = Table(title=title, title_justify="left")
    for column in ("what", "measured", "budget", "", "Flagger 1.44 / Argo Rollouts 1.9"):
        table.add_column(column, overflow="fold")
    for row in rows:
        style = "red" if row.within is False else ""
        table.add_row(row.what, row.measured, row.budget, row.verdict, row.others, style=style)
    console.print(table)
