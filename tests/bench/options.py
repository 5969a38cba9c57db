"""The command line of `python -m tests.bench`."""

import argparse
import shlex
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from tests.bench.manifests import HTTP_ROUTE, ROUTES, VIRTUAL_SERVICE
from tests.bench.process import ControllerCommand

EMBEDDED: Final = "embedded"
OUR_USER_AGENT: Final = "flagger-py"
OUR_FLAGS: Final = "-kubeconfig={kubeconfig} -metrics-server={metrics} -port={port} -log-level=info -log-format=json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is measured, and for how long."""

    server: str
    audit_log: Path | None
    command: ControllerCommand
    is_ours: bool
    user_agent: str
    provider: str
    routes: str
    canaries: tuple[int, ...]
    foreign: int
    interval: timedelta
    idle_seconds: float
    one_by_one: int
    at_once: int
    active: int
    begins: tuple[float, ...]
    """Over how many intervals the active rollouts begin; each is measured."""
    log: Path | None

    @property
    def namespace(self) -> str:
        return "bench"


def parse(argv: list[str]) -> Options:
    """Read the command line; exits with the usage where it makes no sense."""
    parser = _parser()
    given = parser.parse_args(argv)
    if given.server != EMBEDDED and given.audit_log is None:
        parser.error("--server KUBECONFIG needs --audit-log FILE: requests are counted at the server")
    interval = timedelta(seconds=1 if given.short else 10)
    counts = tuple(sorted(int(part) for part in (given.canaries or ("100" if given.short else "100,1000")).split(",")))
    ours = f"{shlex.quote(str(Path(sys.executable).parent / 'flagger-py'))} controller {OUR_FLAGS}"
    return Options(
        server=given.server,
        audit_log=given.audit_log,
        command=ControllerCommand(given.controller or f"{ours} -minimum-interval={interval.total_seconds():g}s"),
        is_ours=given.controller is None,
        user_agent=given.user_agent,
        provider=given.provider,
        routes=(VIRTUAL_SERVICE if given.provider == "istio" else HTTP_ROUTE).plural,
        canaries=counts,
        foreign=given.foreign if given.foreign is not None else (100 if given.short else 5000),
        interval=interval,
        idle_seconds=5 if given.short else 60,
        one_by_one=min(10 if given.short else 50, (counts[-1] - 1) // 8),
        at_once=min(20, counts[-1] // 4),
        active=min(200, (counts[-1] - 1) // 4),
        begins=(1.0,) if given.short else (1.0, 0.0),
        log=given.log,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="What a controller costs: requests, CPU, memory, reaction.")
    parser.add_argument("--short", action="store_true", help="for CI: under a minute, with fewer Canaries and an interval of 1 s")
    parser.add_argument("--server", default=EMBEDDED, metavar="KUBECONFIG", help="another API server than the embedded one")
    parser.add_argument("--audit-log", type=Path, help="its audit log, level Metadata or above")
    parser.add_argument("--controller", metavar="COMMAND", help="another controller; {kubeconfig}, {metrics} and {port} are filled in")
    parser.add_argument("--user-agent", default=OUR_USER_AGENT, help="how the user agent of its requests begins (default: %(default)s)")
    parser.add_argument("--provider", default="gatewayapi:v1", help="spec.provider of the Canaries (default: %(default)s)")
    parser.add_argument("--canaries", metavar="N,M", help="how many settled Canaries to measure with; more is asked of the last")
    parser.add_argument("--foreign", type=int, help="foreign objects of each watched kind")
    parser.add_argument("--log", type=Path, help="where the controller's own log goes")
    return parser


__all__ = ["EMBEDDED", "ROUTES", "Options", "parse"]
