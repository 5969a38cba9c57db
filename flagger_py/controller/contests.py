"""Own writes that another manager undoes (GitOps self-heal, another controller): repeated with back-off, and told (design §3, Writes).

A write that has to be made again as it was made last, with nothing new decided, was undone by somebody.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from flagger_py.api.canary import Canary
from flagger_py.api.status import ConditionType
from flagger_py.kube.retry import Backoff, Jitter
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import Ref
from flagger_py.rollout.effects import Effect, SetTraffic
from flagger_py.rollout.world import Fault

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 300.0
FORGOTTEN_AFTER: Final = 600.0
"""Seconds without a contest after which the next one starts anew."""
OUR_MANAGER: Final = "flagger"


@dataclass(frozen=True, slots=True)
class Written:
    """One write of ours: the object, and the paths of what was set. Another content for another cause is another write."""

    ref: Ref
    paths: tuple[str, ...]
    """Empty: the whole object, which did not exist."""
    content: str = ""
    """A digest of what was set."""


@dataclass(frozen=True, slots=True)
class Circumstance:
    """What an effect was decided in. The same effect in another one is a new decision, and no contest."""

    generation: int
    phase: str
    run: str

    @classmethod
    def of(cls, canary: Canary) -> "Circumstance":
        record = canary.status.rollout
        return cls(canary.metadata.generation, canary.status.phase, record.run if record else "")


@dataclass(slots=True)
class _Entry:
    effect: Effect
    circumstance: Circumstance
    written_at: float
    not_before: float
    backoff: Backoff
    written: frozenset[Written]
    undone: Written | None = None
    """What is fought about."""
    fault: Fault | None = None
    """Made when the effect is wanted again: then whoever has undone it can be seen on the object."""


@dataclass(slots=True)
class Contests:
    """The contests of one Canary, by kind of effect."""

    objects: Objects
    jitter: Jitter
    _entries: dict[type[Effect], _Entry] = field(default_factory=dict)

    async def fault(self, effect: Effect) -> Fault | None:
        """Why this effect has to wait; `None` where it may be brought about now. A rollback never waits."""
        entry = self._entries.get(type(effect))
        if entry is None or entry.undone is None or entry.effect != effect or (isinstance(effect, SetTraffic) and effect.urgent):
            return None
        if self._now() >= entry.not_before:
            return None
        if entry.fault is None:
            entry.fault = await self._undone(effect, entry.undone)
        return entry.fault

    @property
    def seconds_to_wait(self) -> float | None:
        """Until the next effect that waits may be brought about; `None` where none waits."""
        waits = [entry.not_before - self._now() for entry in self._entries.values()]
        return min((wait for wait in waits if wait > 0), default=None)

    def brought_about(self, effect: Effect, circumstance: Circumstance, written: list[Written]) -> None:
        """Take in that the effect is true now, and what had to be written for it."""
        if not written:
            return
        now, entry = self._now(), self._entries.get(type(effect))
        undone = self._repeated(entry, effect, circumstance, written)
        if entry is None or undone is None:
            backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, jitter=self.jitter)
            self._entries[type(effect)] = _Entry(effect, circumstance, now, now, backoff, frozenset(written))
            return
        entry.written_at, entry.written = now, frozenset(written)
        entry.not_before = now + entry.backoff.next()
        entry.undone, entry.fault = undone, None

    def _repeated(self, entry: _Entry | None, effect: Effect, circumstance: Circumstance, written: list[Written]) -> Written | None:
        """The first write that was made last time, too, in the same circumstance and not long ago."""
        if entry is None or (entry.effect, entry.circumstance) != (effect, circumstance):
            return None
        if self._now() - entry.written_at > FORGOTTEN_AFTER:
            return None
        return next((write for write in written if write in entry.written), None)

    async def _undone(self, effect: Effect, written: Written) -> Fault:
        condition = ConditionType.ROUTING_READY if isinstance(effect, SetTraffic) else ConditionType.REFERENCES_RESOLVED
        live = await self.objects.get(written.ref)
        if live is None or not written.paths:
            what = f"{written.ref} is deleted by somebody"
        else:
            what = f"{written.ref}: {', '.join(written.paths[:3])} is changed back by {_manager(live, written.paths[0])}"
        return Fault(condition, "Undone", f"{what}, and set again with growing pauses", retry=True)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _manager(manifest: dict[str, Any], path: str) -> str:
    """Who owns the field now, else who wrote the object last, besides us."""
    entries = manifest.get("metadata", {}).get("managedFields") or []
    others = [entry for entry in entries if entry.get("manager") != OUR_MANAGER and not entry.get("subresource")]
    owners = [entry for entry in others if _owns(entry.get("fieldsV1") or {}, path)]
    latest: dict[str, Any] = max(owners or others, key=lambda entry: str(entry.get("time", "")), default={})
    return repr(latest["manager"]) if latest.get("manager") else "another manager"


def _owns(fields: dict[str, Any], path: str) -> bool:
    """Whether a field, or something below it, is among these; a key may itself hold dots."""
    if not path:
        return True
    return any(
        _owns(below, path[len(key) - 2 :].removeprefix("."))
        for key, below in fields.items()
        if key.startswith("f:") and (f"{path}.").startswith(f"{key[2:]}.")
    )
