"""The controller process: signals, the HTTP server, the connection to the cluster, and a stop in one readable order."""

import asyncio
import signal
import socket
import uuid
from typing import Final

import structlog

from flagger_py import __version__
from flagger_py.controller import log as logs
from flagger_py.controller.assembly import Controller
from flagger_py.controller.clock import SystemClock
from flagger_py.controller.flags import ControllerFlags
from flagger_py.controller.pulse import Pulse
from flagger_py.http.addresses import CLOUD_METADATA, AddressRules
from flagger_py.http.httpx_client import HttpxClient
from flagger_py.http.server.serving import CannotListen, serve
from flagger_py.kube.session import ConfigError, open_transport
from flagger_py.web.endpoints import Endpoints

FATAL: Final = 1

log = structlog.get_logger(__name__)


def run(flags: ControllerFlags) -> int:
    """Run until a signal; the exit code. A second signal ends the process at once (engine:ENG-06)."""
    level = logs.configure(flags.log_level, flags.log_format)
    _log_start(flags)
    try:
        asyncio.run(_main(flags, level))
    except (ConfigError, CannotListen) as error:
        log.critical("cannot_start", reason=str(error))
        return FATAL
    log.info("stopped")
    return 0


async def _main(flags: ControllerFlags, level: logs.Level) -> None:
    """Start the HTTP server first, so that `/healthz` answers while caches fill; stop it last (operations:OPS-03)."""
    identity = flags.identity or f"{socket.gethostname()}_{uuid.uuid4()}"
    async with (
        HttpxClient(AddressRules.parse((*CLOUD_METADATA, *flags.deny_addresses), flags.allow_addresses)) as http,
        open_transport(flags.kubeconfig, master=flags.master, identity=identity) as transport,
    ):
        controller = Controller(flags, transport, http, SystemClock(), identity)
        pulse = Pulse()
        endpoints = Endpoints(pulse.problem, controller.checks, controller.exported.render, level)
        async with serve(endpoints, int(flags.port)), asyncio.TaskGroup() as group:
            beating = group.create_task(pulse.beat(), name="pulse")
            _stop_on_signal(controller)
            await controller.run()
            beating.cancel()


def _stop_on_signal(controller: Controller) -> None:
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        log.info("stopping", signal=number.name)
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        controller.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)


def _log_start(flags: ControllerFlags) -> None:
    log.info("starting", version=__version__, mesh_provider=flags.mesh_provider, namespace=flags.namespace or "all")
    if flags.given_without_effect:
        log.info("flags_without_effect", flags=list(flags.given_without_effect))
    if flags.ignored_arguments:
        log.warning("arguments_ignored", arguments=list(flags.ignored_arguments))
