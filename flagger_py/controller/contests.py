"""Own writes that another manager undoes (GitOps self-heal, another controller): repeated with back-off, and told (design §3, Writes).

An effect that has been brought about and has to be written again, with nothing new decided, was undone by somebody.
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
    """One write of ours: the object, and the paths of what was set."""

    ref: Ref
    paths: tuple[str, ...]


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
    fault: Fault | None = None


@dataclass(slots=True)
class Contests:
    """The contests of one Canary, by kind of effect."""

    objects: Objects
    jitter: Jitter
    _entries: dict[type[Effect], _Entry] = field(default_factory=dict)

    def fault(self, effect: Effect) -> Fault | None:
        """Why this effect has to wait; `None` where it may be brought about now. A rollback never waits."""
        entry = self._entries.get(type(effect))
        if entry is None or entry.effect != effect or (isinstance(effect, SetTraffic) and effect.urgent):
            return None
        return entry.fault if self._now() < entry.not_before else None

    @property
    def seconds_to_wait(self) -> float | None:
        """Until the next effect that waits may be brought about; `None` where none waits."""
        waits = [entry.not_before - self._now() for entry in self._entries.values()]
        return min((wait for wait in waits if wait > 0), default=None)

    async def brought_about(self, effect: Effect, circumstance: Circumstance, written: list[Written]) -> None:
        """Take in that the effect is true now, and what had to be written for it."""
        if not written:
            return
        now, entry = self._now(), self._entries.get(type(effect))
        same = entry is not None and (entry.effect, entry.circumstance) == (effect, circumstance)
        if entry is None or not same or now - entry.written_at > FORGOTTEN_AFTER:
            backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, jitter=self.jitter)
            self._entries[type(effect)] = _Entry(effect, circumstance, now, now, backoff)
            return
        entry.written_at = now
        entry.not_before = now + entry.backoff.next()
        entry.fault = await self._undone(effect, written[0])

    async def _undone(self, effect: Effect, written: Written) -> Fault:
        manager = _last_manager(await self.objects.get(written.ref) or {})
        condition = ConditionType.ROUTING_READY if isinstance(effect, SetTraffic) else ConditionType.REFERENCES_RESOLVED
        message = f"{written.ref}: {', '.join(written.paths[:3])} is changed back by {manager}, and set again with growing pauses"
        return Fault(condition, "Undone", message, retry=True)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _last_manager(manifest: dict[str, Any]) -> str:
    """Who wrote the object last, besides us."""
    entries = manifest.get("metadata", {}).get("managedFields") or []
    others = [entry for entry in entries if entry.get("manager") != OUR_MANAGER and not entry.get("subresource")]
    latest: dict[str, Any] = max(others, key=lambda entry: str(entry.get("time", "")), default={})
    return repr(latest["manager"]) if latest.get("manager") else "another manager"
