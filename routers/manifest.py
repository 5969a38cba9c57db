"""`ManifestRouter`: the base of routers whose state is Kubernetes objects.

A subclass gives pure functions from values to values; what is here fetches, compares by meaning, creates and patches.
"""

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from flagger_py.api.canary import Canary
from flagger_py.objects.errors import AlreadyExists, Conflict, NotFound
from flagger_py.objects.patch import merge_patch, pinned
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import Manifest, Ref
from flagger_py.rollout.traffic import ALL_PRIMARY, Pending, Routes, Traffic
from flagger_py.rollout.views import Awaited, Back, Owed
from flagger_py.routers.backends import Backends
from flagger_py.routers.base import Router, RouterError, RouterSettings
from flagger_py.routers.introduction import introduced
from flagger_py.routers.meaning import first_difference, metadata_difference, without_empty
from flagger_py.routers.ownership import ORIGINAL, original_spec, without_notes

Live = Mapping[Ref, Manifest]
"""The objects that exist, of those that `objects` names."""

log = structlog.get_logger(__name__)

_ATTEMPTS = 4
"""How often a write is tried that others keep crossing; a rollback has no limit."""


class ManifestRouter(Router):
    """Subclasses define `objects`, `read` and `render`, and mostly `normalise`: all without I/O, so that `render` works offline too."""

    def __init__(self, objects: Objects, settings: RouterSettings) -> None:
        super().__init__(objects, settings)
        self._not_kept: dict[Ref, tuple[Any, Any]] = {}
        """What was sent and what was stored instead, both normalised."""

    @abstractmethod
    def routing_objects(self, canary: Canary) -> tuple[Ref, ...]:
        """The objects that carry the traffic, in the order in which they are written."""

    @abstractmethod
    def read(self, canary: Canary, live: Live) -> Routes | Pending:
        """The traffic that these objects carry. Raises `RouterError` where that cannot be said."""

    @abstractmethod
    def render(self, canary: Canary, traffic: Traffic, live: Live) -> dict[Ref, Manifest]:
        """Each whole object as it should be. Start from `ownership.draft`, which keeps what others own, and replace what is managed.

        Raises `RouterError` where a field of the Canary cannot be mapped exactly.
        """

    def normalise(self, ref: Ref, spec: Any) -> Any:
        """The spec in the form that is compared: server defaults filled in, keyed lists sorted. `None` and empty are equal anyway."""
        return spec

    def leads_users(self, ref: Ref) -> bool:
        """Whether users come to the versions by this object; others only say how. All do where nothing else is said."""
        return True

    def objection(self, ref: Ref, manifest: Manifest) -> str:
        """Why the backend has not taken over this object as it is now; empty where it has, or does not say."""
        return ""

    def revert(self, canary: Canary, live: Live) -> dict[Ref, Manifest]:
        """The objects that are not as they were, as they should be.

        An adopted one gets the spec that is noted on it. Without a note, one that leads users to primary or canary leads them to the
        apex Service instead: Flagger has adopted it without noting anything (routers:GW-29), or it was generated, and then it goes by
        garbage collection in no particular order with the Services behind it.
        """
        backends = Backends.of(canary)
        reverted = {}
        for ref, manifest in live.items():
            spec = original_spec(canary, ref, manifest)
            if spec is None and self.leads_users(ref) and backends.appear_in(manifest.get("spec")):
                spec = backends.led_to_apex(self._with_all_on_primary(canary, ref, live))
            if spec is not None and (ORIGINAL in _annotations(manifest) or self._differs(ref, spec, manifest)):
                reverted[ref] = without_notes(manifest) | {"spec": spec}
        return reverted

    async def restoration(self, canary: Canary) -> Back | Owed | Awaited:
        live = await self._fetch(canary, self.objects.read)
        for ref in self.revert(canary, live):
            return Owed(f"{ref} is not as it was")
        objections = (self.objection(ref, manifest) for ref, manifest in live.items() if self.leads_users(ref))
        objection = next(filter(None, objections), "")
        return Awaited(objection) if objection else Back()

    async def get_routes(self, canary: Canary) -> Routes | Pending:
        return self.read(canary, await self._fetch(canary, self.objects.read))

    async def set_routes(self, canary: Canary, traffic: Traffic) -> None:
        live = await self._fetch(canary, self.objects.read)
        attempt = 1
        while True:
            try:
                for ref, wanted in self.render(canary, traffic, live).items():
                    await self._ensure(ref, wanted, live.get(ref))
            except (Conflict, AlreadyExists, NotFound):
                if attempt >= _ATTEMPTS and not self._is_rollback(canary, traffic, live):
                    raise
            else:
                return
            attempt += 1
            live = await self._fetch(canary, self.objects.get)

    async def prepare_finalize(self, canary: Canary) -> None:
        await self._change(lambda live: self._introduce(canary, live), canary)

    async def finalize(self, canary: Canary) -> None:
        await self._change(lambda live: self.revert(canary, live), canary)

    def _introduce(self, canary: Canary, live: Live) -> dict[Ref, Manifest]:
        backends = Backends.of(canary)
        reverted = {ref: wanted for ref, wanted in self.revert(canary, live).items() if self.leads_users(ref)}
        return {
            ref: dict(live[ref]) | {"spec": introduced(live[ref].get("spec"), wanted["spec"], backends)} for ref, wanted in reverted.items()
        }

    async def _change(self, render: Callable[[Live], dict[Ref, Manifest]], canary: Canary) -> None:
        """Bring objects that exist to what is rendered from them as they are now."""
        for attempt in range(1, _ATTEMPTS + 1):
            live = await self._fetch(canary, self.objects.get)
            try:
                for ref, wanted in render(live).items():
                    patch = merge_patch(live[ref], wanted)
                    if not patch.is_empty:
                        await self.objects.patch(ref, pinned(patch, live[ref]))
                        log.info("route_changed_for_deletion", route=str(ref))
            except Conflict:
                if attempt == _ATTEMPTS:
                    raise
            except NotFound:
                continue
            else:
                return

    def difference(self, ref: Ref, wanted: Manifest, stored: Manifest) -> str | None:
        """The path of the first field that differs in meaning; `None` where nothing needs to be written."""
        return metadata_difference(wanted, stored) or first_difference(self._normal(ref, wanted), self._normal(ref, stored), "spec")

    def _differs(self, ref: Ref, spec: Any, stored: Manifest) -> bool:
        return first_difference(self._normal(ref, {"spec": spec}), self._normal(ref, stored), "spec") is not None

    def _with_all_on_primary(self, canary: Canary, ref: Ref, live: Live) -> Any:
        """Without cookies, mirrors and matches, which would stay when nobody looks after them; as it is where it cannot be rendered."""
        try:
            return self.render(canary, Traffic(ALL_PRIMARY), live)[ref]["spec"]
        except RouterError as error:
            log.warning("route_not_rendered", route=str(ref), reason=str(error))
            return live[ref]["spec"]

    async def _fetch(self, canary: Canary, get: Callable[[Ref], Awaitable[Manifest | None]]) -> dict[Ref, Manifest]:
        found = {ref: await get(ref) for ref in self.routing_objects(canary)}
        return {ref: manifest for ref, manifest in found.items() if manifest is not None}

    async def _ensure(self, ref: Ref, wanted: Manifest, stored: Manifest | None) -> None:
        if stored is None:
            reply = await self.objects.create(ref.resource, wanted)
        elif path := self.difference(ref, wanted, stored):
            self._refuse_repetition(ref, wanted, stored, path)
            reply = await self.objects.patch(ref, pinned(merge_patch(stored, wanted), stored))
        else:
            self._not_kept.pop(ref, None)
            return
        log.info("route_written", route=str(ref))
        self._check_kept(ref, wanted, reply)

    def _check_kept(self, ref: Ref, sent: Manifest, reply: Manifest) -> None:
        if path := self.difference(ref, sent, reply):
            self._not_kept[ref] = (self._normal(ref, sent), self._normal(ref, reply))
            raise _not_kept(ref, path)
        self._not_kept.pop(ref, None)

    def _refuse_repetition(self, ref: Ref, wanted: Manifest, stored: Manifest, path: str) -> None:
        """The server's answer to this very write is known: it would be the same again (design §3)."""
        if self._not_kept.get(ref) == (self._normal(ref, wanted), self._normal(ref, stored)):
            raise _not_kept(ref, path)

    def _normal(self, ref: Ref, manifest: Manifest) -> Any:
        return without_empty(self.normalise(ref, manifest.get("spec") or {}))

    def _is_rollback(self, canary: Canary, traffic: Traffic, live: Live) -> bool:
        """Whether more traffic goes to the primary than does now, as far as that is known."""
        try:
            routes = self.read(canary, live)
        except RouterError:
            routes = Pending("unreadable")
        return traffic.routes.primary > routes.primary if isinstance(routes, Routes) else traffic.routes.canary == 0


def _not_kept(ref: Ref, path: str) -> RouterError:
    return RouterError(
        f"{ref}: {path}: the server did not store what was sent; its CustomResourceDefinition may lack the field, or something changes it"
    )


def _annotations(manifest: Manifest) -> Mapping[str, str]:
    return manifest["metadata"].get("annotations") or {}
