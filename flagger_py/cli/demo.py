"""`flagger-py demo`: a good and a bad rollout on the embedded cluster, with real traffic through Envoy, shown live."""

import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from flagger_py.api.status import Phase
from flagger_py.cli.local import ACCOUNT, controller_account
from flagger_py.controller import log
from flagger_py.local.cluster import LocalCluster, LocalSettings, local_cluster
from flagger_py.local.demo.controller import ControllerCommand, ControllerEnded, controller_process
from flagger_py.local.demo.lines import Lines
from flagger_py.local.demo.scene import Scene
from flagger_py.local.demo.screen import frame
from flagger_py.local.demo.story import ACT_LIMIT, BAD, GOOD, Act, Story
from flagger_py.local.envoy.process import EnvoyUnavailable
from flagger_py.local.envoy.stats import EnvoyFlags
from flagger_py.local.samples import HOST, PROVIDERS, Sample, objects
from flagger_py.local.traffic import LoadGenerator, TrafficSettings

DEFAULT_RATE: Final = 120.0
"""Requests per second: the first weight of 10 % then gives 60 answers in a window of 5 s."""

Show = Callable[[Scene], None]


@click.command(name="demo")
@click.option("--provider", type=click.Choice(PROVIDERS), default="gatewayapi:v1", show_default=True, help="Whose routing objects.")
@click.option("--rate", type=click.FloatRange(min=1), default=DEFAULT_RATE, show_default=True, help="Requests per second.")
@click.option("--plain", is_flag=True, help="Print lines instead of a live frame; the default without a terminal.")
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="Keep logs and kubeconfigs there.")
def demo(provider: str, rate: float, plain: bool, data_dir: Path | None) -> None:
    """Show a good and a bad rollout on the embedded cluster, with real traffic.

    Exits 0 only if version 2 was promoted, version 3 was rolled back, and Envoy itself failed no request.
    """
    console = Console()
    log.configure("warning", "auto")
    try:
        with _folder(data_dir) as folder:
            succeeded = asyncio.run(_run(provider, rate, folder, console, live=console.is_terminal and not plain))
    except* (OSError, EnvoyUnavailable, ControllerEnded) as group:
        raise click.ClickException(_reason(group)) from group
    sys.exit(0 if succeeded else 1)


@contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    if chosen is None:
        with tempfile.TemporaryDirectory(prefix="flagger-demo-") as name:
            yield Path(name)
    else:
        chosen.mkdir(parents=True, exist_ok=True)
        yield chosen.resolve()


def _reason(group: BaseExceptionGroup[BaseException]) -> str:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError):
        return str(error) or f"an act of the demo did not end within {ACT_LIMIT:g} s"
    return f"cannot start the embedded cluster: {error}" if isinstance(error, OSError) else str(error)


async def _run(provider: str, rate: float, folder: Path, console: Console, *, live: bool) -> bool:
    settings = LocalSettings(folder, manifests=tuple(controller_account()))
    async with local_cluster(settings) as cluster:
        sample = Sample(provider, cluster.prometheus_url)
        await cluster.apply(objects(sample))
        command = ControllerCommand(
            await cluster.service_account_kubeconfig(ACCOUNT.namespace, ACCOUNT.name), folder / "controller.log", _flags(cluster, provider)
        )
        async with controller_process(command) as controller, asyncio.TaskGroup() as group:
            address = await cluster.address()
            load = LoadGenerator(TrafficSettings(f"http://{address}/", HOST, rate))
            story = Story(cluster, controller, sample, load)
            with _shown(console, provider, live=live) as show:
                async with story.shown_by(show):
                    acts = await _play(story, load, group)
            flags = await cluster.flags()
        _summarise(console, story, acts, flags)
        return all(act.is_as_expected for act in acts) and not flags.failures()


def _flags(cluster: LocalCluster, provider: str) -> dict[str, str]:
    return {
        "mesh-provider": provider,
        "metrics-server": cluster.prometheus_url,
        "minimum-interval": "2s",
        "port": "0",
        "log-level": "info",
        "log-format": "json",
        "leader-election-namespace": ACCOUNT.namespace,
    }


async def _play(story: Story, load: LoadGenerator, group: asyncio.TaskGroup) -> list[Act]:
    await story.initialise()
    sending = group.create_task(load.run(), name="demo load")
    await story.rest()
    good = await story.play(GOOD, Phase.SUCCEEDED)
    await story.rest()
    bad = await story.play(BAD, Phase.FAILED)
    await story.rest()
    load.stop()
    await sending
    return [good, bad]


@contextmanager
def _shown(console: Console, provider: str, *, live: bool) -> Iterator[Show]:
    title = f"demo of flagger-py with {provider}"
    if not live:
        console.print(title, markup=False)
        yield Lines(lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True))
        return
    with Live(console=console, refresh_per_second=8, transient=True) as screen:
        yield lambda scene: screen.update(frame(scene, title))


def _summarise(console: Console, story: Story, acts: list[Act], flags: EnvoyFlags) -> None:
    table = Table(title="summary", title_justify="left", box=None, pad_edge=False)
    for heading in ("version", "ended", "took", "requests", "failures"):
        table.add_column(heading, justify="right" if heading in ("took", "requests", "failures") else "left", min_width=10)
    first = sum(count for (version, _), count in story.tally.totals.items() if version == "1")
    table.add_row("1", "replaced", "", str(first), str(story.tally.failures("1")))
    for act in acts:
        ended = "promoted" if act.ended is Phase.SUCCEEDED else "rolled back"
        table.add_row(act.version, ended + ("" if act.is_as_expected else " (!)"), f"{act.seconds:.1f} s", *_counts(story, act))
    console.print(table)
    bad = acts[-1]
    console.print(f"{bad.requests} of {story.tally.requests} requests met the bad version, {bad.failures} of them failed.", markup=False)
    failures = flags.failures()
    text = "none" if not failures else ", ".join(f"{flag}: {count}" for flag, count in failures.items())
    console.print(f"Error responses of Envoy itself (UF, UH, UC, NR, NC …): {text}, of {flags.requests} requests.", markup=False)
    console.print(f"{story.elapsed:.0f} s in all.", markup=False)


def _counts(story: Story, act: Act) -> tuple[str, str]:
    total = sum(count for (version, _), count in story.tally.totals.items() if version == act.version)
    return str(total), str(story.tally.failures(act.version))
