"""`flagger-py load`: a load generator for where hey is not installed. The load tester gives it to commands by that name."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from typing import Any

import click

from flagger_py.cli.controller import GoFlagsCommand
from flagger_py.cli.load_options import Load, read, usage
from flagger_py.controller.goflag import HelpRequested, UsageError
from flagger_py.local.workers import Results, Workers

QUANTILES = (10, 25, 50, 75, 90, 95, 99)


@click.command(name="load", cls=GoFlagsCommand, add_help_option=False)
def load(**params: Any) -> None:
    """Send load to a URL (takes the options of hey)."""
    try:
        wanted = read(params["argv"])
    except HelpRequested:
        sys.stdout.write(usage())
        return
    except UsageError as error:
        sys.stderr.write(f"{error}\n{usage()}")
        raise SystemExit(1) from None
    if wanted.ignored:
        sys.stderr.write(f"ignored after the URL: {' '.join(wanted.ignored)}\n")
    workers = asyncio.run(_send(wanted))
    sys.stdout.write("\n".join(summary(workers.results, workers.errors)) + "\n")


async def _send(wanted: Load) -> Workers:
    """Until its end, or a signal; requests under way are answered."""
    workers = Workers(wanted.settings, wanted.plan)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, workers.stop)
    await workers.run()
    return workers


def summary(results: Results, errors: dict[str, int]) -> Iterator[str]:
    """The lines that are printed at the end; seconds with four digits."""
    latencies = sorted(results.latencies)
    answers = sum(results.statuses.values())
    yield "Summary:"
    yield f"  Total:\t{results.seconds:.4f} secs"
    if latencies:
        yield f"  Slowest:\t{latencies[-1]:.4f} secs"
        yield f"  Fastest:\t{latencies[0]:.4f} secs"
        yield f"  Average:\t{sum(latencies) / len(latencies):.4f} secs"
    yield f"  Requests/sec:\t{(answers + sum(errors.values())) / (results.seconds or 1):.4f}"
    yield f"  Total data:\t{results.size} bytes"
    if latencies:
        yield "\nLatency distribution:"
        yield from (f"  {quantile}% in {latencies[len(latencies) * quantile // 100]:.4f} secs" for quantile in QUANTILES)
    yield "\nStatus code distribution:"
    yield from (f"  [{status}]\t{count} responses" for status, count in sorted(results.statuses.items()))
    if errors:
        yield "\nError distribution:"
        yield from (f"  [{count}]\t{name}" for name, count in sorted(errors.items()))
