"""Pages that are made from tables in the code. `python -m tests.unit.docs.generated` writes them anew."""

from collections.abc import Callable
from pathlib import Path

from flagger_py.api import support
from flagger_py.controller import goflag
from flagger_py.controller.flags import Setting, settings
from tests.matrix import PROVIDERS, STRATEGIES, Strategy

DOCS = Path(__file__).parents[3] / "docs"


def flags_page() -> str:
    """`docs/guide/flags.md`."""
    rows = [f"| {_flag(item)} | {_default(item)} | {_environment(item)} | {_escaped(item.text)} |" for item in settings()]
    return _FLAGS.format(table="\n".join(["| flag | default | environment | meaning |", "|---|---|---|---|", *rows]))


def support_page() -> str:
    """`docs/support.md`."""
    return _SUPPORT.format(table=support.as_markdown().rstrip("\n"))


def compatibility_page() -> str:
    """`docs/compatibility.md`: written by hand, but for the table between two marks."""
    before, _, rest = (DOCS / "compatibility.md").read_text().partition(_BEGIN)
    return f"{before}{_BEGIN}\n\n{_matrix()}\n\n{_END}{rest.partition(_END)[2]}"


def _matrix() -> str:
    head = ["strategy", *(f"`{provider}`" for provider in PROVIDERS)]
    rows = [[strategy.name, *(_cell(strategy, provider) for provider in PROVIDERS)] for strategy in STRATEGIES]
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def _cell(strategy: Strategy, provider: str) -> str:
    if provider in (strategy.refused or {}):
        return "refused"
    if provider == "kubernetes" and provider in (strategy.warned or {}):
        return "as blue/green"
    shown = "**yes**" if provider in strategy.with_traffic else "yes"
    return f"{shown}, warned" if provider in (strategy.warned or {}) else shown


PAGES: dict[str, Callable[[], str]] = {"guide/flags.md": flags_page, "support.md": support_page, "compatibility.md": compatibility_page}
_BEGIN = "<!-- Made by `python -m tests.unit.docs.generated` from tests/matrix.py: do not edit from here -->"
_END = "<!-- to here -->"


def _flag(item: Setting) -> str:
    return f"`-{item.flag}`"


def _default(item: Setting) -> str:
    text = goflag.show(item.default)
    return f"`{text}`" if text else ""


def _environment(item: Setting) -> str:
    return f"`{item.environment}`{' (wins)' if item.environment_wins else ''}" if item.environment else ""


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


_FLAGS = """# Flags of the controller

<!-- Made by `python -m tests.unit.docs.generated` from flagger_py/controller/flags.py: do not edit. -->

The controller takes Flagger's flags. `flagger-py controller` and `flagger` are the same program; `flagger-py controller -help` prints
this table, too.

- One dash or two: `-log-level=info`, `--log-level=info`, `-log-level info`.
- A boolean takes a value only after `=`: `-enable-leader-election=false`.
- Reading stops at the first word that is no flag, as in Go. Such words are logged, because they are nearly always a slip.
- A flag wins over its environment variable, except where "(wins)" stands beside the variable.
- `-provider` is another name of `-mesh-provider`.
- klog's flags (`-v`, `-logtostderr` and so on) are accepted and have no effect.
- A flag without effect is logged once at start. A flag that asks for something that this version lacks is refused at start.

{table}
"""

_SUPPORT = """# What this version supports

<!-- Made by `python -m tests.unit.docs.generated` from flagger_py/api/support.py: do not edit. -->

The controller, `flagger-py validate` and this page read the same table.

"Not yet" means: Flagger has it, and the Canary is valid, but this version does not act on it. Such a Canary gets the condition `Valid`
with status `False` and reason `NotSupported`, and one event that names the field. Its objects and its traffic stay as they are.
`flagger-py validate` prints it and exits 0; with `--strict` it exits 1.

A name that neither Flagger nor an installed plug-in knows is not in the table. It is invalid.

{table}

Traffic providers and metric providers of [plug-ins](plugins.md) come on top. `flagger-py routers` lists the routers that are installed,
with what each can do.
"""


def rewrite() -> None:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())


if __name__ == "__main__":
    rewrite()
