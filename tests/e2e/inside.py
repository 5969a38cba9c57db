"""Runs inside of a network namespace: the servers, and a command beside them. Started by `tests.e2e.__main__`, never by hand."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.e2e import audit, dump, namespace
from tests.e2e.parts import Servers
from tests.e2e.processes import HasEnded
from tests.e2e.stack import Stack, stack

DEFINITIONS: Final = "definitions.yaml"
CANNOT_RUN: Final = 3
FORBIDDEN: Final = 403
ENDING: Final = "because it is being terminated"
"""A namespace that is being deleted takes no new objects, whatever one has the right to."""


def main(servers: Servers, folder: Path, command: Sequence[str]) -> int:
    """The command's exit code."""
    namespace.set_up()
    try:
        return asyncio.run(_run(servers, folder, list(command)))
    except* HasEnded as errors:
        print(f"a server does not run: {errors.exceptions[0]}", file=sys.stderr)
    return CANNOT_RUN


async def _run(servers: Servers, folder: Path, command: list[str]) -> int:
    if servers is Servers.NONE:
        return await _execute(command, {"FLAGGER_PY_E2E_FOLDER": str(folder)})
    definitions = await asyncio.to_thread((folder.parent / DEFINITIONS).read_text)
    async with stack(folder, definitions, servers) as running:
        code = await _execute(command, environment(running, folder))
        if servers is Servers.ALL:
            code = code or _check_rights(running)
        if code:
            await dump.write(running.plane, folder / "objects")
    return code


def _check_rights(running: Stack) -> int:
    """Least privilege: with the shipped role nothing that the controller asked was forbidden."""
    refused = (call for call in audit.calls(running.plane.audit()) if call.code == FORBIDDEN and ENDING not in call.message)
    forbidden = {(call.verb, call.resource, call.message) for call in refused}
    for refusal in sorted(forbidden):
        print("the controller was forbidden to", *refusal)
    return int(bool(forbidden))


async def _execute(command: list[str], environment_: Mapping[str, str]) -> int:
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **environment_})
    return await process.wait()


def environment(running: Stack, folder: Path) -> Mapping[str, str]:
    """What the tests are told."""
    admin = str(running.plane.kubeconfig())
    binaries = str(running.plane.binaries["kubectl"].parent)
    return {
        "FLAGGER_PY_E2E_FOLDER": str(folder),
        "FLAGGER_PY_CONTRACT_KUBECONFIG": admin,
        "KUBECONFIG": admin,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
    }


if __name__ == "__main__":
    sys.exit(main(Servers[sys.argv[1]], Path(sys.argv[2]), sys.argv[3:]))
