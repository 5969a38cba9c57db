"""Verbs of the Kubernetes API over plain dicts: paths, time-outs, retries, errors. What is asked and when is up to the callers."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson

from flagger_py.kube.lines import LineJoiner
from flagger_py.kube.retry import Backoff, Jitter, RetryPolicy, TokenBucket
from flagger_py.kube.transport import Request, Response, Stream, Transport
from flagger_py.objects.errors import ApiError, Fenced, Invalid, ServerError, TooManyRequests, Unreachable
from flagger_py.objects.patch import MergePatch, Patch
from flagger_py.objects.resource import Manifest, Ref, Resource
from flagger_py.objects.status_errors import error_from

WRITE_TIMEOUT: Final = 4.0
"""Seconds; the Lease's 12 s less its renew deadline of 8 s (design §6)."""
READ_TIMEOUT: Final = 10.0
LIST_TIMEOUT: Final = 30.0
"""Seconds for one page."""
PAGE_SIZE: Final = 250
"""Objects. Half of client-go's: a page of whole Deployments takes 10 MiB and more while it is taken apart."""

REQUESTS_AT_ONCE: Final = 64
"""Requests on their way, watches not counted. With more, a slow server answers none of them in time, and each is repeated."""

_JSON: Final = "application/json"
_METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
_METADATA_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list. All pages of one list show the same moment, `resource_version`."""

    items: list[Manifest]
    resource_version: str
    is_last: bool


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch: `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`."""

    type: str
    object: Manifest


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What to watch, and for how long (seconds) until the server ends it."""

    resource: Resource
    namespace: str
    resource_version: str
    seconds: int
    field_selector: str = ""
    metadata_only: bool = False


class Client:
    """Asks one API server. All methods raise `ApiError`.

    Every attempt has a time-out. `may_write` is asked right before each attempt of a write; where it says no, `Fenced` is raised.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        field_manager: str = "flagger",
        limiter: TokenBucket | None = None,
        retries: RetryPolicy | None = None,
        may_write: Callable[[], bool] = lambda: True,
        jitter: Jitter = random.random,
        slots: asyncio.Semaphore | None = None,
    ) -> None:
        self._transport = transport
        self._field_manager = field_manager
        self._limiter = limiter
        self._retries = retries or RetryPolicy()
        self._may_write = may_write
        self._jitter = jitter
        self._slots = slots or asyncio.Semaphore(REQUESTS_AT_ONCE)

    def fenced(self, may_write: Callable[[], bool]) -> "Client":
        """The same client (and limits), whose writes need a yes from `may_write`."""
        return Client(
            self._transport,
            field_manager=self._field_manager,
            limiter=self._limiter,
            retries=self._retries,
            may_write=may_write,
            jitter=self._jitter,
            slots=self._slots,
        )

    async def get(self, ref: Ref) -> Manifest:
        """The object as the server has it now. Raises `NotFound`."""
        manifest: Manifest = await self._read(_path(ref), f"get {ref}")
        return manifest

    async def get_path(self, path: str) -> Any:
        """What stands at a path that is no object: `/version`, `/openapi/v3/…`."""
        return await self._read(path, f"get {path}")

    async def find(self, resource: Resource, namespace: str = "", *, label_selector: str = "") -> list[Manifest]:
        """All objects of a namespace (or of all, where empty) as the server has them now, in name order."""
        items: list[Manifest] = []
        async for page in self.pages(resource, namespace, label_selector=label_selector):
            items += page.items
        return sorted(items, key=lambda item: (item["metadata"].get("namespace", ""), item["metadata"]["name"]))

    async def pages(
        self, resource: Resource, namespace: str = "", *, label_selector: str = "", metadata_only: bool = False
    ) -> AsyncGenerator[Page, None]:
        """A consistent list, page by page. Raises `Gone` where it took longer than the server keeps its moment: begin again."""
        query = {"limit": str(PAGE_SIZE), **({"labelSelector": label_selector} if label_selector else {})}
        headers = {"accept": _METADATA_LIST if metadata_only else _JSON}
        subject = f"list {resource}" + (f" in {namespace}" if namespace else "")
        while True:
            content = await self._read(resource.path(namespace), subject, query=query, headers=headers, timeout=LIST_TIMEOUT)
            token = content["metadata"].get("continue", "")
            page = Page(content.get("items") or [], content["metadata"].get("resourceVersion", ""), is_last=not token)
            del content  # else it would be held while the next page is on its way
            yield page
            del page
            if not token:
                return
            query["continue"] = token

    async def create(self, resource: Resource, manifest: Manifest, *, field_validation: str = "") -> Manifest:
        """Create it and return what the server stored. Raises `AlreadyExists`.

        Reviews (`SelfSubjectAccessReview`) are created too.
        """
        metadata = manifest.get("metadata") or {}
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **manifest}
        name = metadata.get("name") or metadata.get("generateName") or "(no name)"
        subject = f"create {Ref(resource, metadata.get('namespace', ''), name)}"
        path = resource.path(metadata.get("namespace", ""))
        return await self._write("POST", path, subject, body, content_type=_JSON, field_validation=field_validation)

    async def patch(self, ref: Ref, patch: Patch, *, subresource: str = "", field_validation: str = "") -> Manifest:
        """Patch it and return what the server stored. `field_validation="Strict"` refuses (`Invalid`) what the schema would prune."""
        body = patch.body if isinstance(patch, MergePatch) else list(patch.body)
        subject = f"patch {ref}" + (f" {subresource}" if subresource else "")
        return await self._write(
            "PATCH", _path(ref, subresource), subject, body, content_type=patch.content_type, field_validation=field_validation
        )

    async def delete(self, ref: Ref, *, uid: str = "") -> Manifest:
        """Delete it (only this `uid`, where given: else `Conflict`). Gives the object while finalizers hold it, else a `Status`."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", **({"preconditions": {"uid": uid}} if uid else {})}
        return await self._write("DELETE", _path(ref), f"delete {ref}", body, content_type=_JSON)

    def watch(self, options: WatchOptions) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent]]:
        """Open a watch (one attempt). The iterator ends when the server ends the stream, and raises `Unreachable` when it breaks.

        It has no time-out of its own: the caller limits how long it waits for an event.
        """
        return self._watch(options)

    @asynccontextmanager
    async def _watch(self, options: WatchOptions) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        await self._admit()
        request = Request(
            "GET",
            options.resource.path(options.namespace),
            query=_watch_query(options),
            headers={"accept": _METADATA if options.metadata_only else _JSON},
            timeout=READ_TIMEOUT,
        )
        subject = f"watch {options.resource}" + (f" in {options.namespace}" if options.namespace else "")
        async with self._transport.stream(request) as stream:
            if stream.status >= 300:
                raise error_from(stream.status, await _rest_of(stream), stream.headers, subject=subject)
            yield _events(stream, subject)

    async def _read(
        self,
        path: str,
        subject: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = READ_TIMEOUT,  # noqa: ASYNC109 - it becomes part of the request
    ) -> Any:
        request = Request("GET", path, query=dict(query or {}), headers=headers or {"accept": _JSON}, timeout=timeout)
        failures = 0
        pauses = Backoff(self._retries.first, self._retries.limit, jitter=self._jitter)
        while True:
            try:
                return await self._attempt(request, subject)
            except (Unreachable, ServerError) as error:
                failures += 1
                if failures > self._retries.failed_reads:
                    raise
                await asyncio.sleep(self._pause_after(error, pauses))

    async def _write(self, method: str, path: str, subject: str, body: Any, *, content_type: str, field_validation: str = "") -> Manifest:
        query = {} if method == "DELETE" else {"fieldManager": self._field_manager}
        if field_validation:
            query["fieldValidation"] = field_validation
        headers = {"accept": _JSON, "content-type": content_type}
        request = Request(method, path, query=query, headers=headers, body=orjson.dumps(body), timeout=WRITE_TIMEOUT)
        answer: Manifest = await self._attempt(request, subject)
        return answer

    async def _attempt(self, request: Request, subject: str) -> Any:
        """One call; asked again only where the server says that it was not carried out (429)."""
        pauses = Backoff(self._retries.first, self._retries.limit, jitter=self._jitter)
        for left in reversed(range(self._retries.throttled + 1)):
            await self._admit()
            async with self._slots:
                if request.method != "GET" and not self._may_write():
                    raise Fenced(f"{subject}: not sent, this replica does not hold the lease for long enough")
                response = await self._transport.request(request)
            error = _error_in(response, subject)
            if error is None:
                return _content(response, subject)
            if not (isinstance(error, TooManyRequests) and left):
                raise error
            await asyncio.sleep(self._pause_after(error, pauses))
        raise AssertionError("unreachable: the last round returns or raises")

    def _pause_after(self, error: ApiError, pauses: Backoff) -> float:
        if error.retry_after is None:
            return pauses.next()
        return min(error.retry_after, self._retries.longest_wait)

    async def _admit(self) -> None:
        if self._limiter:
            await self._limiter.acquire()


def _path(ref: Ref, subresource: str = "") -> str:
    for part in (ref.namespace, ref.name):
        if part in {".", ".."} or any(character in part for character in "/%?#"):
            raise Invalid(f"{ref}: {part!r} cannot be the name of an object: it must not be '.' or '..' or contain '/', '%', '?' or '#'")
    if not ref.name:
        raise Invalid(f"{ref}: an object's name must not be empty")
    return ref.resource.path(ref.namespace, ref.name, subresource)


def _watch_query(options: WatchOptions) -> dict[str, str]:
    query = {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": options.resource_version,
        "timeoutSeconds": str(options.seconds),
    }
    return {**query, "fieldSelector": options.field_selector} if options.field_selector else query


def _error_in(response: Response, subject: str) -> ApiError | None:
    if response.status < 300:
        return None
    return error_from(response.status, response.body, response.headers, subject=subject)


def _content(response: Response, subject: str) -> Any:
    try:
        return orjson.loads(response.body)
    except orjson.JSONDecodeError as error:
        raise ServerError(f"{subject}: the answer is not JSON: {error}", status=response.status) from error


async def _rest_of(stream: Stream) -> bytes:
    async with asyncio.timeout(READ_TIMEOUT):
        return b"".join([chunk async for chunk in stream.chunks])


async def _events(stream: Stream, subject: str) -> AsyncIterator[WatchEvent]:
    joiner = LineJoiner()
    async for chunk in stream.chunks:
        for line in joiner.feed(chunk):
            yield _event(line, subject)


def _event(line: bytes, subject: str) -> WatchEvent:
    try:
        content = orjson.loads(line)
        return WatchEvent(content["type"], content["object"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise Unreachable(f"{subject}: the stream broke off: a line of {len(line)} bytes is no event") from error
