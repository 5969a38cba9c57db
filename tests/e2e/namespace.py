"""A network of its own for the suite, made without root: every pod address and every ClusterIP is an address of its loopback device.

A real API server refuses endpoints on 127.0.0.0/8, so pods need addresses that look like a cluster's. Nothing leaves the namespace, and
all that was started in it ends with it: it is a process namespace too.
"""

import subprocess
from collections.abc import Sequence
from typing import Final

from tests.e2e.machine import ISOLATED, program

POD_NETWORK: Final = "10.244.0.0/16"
SERVICE_NETWORK: Final = "10.96.0.0/16"


def command(command: Sequence[str]) -> list[str]:
    """The command that runs another one inside. Raises `CannotRun` where `unshare` is missing."""
    return [program("unshare"), *ISOLATED, "--", *command]


def set_up() -> None:
    """Bring the loopback device up, with the networks of pods and Services on it."""
    for command in ("link set lo up", f"addr add {POD_NETWORK} dev lo", f"addr add {SERVICE_NETWORK} dev lo"):
        subprocess.run([program("ip"), *command.split()], check=True)
