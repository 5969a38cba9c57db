"""An API server in memory, just large enough to test a client against, with faults that are queued before the call they hit."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from flagger_py.kube.transport import Request, Response, Stream
from flagger_py.objects.errors import Unreachable
from flagger_py.objects.resource import Manifest, Resource

Answer = Response | Exception
Fault = Callable[[Request], Answer | None]
"""Looks at a call; answers it, or lets it pass with `None`."""


def status(code: int, reason: str, message: str = "", headers: dict[str, str] | None = None, **details: Any) -> Response:
    content = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
        "details": details,
    }
    return Response(code, json.dumps(content).encode(), headers or {})


NOT_SERVED = Response(404, b"404 page not found\n")


def manifest(name: str, namespace: str = "test", **content: Any) -> Manifest:
    metadata = {"name": name, "namespace": namespace, **content.pop("metadata", {})}
    return {"metadata": metadata, **content}


@dataclass
class _Collection:
    resource: Resource
    objects: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    log: list[tuple[int, str, Manifest]] = field(default_factory=list)
    compacted: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)


class ScriptedServer:
    """Implements `Transport`. `calls` is what arrived; `faults` are asked first, in order, and leave the queue once they have answered."""

    def __init__(self, *resources: Resource, cut: int = 0) -> None:
        self.calls: list[Request] = []
        self.faults: list[Fault] = []
        self.stream_faults: list[Exception | bytes] = []
        self.version = 100
        self.cut = cut
        """Where not 0, streams come in chunks of so many bytes."""
        self._collections = {resource.path(): _Collection(resource) for resource in resources}

    def serve(self, resource: Resource) -> None:
        self._collections[resource.path()] = _Collection(resource)

    def unserve(self, resource: Resource) -> None:
        collection = self._collections.pop(resource.path())
        collection.closed.set()

    def fail(self, answer: Answer, *, times: int = 1, method: str = "", watch: bool | None = None) -> None:
        """Answer the next matching calls so."""

        def fault(request: Request) -> Answer | None:
            is_watch = request.query.get("watch") == "true"
            return answer if method in ("", request.method) and watch in (None, is_watch) else None

        self.faults += [fault] * times

    def count(self, method: str, *, watch: bool | None = None) -> int:
        return sum(1 for call in self.calls if call.method == method and watch in (None, call.query.get("watch") == "true"))

    def put(self, resource: Resource, content: Manifest) -> Manifest:
        """Create or replace it, as another client would."""
        collection = self._collections[resource.path()]
        key = (content["metadata"].get("namespace", ""), content["metadata"]["name"])
        before = collection.objects.get(key)
        uid = before["metadata"]["uid"] if before else f"uid-{self.version}"
        metadata = {"uid": uid, **content["metadata"]}
        return self._store(collection, "MODIFIED" if before else "ADDED", {**content, "metadata": metadata})

    def remove(self, resource: Resource, namespace: str, name: str) -> Manifest:
        collection = self._collections[resource.path()]
        gone = collection.objects.pop((namespace, name))
        return self._record(collection, "DELETED", gone)

    def compact(self, resource: Resource) -> None:
        """Forget the history: watches from before get 410."""
        collection = self._collections[resource.path()]
        collection.compacted = self.version
        collection.log.clear()

    def close_watches(self, resource: Resource) -> None:
        """End all streams, as a change of the CustomResourceDefinition does."""
        collection = self._collections[resource.path()]
        collection.closed.set()
        collection.closed = asyncio.Event()

    async def request(self, request: Request) -> Response:
        self.calls.append(request)
        answer = self._fault(request)
        if isinstance(answer, Exception):
            raise answer
        return answer or self._answer(request)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        self.calls.append(request)
        answer = self._fault(request)
        if isinstance(answer, Exception):
            raise answer
        target = self._find(request.path)
        if answer is None and target is None:
            answer = NOT_SERVED
        if answer is not None:
            yield Stream(answer.status, answer.headers, _chunks(answer.body))
            return
        assert target is not None
        yield Stream(200, {}, self._watch(request, target[0], target[1]))

    def _fault(self, request: Request) -> Answer | None:
        for fault in self.faults:
            if (answer := fault(request)) is not None:
                self.faults.remove(fault)
                return answer
        return None

    def _find(self, path: str) -> tuple[_Collection, str, str] | None:
        for collection in self._collections.values():
            prefix, plural = collection.resource.path().rsplit("/", 1)
            if not path.startswith(prefix + "/"):
                continue
            parts = path[len(prefix) + 1 :].split("/")
            namespace = parts[1] if parts[0] == "namespaces" and len(parts) > 2 else ""
            rest = parts[2:] if namespace else parts
            if rest[0] == plural:
                return collection, namespace, rest[1] if len(rest) > 1 else ""
        return None

    def _answer(self, request: Request) -> Response:
        found = self._find(request.path)
        if found is None:
            return NOT_SERVED
        collection, namespace, name = found
        if request.method == "GET" and not name:
            return self._list(request, collection, namespace)
        body = json.loads(request.body) if request.body else {}
        if request.method == "POST":
            return self._create(collection, namespace, body)
        current = collection.objects.get((namespace, name))
        if current is None:
            return status(404, "NotFound", f'{collection.resource} "{name}" not found', name=name)
        match request.method:
            case "GET":
                return _ok(self._typed(collection, current))
            case "PATCH":
                return self._patch(collection, current, body)
            case _:
                return self._delete(collection, current, body)

    def _list(self, request: Request, collection: _Collection, namespace: str) -> Response:
        chosen = [item for (where, _), item in sorted(collection.objects.items()) if namespace in ("", where)]
        start, limit = int(request.query.get("continue", 0)), int(request.query.get("limit", 500))
        metadata = {"resourceVersion": str(self.version)}
        if start + limit < len(chosen):
            metadata["continue"] = str(start + limit)
        return _ok({"kind": f"{collection.resource.kind}List", "metadata": metadata, "items": chosen[start : start + limit]})

    def _create(self, collection: _Collection, namespace: str, body: Manifest) -> Response:
        key = (namespace, body["metadata"]["name"])
        if key in collection.objects:
            return status(409, "AlreadyExists", "already exists", name=key[1])
        metadata = {**body["metadata"], "uid": f"uid-{self.version}"}
        return _ok(self._typed(collection, self._store(collection, "ADDED", {**body, "metadata": metadata})), 201)

    def _patch(self, collection: _Collection, current: Manifest, body: Manifest) -> Response:
        name = current["metadata"]["name"]
        asked = body.get("metadata", {}).get("resourceVersion")
        if asked not in (None, current["metadata"]["resourceVersion"]):
            return status(409, "Conflict", "the object has been modified", name=name)
        return _ok(self._typed(collection, self._store(collection, "MODIFIED", _merge(current, body))))

    def _delete(self, collection: _Collection, current: Manifest, body: Manifest) -> Response:
        metadata = current["metadata"]
        uid = (body.get("preconditions") or {}).get("uid")
        if uid not in (None, metadata["uid"]):
            return status(409, "Conflict", "the UID in the precondition does not match", name=metadata["name"])
        self.remove(collection.resource, metadata.get("namespace", ""), metadata["name"])
        return _ok({"kind": "Status", "status": "Success", "details": {"name": metadata["name"], "uid": metadata["uid"]}})

    def _store(self, collection: _Collection, kind: str, content: Manifest) -> Manifest:
        stored = self._record(collection, kind, content)
        metadata = stored["metadata"]
        collection.objects[metadata.get("namespace", ""), metadata["name"]] = stored
        return stored

    def _record(self, collection: _Collection, kind: str, content: Manifest) -> Manifest:
        self.version += 1
        stored = {**content, "metadata": {**content["metadata"], "resourceVersion": str(self.version)}}
        collection.log.append((self.version, kind, self._typed(collection, stored)))
        collection.changed.set()
        collection.changed = asyncio.Event()
        return stored

    def _typed(self, collection: _Collection, content: Manifest) -> Manifest:
        return {**content, "apiVersion": collection.resource.api_version, "kind": collection.resource.kind}

    async def _watch(self, request: Request, collection: _Collection, namespace: str) -> AsyncIterator[bytes]:
        since, deadline = int(request.query["resourceVersion"]), asyncio.get_running_loop().time() + int(request.query["timeoutSeconds"])
        if since < collection.compacted:
            expired = json.loads(status(410, "Expired", "too old resource version").body)
            yield _line("ERROR", expired)
            return
        closed = collection.closed
        while asyncio.get_running_loop().time() < deadline and not closed.is_set():
            changed = collection.changed
            for version, kind, content in list(collection.log):
                if version > since and namespace in ("", content["metadata"].get("namespace", "")):
                    since = version
                    for chunk in self._cut(_line(kind, content)):
                        yield chunk
            while self.stream_faults:
                fault = self.stream_faults.pop(0)
                if isinstance(fault, Exception):
                    raise fault
                yield fault
            await _first_of(changed, closed, deadline)

    def _cut(self, line: bytes) -> Iterator[bytes]:
        size = self.cut or len(line)
        for start in range(0, len(line), size):
            yield line[start : start + size]


async def _first_of(changed: asyncio.Event, closed: asyncio.Event, deadline: float) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in (changed, closed)]
    try:
        left = deadline - asyncio.get_running_loop().time()
        await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _line(kind: str, content: Manifest) -> bytes:
    return json.dumps({"type": kind, "object": content}).encode() + b"\n"


def _ok(content: Manifest, code: int = 200) -> Response:
    return Response(code, json.dumps(content).encode())


def _merge(target: Manifest, patch: Manifest) -> Manifest:
    merged = dict(target)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = _merge(merged.get(key) or {}, value)
        else:
            merged[key] = value
    return merged


CUT = Unreachable("the stream was cut")
