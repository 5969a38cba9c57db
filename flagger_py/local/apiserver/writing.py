"""Create, update and patch: one pipeline from a new manifest to a stored record, in the order of kube-apiserver's own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from flagger_py.local.apiserver.answers import Answer
from flagger_py.local.apiserver.calls import Call
from flagger_py.local.apiserver.decoding import decode_object
from flagger_py.local.apiserver.encoding import read
from flagger_py.local.apiserver.forms import negotiate
from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.managed_fields import tracked
from flagger_py.local.apiserver.names import finalizer_addition_errors, metadata_errors
from flagger_py.local.apiserver.reading import one
from flagger_py.local.apiserver.state import State
from flagger_py.local.apiserver.status import (
    FieldError,
    Refused,
    Subject,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    invalid_value,
    not_found,
    required,
)
from flagger_py.local.apiserver.store import Key, Record
from flagger_py.objects.resource import Manifest

Track = Callable[[Manifest, Manifest | None], list[dict[str, Any]]]
"""Makes the managed fields of the new manifest that replaces an old one."""

Change = Callable[[Manifest, Record], Manifest]
"""Makes the new manifest from a copy of the old one, which may be changed, and its record."""

_SERVER_METADATA: Final = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation")


@dataclass(frozen=True, slots=True)
class Writer:
    """Carries out one write call on one kind."""

    state: State
    call: Call
    kind: Kind

    def create(self) -> Answer:
        """Create the object in the body. Raises 400, 403, 404 (namespace), 409 and 422."""
        form = negotiate(self.call)
        record = self.create_from(decode_object(self.call, self.kind))
        return one(self.state, self.kind, record, form, self.call, 201)

    def create_from(self, new: Manifest, *, track: Track | None = None) -> Record:
        """Create a decoded object."""
        self._check_namespace(new)
        metadata = new["metadata"]
        if metadata.get("resourceVersion"):
            raise Refused(500, "", "resourceVersion should not be set on objects to be created")
        self._check_namespace_is_open(new)
        self._identify(metadata)
        self.kind.strategy.prepare_create(new)
        new["metadata"] |= {"generation": 1} if self.kind.strategy.has_generation else {}
        key = self._key(metadata["name"])
        self._check_kind(new)
        self._validate(new, None)
        if key in self.state.collection(self.kind).records:
            raise already_exists(self.kind.subject(metadata["name"]))
        self._track(new, None, track)
        return self._store(key, new)

    def update(self) -> Answer:
        """Replace the object by the one in the body (PUT). Raises 400, 404, 409 and 422."""
        form = negotiate(self.call)
        new = decode_object(self.call, self.kind)
        name, given = self.call.target.name, new["metadata"].setdefault("name", self.call.target.name)
        if given != name:
            raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
        self._check_namespace(new)
        record = self.state.collection(self.kind).records.get(self._key(name))
        if record is None and self.kind.strategy.creates_on_update and not self.call.target.subresource:
            return one(self.state, self.kind, self.create_from(new), form, self.call, 201)
        if record is None:
            raise not_found(self.kind.subject(name))
        self._check_identity(new, record)
        return one(self.state, self.kind, self.replace(record, new), form, self.call)

    def change(self, change: Change, *, track: Track | None = None) -> Record:
        """Replace the object by what `change` makes of it. Raises 404, 409 and 422."""
        record = self.state.record(self.kind, self._key(self.call.target.name))
        old = read(self.kind, record, self.state.registry.schema(self.kind))
        new = change(old, record)
        self._check_namespace(new)
        return self.replace(record, new, track=track)

    def replace(self, record: Record, new: Manifest, *, track: Track | None = None) -> Record:
        """Store a new state of an existing object; the same state is no write."""
        old = read(self.kind, record, self.state.registry.schema(self.kind))
        self._check_version(new, record)
        _keep_server_metadata(new, old)
        self._prepare(new, old)
        self._check_kind(new)
        self._validate(new, old)
        self._track(new, old, track)
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if new == old:
            return record
        return self._store(self._key(self.call.target.name), new)

    def _prepare(self, new: Manifest, old: Manifest) -> None:
        strategy = self.kind.strategy
        if self.call.target.subresource == "status":
            strategy.prepare_status(new, old)
            return
        if self.call.target.subresource:
            strategy.prepare_subresource(new, old)
        else:
            strategy.prepare_update(new, old)
        if strategy.has_generation and strategy.is_new_generation(new, old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1

    def _store(self, key: Key, new: Manifest) -> Record:
        if self.call.is_dry_run:
            new["metadata"].setdefault("resourceVersion", "")
            return Record(new, self.state.store.version, orjson.dumps(_without_empty_version(new)), self.state.registry.schema(self.kind))
        metadata = new["metadata"]
        is_finished = "deletionTimestamp" in metadata and not metadata.get("finalizers") and not metadata.get("deletionGracePeriodSeconds")
        if is_finished and not self.kind.strategy.is_held(new):
            self.state.put(self.kind, key, new)
            return self.state.store.remove(self.state.collection(self.kind), key)
        return self.state.put(self.kind, key, new)

    def _key(self, name: str) -> Key:
        return (self.call.target.namespace if self.kind.resource.namespaced else "", name)

    def _check_namespace(self, new: Manifest) -> None:
        if not self.kind.resource.namespaced:
            new["metadata"].pop("namespace", None)
            return
        if new["metadata"].setdefault("namespace", self.call.target.namespace) != self.call.target.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")

    def _check_namespace_is_open(self, new: Manifest) -> None:
        if not self.kind.resource.namespaced:
            return
        name = self.call.target.namespace
        namespace = self.state.namespace(name)
        if namespace is None:
            raise not_found(Subject("", "namespaces", "Namespace", name))
        if "deletionTimestamp" in namespace["metadata"]:
            why = f"unable to create new content in namespace {name} because it is being terminated"
            causes = [{"reason": "NamespaceTerminating", "message": f"namespace {name} is being terminated", "field": "metadata.namespace"}]
            raise forbidden(self.kind.subject(new["metadata"].get("name", "")), why, causes=causes)

    def _identify(self, metadata: dict[str, Any]) -> None:
        prefix = metadata.get("generateName", "")
        if not metadata.get("name") and prefix:
            metadata["name"] = self.state.generated_name(prefix)
        if not metadata.get("name"):
            raise invalid(self.kind.subject(), [required("metadata.name", "name or generateName is required")])
        for name in (*_SERVER_METADATA, "resourceVersion"):
            metadata.pop(name, None)
        metadata |= {"uid": self.state.new_uid(), "creationTimestamp": self.state.timestamp()}

    def _check_identity(self, new: Manifest, record: Record) -> None:
        given, stored = new["metadata"].get("uid"), record.manifest["metadata"]["uid"]
        if given and given != stored:
            place = "/".join(part for part in ("/registry", self.kind.resource.plural, *self._key(self.call.target.name)) if part)
            why = f"Precondition failed: UID in precondition: {given}, UID in object meta: {stored}"
            error = f"StorageError: invalid object, Code: 4, Key: {place}, ResourceVersion: 0, AdditionalErrorMsg: {why}"
            raise conflict(self.kind.subject(self.call.target.name), error)

    def _check_version(self, new: Manifest, record: Record) -> None:
        given = new["metadata"].get("resourceVersion", "")
        if given in {"", "0"}:
            if self.kind.strategy.may_update_unpinned:
                return
            subject = self.kind.subject(self.call.target.name)
            error = invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
            raise invalid(Subject(subject.group, subject.plural, subject.plural, subject.name), [error])
        if given != str(record.version):
            raise conflict(self.kind.subject(self.call.target.name))

    def _check_kind(self, new: Manifest) -> None:
        """The body of a custom object may not claim another kind; for built-in ones decoding has refused it."""
        wanted, given = self.kind.resource.kind, new.get("kind", self.kind.resource.kind)
        if given != wanted:
            subject = Subject(self.kind.resource.group, self.kind.resource.plural, given, new["metadata"].get("name", ""))
            raise invalid(subject, [invalid_value("kind", given, f"must be {wanted}")])

    def _validate(self, new: Manifest, old: Manifest | None) -> None:
        metadata = new["metadata"]
        errors = metadata_errors(metadata, is_custom=self.kind.is_custom)
        if old is None:
            name = metadata.get("name", "")
            errors = [invalid_value("metadata.name", name, error) for error in self.kind.strategy.name_errors(name)] + errors
        else:
            errors = 2 * [*_metadata_update_errors(metadata, old["metadata"]), *errors]  # both of its validators say each of them
        errors += self.kind.strategy.validate(new, old)
        if errors:
            raise invalid(self.kind.subject(metadata.get("name", "")), errors)
        self.call.warnings.extend(self.kind.strategy.warnings(new))

    def _track(self, new: Manifest, old: Manifest | None, track: Track | None) -> None:
        entries = track(new, old) if track else tracked(new, old, self.kind, self.call, self.state.timestamp())
        if entries:
            new["metadata"]["managedFields"] = entries
        else:
            new["metadata"].pop("managedFields", None)


def _keep_server_metadata(new: Manifest, old: Manifest) -> None:
    """What only the server sets stays as it was; an identity that the caller contradicts is kept for validation to refuse."""
    for name in _SERVER_METADATA:
        if name == "uid" and new["metadata"].get(name):
            continue
        if name in old["metadata"]:
            new["metadata"][name] = old["metadata"][name]
        else:
            new["metadata"].pop(name, None)


def _metadata_update_errors(new: dict[str, Any], old: dict[str, Any]) -> list[FieldError]:
    errors = [] if new.get("uid") == old.get("uid") else [invalid_value("metadata.uid", new.get("uid"), "field is immutable")]
    if "deletionTimestamp" in old:
        errors += finalizer_addition_errors(new.get("finalizers", []), old.get("finalizers", []))
    return errors


def _without_empty_version(manifest: Manifest) -> Manifest:
    metadata = {name: value for name, value in manifest["metadata"].items() if (name, value) != ("resourceVersion", "")}
    return {**manifest, "metadata": metadata}
