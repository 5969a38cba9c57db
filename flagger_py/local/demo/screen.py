"""The demo on a terminal: one live frame that is drawn again and again (rich)."""

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from flagger_py.local.demo.scene import Scene

EVENTS = 8
_PHASE_STYLES = {
    "Progressing": "yellow",
    "Promoting": "cyan",
    "Finalising": "cyan",
    "Succeeded": "green",
    "Initialized": "green",
    "Failed": "red",
}


def frame(scene: Scene, title: str) -> RenderableType:
    """What a terminal shows of a scene."""
    heading = Text.assemble((f"{scene.elapsed:5.1f} s  ", "dim"), scene.act)
    body = Group(heading, Text(), _numbers(scene), Text(), _checks(scene), Text(), _events(scene))
    return Panel(body, title=title, border_style=_PHASE_STYLES.get(scene.phase, "blue"))


def _numbers(scene: Scene) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", min_width=16)
    table.add_column(min_width=28)
    table.add_column()
    phase = Text(scene.phase, style=_PHASE_STYLES.get(scene.phase, ""))
    table.add_row("phase", phase, f"failed checks {scene.failed_checks} of {scene.threshold}")
    table.add_row("weight asked", ProgressBar(total=100, completed=scene.asked, width=28), f"{scene.asked} %")
    measured = 0.0 if scene.measured is None else scene.measured
    shown = "-" if scene.measured is None else f"{scene.measured:.1f} %"
    table.add_row("weight measured", ProgressBar(total=100, completed=measured, width=28), f"{shown} of the answers since it is live")
    table.add_row("traffic", f"{scene.rate:.0f} requests/s", "  ".join(f"v{name}: {count}" for name, count in scene.versions.items()))
    latency = "-" if scene.latency is None else f"{1000 * scene.latency:.0f} ms"
    table.add_row("all answers", f"success {percent(scene.success_rate)}", f"p99 {latency}")
    return table


def _checks(scene: Scene) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("check", "value", "bound", "result"):
        table.add_column(heading, min_width=12)
    for check in scene.checks:
        table.add_row(check.name, number(check.value), check.bound, Text(check.result, style="green" if check.result == "pass" else "red"))
    return table


def _events(scene: Scene) -> Text:
    text = Text()
    for event in scene.events[-EVENTS:]:
        text.append(f"{event}\n", style="yellow" if event.startswith("Warning") else "")
    return text


def number(value: float | None) -> str:
    """A check's value with the digits that matter."""
    return "-" if value is None else f"{value:.4g}"


def percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} %"
