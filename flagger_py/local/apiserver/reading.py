"""Get and list: whole objects, metadata only, or tables; pages that stay consistent while others write."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from flagger_py.local.apiserver.answers import JSON, Answer
from flagger_py.local.apiserver.calls import Call
from flagger_py.local.apiserver.encoding import encode_metadata
from flagger_py.local.apiserver.forms import Form, negotiate
from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.selectors import object_test
from flagger_py.local.apiserver.state import State
from flagger_py.local.apiserver.status import Refused, bad_request, expired, resource_version_too_large
from flagger_py.local.apiserver.store import Compacted, Key, Record
from flagger_py.local.apiserver.tables import table

_EXPIRED_PAGE = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You can start a new list without the continue parameter."
)


@dataclass(frozen=True, slots=True)
class _Page:
    items: list[Record]
    version: int
    token: str = ""
    remaining: int | None = None


def get(state: State, call: Call, kind: Kind) -> Answer:
    """One object. Raises 404."""
    form = negotiate(call)
    check_not_in_the_future(state, call)
    record = state.record(kind, (call.target.namespace if kind.resource.namespaced else "", call.target.name))
    return one(state, kind, record, form, call)


def one(state: State, kind: Kind, record: Record, form: Form, call: Call, status: int = 200) -> Answer:
    """A single object in the form that the caller accepts."""
    match form:
        case Form.OBJECT:
            return Answer(status, state.encode(kind, record), warnings=tuple(call.warnings))
        case Form.METADATA:
            return Answer(status, encode_metadata(record))
        case Form.TABLE:
            return Answer(status, table(state, kind, [record], record.version, call.query), warnings=tuple(call.warnings))


def list_objects(state: State, call: Call, kind: Kind) -> Answer:
    """A list, or one page of it. Raises 400 for a bad selector or token, 410 for an expired token, 504 for a version of the future."""
    form = negotiate(call)
    check_not_in_the_future(state, call)
    page = _page(state, call, kind)
    if form is Form.TABLE:
        body = table(state, kind, page.items, page.version, call.query, metadata=_paging(page.token, page.remaining))
        return Answer(200, body, JSON, warnings=tuple(call.warnings))
    name, version = (kind.list_kind, kind.resource.api_version) if form is Form.OBJECT else (f"{Form.METADATA.value}List", "meta.k8s.io/v1")
    items = (state.encode_item(kind, record) if form is Form.OBJECT else encode_metadata(record) for record in page.items)
    return Answer(200, list_body(name, version, items, page.version, page.token, page.remaining), warnings=tuple(call.warnings))


def list_body(kind: str, api_version: str, items: Iterable[bytes], version: int, token: str = "", remaining: int | None = None) -> bytes:
    """A list object around encoded items."""
    metadata = {"resourceVersion": str(version), **_paging(token, remaining)}
    head = orjson.dumps({"kind": kind, "apiVersion": api_version, "metadata": metadata})
    return b'%s,"items":[%s]}' % (head[:-1], b",".join(items))


def _paging(token: str, remaining: int | None) -> dict[str, str | int]:
    paging: dict[str, str | int] = {"continue": token} if token else {}
    return paging if remaining is None else {**paging, "remainingItemCount": remaining}


def check_not_in_the_future(state: State, call: Call) -> None:
    """A read at a version that is not there yet fails, as on kube-apiserver after its wait."""
    asked = requested_version(call)
    if asked > state.store.version:
        raise resource_version_too_large(asked, state.store.version)


def requested_version(call: Call) -> int:
    """`resourceVersion` of a read; 0 where any will do. Raises 400."""
    text = call.query.get("resourceVersion", "") or "0"
    if not text.isdigit():
        raise bad_request(
            f'invalid resource version: resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    return int(text)


def matching(state: State, call: Call, kind: Kind) -> list[tuple[Key, Record]]:
    """The objects of a collection request as they are now, selectors applied."""
    test = object_test(kind, call.query)
    found = state.collection(kind).ordered(call.target.namespace)
    return [(key, record) for key, record in found if test is None or test(record.manifest)]


def _page(state: State, call: Call, kind: Kind) -> _Page:
    limit = int(call.query.get("limit") or 0)
    token = call.query.get("continue", "")
    version, start = _decode_token(token) if token else (_exact_version(state, call), None)
    found = _at(state, call, kind, version, is_token=bool(token))
    if start is not None:
        found = [(key, record) for key, record in found if key > start]
    records = [record for _, record in found]
    if not limit or len(records) <= limit:
        return _Page(records, version)
    selected = bool(call.query.get("labelSelector") or call.query.get("fieldSelector"))
    return _Page(records[:limit], version, _encode_token(version, found[limit - 1][0]), None if selected else len(records) - limit)


def _exact_version(state: State, call: Call) -> int:
    if call.query.get("resourceVersionMatch") == "Exact":
        return requested_version(call)
    return state.store.version


def _at(state: State, call: Call, kind: Kind, version: int, *, is_token: bool) -> list[tuple[Key, Record]]:
    if version == state.store.version:
        return matching(state, call, kind)
    try:
        records = state.collection(kind).at(version)
    except Compacted as error:
        raise _too_old(is_token=is_token) from error
    test, namespace = object_test(kind, call.query), call.target.namespace
    ordered = sorted(records.items(), key=lambda item: item[0])
    return [(key, one) for key, one in ordered if (not namespace or key[0] == namespace) and (test is None or test(one.manifest))]


def _too_old(*, is_token: bool) -> Refused:
    return expired(_EXPIRED_PAGE if is_token else "The resourceVersion for the provided list is too old.")


def _encode_token(version: int, last: Key) -> str:
    return base64.urlsafe_b64encode(orjson.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": last})).decode().rstrip("=")


def _decode_token(token: str) -> tuple[int, Key]:
    try:
        decoded = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, name = decoded["start"]
        return int(decoded["rv"]), (str(namespace), str(name))
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from error
