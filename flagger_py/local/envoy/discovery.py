"""Gives Envoy its configuration by xDS over REST: a server on loopback that holds each poll until there is something new.

Envoy can watch files instead, but takes an inotify instance for each listener, cluster and route set, of which a user has 128 on most
machines: a few clusters, or an IDE beside one, and Envoy aborts. gRPC needs HTTP/2 and protobuf. A poll costs a connection and nothing
else; Envoy asks again within `REFRESH_DELAY`, naming the version that it has, which is how it is known what Envoy has taken.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from itertools import count
from typing import Any, Final, NamedTuple

import orjson
from aiohttp import web

from flagger_py.local.envoy.model import Backend
from flagger_py.local.envoy.routes import listener_name

HOLD: Final = 60.0
"""Seconds after which a poll without news is answered 304."""
RESEND: Final = 1.0
"""Seconds after which Envoy is offered again what it has refused: the answer may have been lost instead."""
TAKEN_LIMIT: Final = 10.0
MAX_BODY: Final = 4 * 1024 * 1024
"""Bytes of a poll: each names all extensions of Envoy."""

Json = dict[str, Any]


class Kind(StrEnum):
    """A type of xDS resource; the value is its place in the path of a poll."""

    LISTENERS = "listeners"
    CLUSTERS = "clusters"
    ROUTES = "routes"
    ENDPOINTS = "endpoints"


class Topic(NamedTuple):
    """What one poll asks for: all listeners or all clusters, which have no name, or the routes or endpoints of this name."""

    kind: Kind
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".rstrip()


LISTENERS: Final = Topic(Kind.LISTENERS)
CLUSTERS: Final = Topic(Kind.CLUSTERS)


def routes_of(port: int) -> Topic:
    """The route configuration of a Gateway port."""
    return Topic(Kind.ROUTES, listener_name(port))


def endpoints_of(backend: Backend) -> Topic:
    """The endpoints of a backend's cluster."""
    return Topic(Kind.ENDPOINTS, backend.cluster)


class BadPoll(Exception):
    """A request that Envoy does not send."""


@dataclass(frozen=True, slots=True)
class _Poll:
    node: str
    topic: Topic
    version: str
    """What Envoy has; empty at first."""


class _State(Enum):
    """How far a publication has come."""

    NEW = auto()
    SENT = auto()
    TAKEN = auto()
    REFUSED = auto()


@dataclass(slots=True)
class _Publication:
    resources: bytes
    version: str
    state: _State = _State.NEW

    def note(self, version: str) -> None:
        """Envoy asks for what follows this version."""
        if version == self.version:
            self.state = _State.TAKEN
        elif self.state is _State.SENT:
            self.state = _State.REFUSED
        elif self.state is _State.TAKEN:
            self.state = _State.NEW  # Envoy had dropped the topic, and starts afresh

    def body(self) -> bytes:
        return b'{"version_info":"%s","resources":%s}' % (self.version.encode(), self.resources)


class DiscoveryService:
    """What Envoy is to have. Only the Envoy that was named last with `new_node` is answered."""

    def __init__(self) -> None:
        self.port = 0
        """On loopback, while it serves."""
        self._node = ""
        self._publications: dict[Topic, _Publication] = {}
        self._versions = count(1)
        self._published = asyncio.Condition()
        self._asked = asyncio.Condition()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Answer polls within the context."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post("/v3/discovery:{kind}", self._handle)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, handler_cancellation=True, shutdown_timeout=0.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.port = runner.addresses[0][1]
            yield
        finally:
            await runner.cleanup()

    def new_node(self) -> str:
        """The node id of an Envoy that is about to start, and has nothing yet. Nobody else can guess it."""
        self._node = f"gateway-{secrets.token_hex(8)}"
        for publication in self._publications.values():
            publication.state = _State.NEW
        return self._node

    async def publish(self, topic: Topic, resources: Iterable[Json]) -> None:
        """Answer polls of the topic with these; nothing happens where they are the same as before."""
        rendered = orjson.dumps(list(resources))
        known = self._publications.get(topic)
        if known is None or known.resources != rendered:
            async with self._published:
                self._publications[topic] = _Publication(rendered, str(next(self._versions)))
                self._published.notify_all()

    def withdraw(self, topic: Topic) -> None:
        """Forget a topic that Envoy does not ask for any more."""
        self._publications.pop(topic, None)

    async def untaken(self, topics: Iterable[Topic]) -> list[Topic]:
        """Wait until Envoy has taken what was published last of each. Gives those that it refuses, or does not take in time."""
        wanted = {topic: self._publications[topic] for topic in topics}
        with suppress(TimeoutError):
            async with asyncio.timeout(TAKEN_LIMIT), self._asked:
                await self._asked.wait_for(lambda: _are_settled(wanted.values()))
        refused = [topic for topic, publication in wanted.items() if publication.state is _State.REFUSED]
        return refused or [topic for topic, publication in wanted.items() if publication.state is not _State.TAKEN]

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            poll = _poll(request.match_info["kind"], await request.read())
        except BadPoll as error:
            return web.Response(status=400, text=f"{error}\n")
        if poll.node != self._node:
            return web.Response(status=403, text="not the Envoy that this server is for\n")
        news = await self._news(poll)
        if news is None:
            return web.Response(status=304)
        news.state = _State.SENT
        return web.Response(body=news.body(), content_type="application/json")

    async def _news(self, poll: _Poll) -> _Publication | None:
        """What Envoy has not yet, as soon as there is something; `None` where nothing comes."""
        limit = HOLD
        if known := self._publications.get(poll.topic):
            async with self._asked:
                known.note(poll.version)
                self._asked.notify_all()
            limit = RESEND if known.state is _State.REFUSED else HOLD
        with suppress(TimeoutError):
            async with asyncio.timeout(limit), self._published:
                await self._published.wait_for(lambda: self._has_news(poll))
        found = self._publications.get(poll.topic)
        return found if found and found.version != poll.version else None

    def _has_news(self, poll: _Poll) -> bool:
        found = self._publications.get(poll.topic)
        return found is not None and found.state is _State.NEW and poll.node == self._node


def _are_settled(publications: Collection[_Publication]) -> bool:
    states = {publication.state for publication in publications}
    return _State.REFUSED in states or states <= {_State.TAKEN}


def _poll(kind: str, body: bytes) -> _Poll:
    """Raises `BadPoll`."""
    try:
        content = orjson.loads(body)
        names = content.get("resource_names", [])
        node, version = content["node"]["id"], content.get("version_info", "")
        return _Poll(str(node), Topic(Kind(kind), *names), str(version))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadPoll(f"a poll needs node.id and at most one of resource_names: {error!r}") from error
