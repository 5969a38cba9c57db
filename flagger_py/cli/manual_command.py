"""Gives one manual command to a Canary and waits until the controller has acknowledged it."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from flagger_py.api.commands import Verb
from flagger_py.api.metadata import COMMAND
from flagger_py.kube.client import Client
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import Manifest, Ref

POLL: Final = 0.25
"""Seconds between two looks at the Canary; the controller mostly answers in less than one."""


class NotSent(Exception):
    """There is nothing that the command could mean; the message says what there is."""


class NotAcknowledged(Exception):
    """The command stands on the Canary, and no controller has taken it; the message says why, where that can be seen."""


@dataclass(frozen=True, slots=True)
class Order:
    """A command on its way. Without a `run` the one under way is meant."""

    ref: Ref
    verb: Verb
    run: str
    id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the controller said, and where the Canary stands since."""

    result: str
    standing: str

    @property
    def is_done(self) -> bool:
        return self.result == "done"


async def give(client: Client, order: Order, seconds: float) -> Answer:
    """Annotate the Canary and wait for the answer. Raises `NotSent`, `NotAcknowledged` and `ApiError`."""
    canary = await client.get(order.ref)
    run = order.run or _record(canary).get("run", "")
    if not run and order.verb is not Verb.RETRY:
        raise NotSent(f"{order.ref}: no run is under way, it is {_phase(canary)}")
    body = json.dumps({"id": order.id, "verb": order.verb.value, "run": run})
    await client.patch(order.ref, MergePatch({"metadata": {"annotations": {COMMAND: body}}}))
    try:
        async with asyncio.timeout(seconds):
            while True:
                canary = await client.get(order.ref)
                if (command := _record(canary).get("command") or {}).get("id") == order.id:
                    return Answer(command["result"], _standing(canary))
                await asyncio.sleep(POLL)
    except TimeoutError as error:
        reasons = "; ".join(_obstacles(canary)) or "is a controller running, and does it watch this namespace?"
        raise NotAcknowledged(f"{order.ref}: {order.verb} is not acknowledged after {seconds:g} s: {reasons}") from error


def _record(canary: Manifest) -> dict[str, Any]:
    record: dict[str, Any] = (canary.get("status") or {}).get("rollout") or {}
    return record


def _phase(canary: Manifest) -> str:
    return (canary.get("status") or {}).get("phase") or "not initialised"


def _standing(canary: Manifest) -> str:
    status, record = canary.get("status") or {}, _record(canary)
    paused = ", paused" if record.get("pausedSince") else ""
    return f"{_phase(canary)}{paused}, canary weight {status.get('canaryWeight', 0)}, run {record.get('run', 'none')}"


def _obstacles(canary: Manifest) -> Iterator[str]:
    """What keeps a controller from looking at commands."""
    if canary["metadata"].get("deletionTimestamp"):
        yield "the Canary is being deleted"
    if (canary.get("spec") or {}).get("suspend"):
        yield "spec.suspend is true"
    for condition in (canary.get("status") or {}).get("conditions") or []:
        if condition.get("status") == "False" and condition.get("type") != "Promoted":
            yield f"{condition['type']}: {condition.get('message', '')}"
