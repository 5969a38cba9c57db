"""What all handlers share: the objects, the kinds, the time, and where new identities come from."""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from flagger_py.local.apiserver.encoding import encode, encode_item
from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.registry import Registry
from flagger_py.local.apiserver.status import not_found
from flagger_py.local.apiserver.store import Collection, Key, Record, Store
from flagger_py.objects.resource import Manifest

NAME_ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
"""What generated names end in: no vowels and nothing that looks alike."""


@dataclass(slots=True, eq=False)
class State:
    """The contents of one server. `now` gives aware datetimes; `entropy` makes uids and generated names."""

    registry: Registry
    store: Store
    now: Callable[[], datetime]
    entropy: random.Random = field(default_factory=random.SystemRandom)

    def timestamp(self) -> str:
        """The time as `metadata.creationTimestamp` has it."""
        return format_time(self.now())

    def new_uid(self) -> str:
        return str(uuid.UUID(int=self.entropy.getrandbits(128), version=4))

    def generated_name(self, prefix: str) -> str:
        """A name from `metadata.generateName`: the prefix, cut to leave room, and five letters."""
        return prefix[:58] + "".join(self.entropy.choice(NAME_ALPHABET) for _ in range(5))

    def collection(self, kind: Kind) -> Collection:
        return self.store.collection(kind.resource.group, kind.resource.plural)

    def record(self, kind: Kind, key: Key) -> Record:
        """The object of this name. Raises 404."""
        record = self.collection(kind).records.get(key)
        if record is None:
            raise not_found(kind.subject(key[1]))
        return record

    def namespace(self, name: str) -> Manifest | None:
        record = self.store.collection("", "namespaces").records.get(("", name))
        return record.manifest if record else None

    def put(self, kind: Kind, key: Key, manifest: Manifest) -> Record:
        """Store an object that was written in a kind's version, in the stored version."""
        typed = {"kind": kind.resource.kind, "apiVersion": stored_api_version(kind)}
        return self.store.put(self.collection(kind), key, typed | manifest | typed, self.registry.schema(kind))

    def encode(self, kind: Kind, record: Record) -> bytes:
        """The object's JSON in a kind's version, as its schema of today shows it."""
        return encode(kind, record, self.registry.schema(kind))

    def encode_item(self, kind: Kind, record: Record) -> bytes:
        """The object's JSON as an item of a list."""
        return encode_item(kind, record, self.registry.schema(kind))


def stored_api_version(kind: Kind) -> str:
    group = kind.resource.group
    return f"{group}/{kind.storage_version}" if group else kind.storage_version


def format_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc_now() -> datetime:
    return datetime.now(UTC)
