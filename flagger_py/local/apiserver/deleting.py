"""Delete: preconditions, finalizers, grace, and what becomes of dependents. The garbage collector does the rest."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import orjson

from flagger_py.local.apiserver.answers import Answer, json_answer
from flagger_py.local.apiserver.calls import Call
from flagger_py.local.apiserver.decoding import parse_any
from flagger_py.local.apiserver.forms import Form
from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.reading import list_body, matching, one
from flagger_py.local.apiserver.state import State, format_time
from flagger_py.local.apiserver.status import Subject, bad_request, conflict, forbidden, invalid_options, not_supported
from flagger_py.local.apiserver.store import Key, Record

ORPHAN: Final = "orphan"
FOREGROUND: Final = "foregroundDeletion"
_POLICIES: Final = {"Foreground": {FOREGROUND}, "Background": set[str](), "Orphan": {ORPHAN}}


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """What a delete request asks for. `policy` is empty where the kind's own applies; `grace` is in seconds."""

    policy: str = ""
    grace: int | None = None
    uid: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Deleter:
    """Carries out one delete call on one kind."""

    state: State
    call: Call
    kind: Kind

    def delete(self) -> Answer:
        """Delete the object that the call names. Raises 400, 404 and 409."""
        key = (self.call.target.namespace if self.kind.resource.namespaced else "", self.call.target.name)
        record = self.state.record(self.kind, key)
        if why := self.kind.strategy.deletion_refusal(record.manifest):
            raise forbidden(self.kind.subject(key[1]), why)
        options = delete_options(self.call)
        self._check(options, record, key[1])
        left = self.remove(key, record, options)
        if left is not None:
            return one(self.state, self.kind, left, Form.OBJECT, self.call)
        if self.kind.strategy.answers_deleted_object:
            return one(self.state, self.kind, self._last_state(record), Form.OBJECT, self.call)
        return json_answer(self._success(key[1], record))

    def delete_collection(self) -> Answer:
        """Delete every object that the selectors match."""
        options = delete_options(self.call)
        found = matching(self.state, self.call, self.kind)
        for key, record in found:
            self.remove(key, record, options)
        items = (self.state.encode_item(self.kind, record) for _, record in found)
        body = list_body(self.kind.list_kind, self.kind.resource.api_version, items, self.state.store.version)
        return Answer(200, body, warnings=tuple(self.call.warnings))

    def remove(self, key: Key, record: Record, options: DeleteOptions) -> Record | None:
        """Delete an object or mark it as being deleted; the answer is what is left of it."""
        new = record.fresh()
        metadata = new["metadata"]
        grace = self._grace(record, options)
        finalizers = self._finalizers(metadata, options)
        if not finalizers and not grace and not self.kind.strategy.is_held(new):
            if not self.call.is_dry_run:
                self.state.store.remove(self.state.collection(self.kind), key)
            return None
        if "deletionTimestamp" in metadata and grace >= metadata.get("deletionGracePeriodSeconds", 0):
            return record
        metadata["deletionTimestamp"] = format_time(self.state.now() + timedelta(seconds=grace))
        if not self.kind.strategy.is_held(new):
            metadata["deletionGracePeriodSeconds"] = grace
        if metadata.get("generation"):
            metadata["generation"] += 1
        if finalizers:
            metadata["finalizers"] = finalizers
        self.kind.strategy.prepare_deletion(new)
        if self.call.is_dry_run:
            return Record(new, record.version, orjson.dumps(new), record.schema)
        return self.state.put(self.kind, key, new)

    def _check(self, options: DeleteOptions, record: Record, name: str) -> None:
        subject = Subject(self.kind.resource.group, self.kind.resource.kind, self.kind.resource.kind, name)
        subject = replace(subject, group="") if not self.kind.is_custom else subject
        uid = record.manifest["metadata"]["uid"]
        if options.uid and options.uid != uid:
            why = f"the UID in the precondition ({options.uid}) does not match the UID in record ({uid})."
            raise conflict(subject, f"{why} The object might have been deleted and then recreated")
        if options.version and options.version != str(record.version):
            why = f"the ResourceVersion in the precondition ({options.version}) does not match the ResourceVersion in record"
            raise conflict(subject, f"{why} ({record.version}). The object might have been modified")

    def _grace(self, record: Record, options: DeleteOptions) -> int:
        """The grace of kinds that have any: what is asked for, else what the object says; 0 asked for means at once."""
        seconds = self.kind.strategy.grace_seconds(record.manifest)
        return options.grace if seconds and options.grace is not None else seconds

    def _finalizers(self, metadata: dict[str, Any], options: DeleteOptions) -> list[str]:
        present = [*metadata.get("finalizers", [])]
        if "deletionTimestamp" not in metadata:
            present += [one for one in self.kind.strategy.deletion_finalizers if one not in present]
        if not options.policy:
            return present
        asked = _POLICIES[options.policy]
        return [one for one in present if one not in {ORPHAN, FOREGROUND}] + sorted(asked)

    def _last_state(self, record: Record) -> Record:
        """What is answered about an object that is gone: a pod shows the deletion."""
        if self.kind.resource.kind != "Pod":
            return record
        last = record.fresh()
        last["metadata"] |= {"deletionTimestamp": self.state.timestamp(), "deletionGracePeriodSeconds": 0}
        last["metadata"]["generation"] = last["metadata"].get("generation", 0) + 1
        return Record(last, record.version, orjson.dumps(last), record.schema)

    def _success(self, name: str, record: Record) -> dict[str, Any]:
        group = {"group": self.kind.resource.group} if self.kind.resource.group else {}
        details = {"name": name, **group, "kind": self.kind.resource.plural, "uid": record.manifest["metadata"]["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def delete_options(call: Call) -> DeleteOptions:
    """The options in the body, else those in the query. Raises 400."""
    options = _body(call) if call.body else {}
    policy = options.get("propagationPolicy") or call.query.get("propagationPolicy", "")
    if options.get("orphanDependents", call.query.get("orphanDependents") == "true"):
        policy = "Orphan"
    if policy and policy not in _POLICIES:
        raise invalid_options("DeleteOptions", [not_supported("propagationPolicy", policy, [*_POLICIES, "nil"])])
    grace = options.get("gracePeriodSeconds", call.query.get("gracePeriodSeconds"))
    preconditions = options.get("preconditions") or {}
    return DeleteOptions(
        policy, None if grace is None else max(0, int(grace)), preconditions.get("uid") or "", preconditions.get("resourceVersion") or ""
    )


def _body(call: Call) -> dict[str, Any]:
    try:
        options = parse_any(call.body, call.content_type)
    except ValueError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error
    return options if isinstance(options, dict) else {}
