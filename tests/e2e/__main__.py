"""Runs the end-to-end suite: builds what is missing, makes a network namespace, starts the real servers in it, and runs pytest there.

`python -m tests.e2e [--only PART,…] [-- pytest arguments]`, or `python -m tests.e2e exec COMMAND…` for any command beside the servers.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.e2e import crds, namespace
from tests.e2e.binaries import CONTOUR, CONTROL_PLANE, CannotBuild, build, cache_folder
from tests.e2e.controlplane import ControlPlane
from tests.e2e.processes import HasEnded
from tests.e2e.stack import stack

KEPT_RUNS: Final = 5
CANNOT_RUN: Final = 3


def main(arguments: Sequence[str]) -> int:
    """Builds happen outside of the namespace: nothing inside reaches a registry."""
    try:
        build(CONTROL_PLANE)
        build(CONTOUR)
        definitions = crds.of_everything()
        if not namespace.is_inside():
            namespace.enter("tests.e2e", arguments)
        namespace.set_up()
        return asyncio.run(_run(list(arguments), _new_folder(), definitions))
    except (CannotBuild, HasEnded) as error:
        print(f"the end-to-end suite cannot run here: {error}", file=sys.stderr)
        return CANNOT_RUN


async def _run(arguments: list[str], folder: Path, definitions: str) -> int:
    async with stack(folder, definitions, whole=True) as running:
        code = await _command(_command_line(arguments), running.plane)
    if code:
        print(f"logs, audit log and dumps: {folder}", file=sys.stderr)
    return code


def _command_line(arguments: list[str]) -> list[str]:
    if arguments[:1] == ["exec"]:
        return arguments[1:]
    return [sys.executable, "-m", "pytest", *(arguments or ["tests/e2e"])]


async def _command(command: list[str], plane: ControlPlane) -> int:
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **environment(plane)})
    return await process.wait()


def environment(plane: ControlPlane) -> Mapping[str, str]:
    """What the tests are told."""
    admin = str(plane.kubeconfig())
    binaries = str(plane.binaries["kubectl"].parent)
    return {
        "FLAGGER_PY_E2E_FOLDER": str(plane.folder),
        "FLAGGER_PY_CONTRACT_KUBECONFIG": admin,
        "KUBECONFIG": admin,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
    }


def _new_folder() -> Path:
    """A folder for this run; old ones are removed."""
    runs = cache_folder() / "runs"
    for old in sorted(runs.glob("*"))[: -KEPT_RUNS + 1]:
        shutil.rmtree(old)
    folder = runs / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
