"""A network of its own for the suite, made without root: every pod address and every ClusterIP is an address of its loopback device.

A real API server refuses endpoints on 127.0.0.0/8, so pods need addresses that look like a cluster's. Nothing leaves the namespace, and
all that was started in it ends with it: it is a process namespace too.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from tests.e2e.binaries import program

INSIDE: Final = "FLAGGER_PY_E2E_INSIDE"
POD_NETWORK: Final = "10.244.0.0/16"
SERVICE_NETWORK: Final = "10.96.0.0/16"


def is_inside() -> bool:
    return os.environ.get(INSIDE) == "1"


def enter(module: str, arguments: Sequence[str]) -> None:
    """Run `python -m module` inside; does not return. Raises `CannotBuild` where a program is missing."""
    unshare = program("unshare", "util-linux")
    program("ip", "iproute2")
    os.environ[INSIDE] = "1"
    flags = ["--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    os.execv(unshare, [unshare, *flags, "--", sys.executable, "-m", module, *arguments])


def set_up() -> None:
    """Bring the loopback device up, with the networks of pods and Services on it."""
    for command in ("link set lo up", f"addr add {POD_NETWORK} dev lo", f"addr add {SERVICE_NETWORK} dev lo"):
        subprocess.run([program("ip", "iproute2"), *command.split()], check=True)
