"""The API server: it understands a request, authorizes it, and gives it to a handler. No HTTP library and no wall clock in here."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Network
from typing import Any

import orjson

from flagger_py.kube.transport import Request, Transport
from flagger_py.local.apiserver.answers import Answer, Streaming, refusal
from flagger_py.local.apiserver.authentication import Authenticator
from flagger_py.local.apiserver.bootstrap import bootstrap_manifests
from flagger_py.local.apiserver.builtin_kinds import built_in_kinds
from flagger_py.local.apiserver.calls import Call, understand
from flagger_py.local.apiserver.controllers import Controllers
from flagger_py.local.apiserver.definitions import Definitions
from flagger_py.local.apiserver.faults import (
    ConnectionLost,
    CutWatch,
    DropConnection,
    Effect,
    Faults,
    LoseReply,
    NoAnswer,
    Refuse,
    Slow,
    never,
    refused,
    with_cut,
)
from flagger_py.local.apiserver.memory import MemoryTransport
from flagger_py.local.apiserver.pods import PodLogs
from flagger_py.local.apiserver.rbac import Authorizer, impersonated
from flagger_py.local.apiserver.registry import Registry
from flagger_py.local.apiserver.request_log import RequestLog
from flagger_py.local.apiserver.routing import Router
from flagger_py.local.apiserver.state import State, utc_now
from flagger_py.local.apiserver.status import Refused
from flagger_py.local.apiserver.store import Record, Store
from flagger_py.local.apiserver.users import ADMIN, ANONYMOUS, User
from flagger_py.objects.resource import Manifest

ADMIN_TOKEN = "flagger-py-local-admin"  # noqa: S105 - of a server on loopback whose contents are for trying things out


@dataclass(frozen=True, slots=True)
class Settings:
    """What may differ between servers."""

    service_network: IPv4Network = field(default_factory=lambda: IPv4Network("10.96.0.0/16"))
    """Where the addresses of Services come from."""
    history_limit: int = 2_000
    """Changes kept per resource (up to twice as many for a while); older resourceVersions are answered 410."""
    event_lifetime: timedelta = timedelta(hours=1)
    """After which Events are forgotten: the default of kube-apiserver."""
    initializing: timedelta = timedelta(0)
    """How long a new custom resource answers 429 "storage is (re)initializing", as real servers may for some seconds."""
    tokens: Mapping[str, User] = field(default_factory=lambda: {ADMIN_TOKEN: ADMIN})
    """Static bearer tokens."""
    anonymous: User = ANONYMOUS
    """Who calls without a token. kubectl sends no token over plain HTTP, so a server for kubectl on loopback takes `ADMIN` here."""


class ApiServer:
    """A Kubernetes API server in memory. `run` must run beside it for garbage collection and deletion of namespaces."""

    def __init__(
        self, settings: Settings | None = None, *, now: Callable[[], datetime] = utc_now, entropy: random.Random | None = None
    ) -> None:
        self.settings = settings or Settings()
        store = Store(self.settings.history_limit)
        kinds = built_in_kinds(lambda: _records(store, "", "services"), self.settings.service_network)
        self.state = State(Registry(kinds), store, now, entropy or random.SystemRandom())
        self.authenticator = Authenticator(now, self._account_uid, dict(self.settings.tokens), self.settings.anonymous)
        self.authorizer = Authorizer(self.state)
        definitions = Definitions(self.state, self.settings.initializing)
        self._router = Router(self.state, self.authenticator, self.authorizer, definitions)
        self._controllers = Controllers(self.state, self.settings.event_lifetime)
        self.load(bootstrap_manifests())
        self._controllers.settle()
        self.faults = Faults()
        self.log = RequestLog(now)

    async def run(self) -> None:
        """Collect garbage and finish deletions until cancelled."""
        await self._controllers.run()

    def settle(self) -> None:
        """Do at once what `run` would do by and by; for tests without it."""
        self._controllers.settle()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ApiServer"]:
        """`run` beside the body of the context."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.run(), name="apiserver-controllers")
            try:
                yield self
            finally:
                task.cancel()

    def transport(self, user: User = ADMIN) -> Transport:
        """Calls in memory by one user, without sockets: it works on virtual time."""
        return MemoryTransport(self, user)

    def keep_logs(self, logs: PodLogs) -> None:
        """Say where the logs of pods come from, for `kubectl logs`."""
        self._router.pod_logs = logs

    def authenticate(self, authorization: str) -> User:
        """The user of an `Authorization` header. Raises `Refused` (401)."""
        return self.authenticator.authenticate(authorization)

    def service_account_token(self, namespace: str, name: str, *, seconds: int = 3600) -> str:
        """A bearer token of an existing service account. Raises `KeyError`."""
        account = self.state.store.collection("", "serviceaccounts").records[namespace, name]
        return self.authenticator.issue(namespace, name, account.manifest["metadata"]["uid"], seconds)

    def kubeconfig(self, url: str, token: str = ADMIN_TOKEN, *, namespace: str = "default") -> dict[str, Any]:
        """A kubeconfig for this server at a URL, ready to be written as YAML."""
        name = "flagger-py-local"
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": url}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
            "current-context": name,
        }

    async def handle(self, request: Request, user: User) -> Answer | Streaming:
        """Answer one request; whatever is refused comes back as an answer too. Raises `ConnectionLost` where a fault says so."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        await asyncio.sleep(0)  # other tasks run between two requests, as they do behind a socket
        call = understand(request, headers, user)
        try:
            call = understand(request, headers, impersonated(call, self.authorizer))
        except Refused as error:
            return refusal(error)
        try:
            answer = await self._answer(call, self.faults.effect_on(call))
        except ConnectionLost:
            self.log.add(call, None)
            raise
        self.log.add(call, answer)
        return answer

    async def _answer(self, call: Call, effect: Effect | None) -> Answer | Streaming:
        match effect:
            case None:
                return self.respond(call)
            case Refuse():
                return refused(effect)
            case NoAnswer():
                await never()
                raise ConnectionLost
            case DropConnection():
                raise ConnectionLost
            case LoseReply():
                self.respond(call)
                raise ConnectionLost
            case Slow(seconds):
                await asyncio.sleep(seconds)
                return self.respond(call)
            case CutWatch():
                return with_cut(self.respond(call), effect)

    def respond(self, call: Call) -> Answer | Streaming:
        """Answer one call at once."""
        try:
            return self._router.route(call)
        except Refused as error:
            return refusal(error, call.warnings)

    def load(self, manifests: Iterable[Manifest]) -> None:
        """Create objects as an administrator, in order (CRDs first). Raises `Refused` where one is not taken."""
        for manifest in manifests:
            self._create(manifest)

    def compact(self) -> None:
        """Forget all history: older resourceVersions are answered 410 from now on."""
        self.state.store.compact()

    def _create(self, manifest: Manifest) -> None:
        group, _, version = manifest["apiVersion"].rpartition("/")
        kind = self.state.registry.by_kind(group, manifest["kind"])
        if kind is None or (found := self.state.registry.find(group, version, kind.resource.plural)) is None:
            raise Refused(404, "NotFound", f"no kind {manifest['kind']} is served in version {manifest['apiVersion']}")
        path = found.resource.path(manifest["metadata"].get("namespace", "default"))
        answer = self.respond(understand(Request("POST", path, body=orjson.dumps(manifest)), {}, ADMIN))
        if isinstance(answer, Answer) and answer.status >= 400:
            status = orjson.loads(answer.body)
            raise Refused(answer.status, status.get("reason", ""), status["message"], status.get("details"))

    def _account_uid(self, namespace: str, name: str) -> str | None:
        record = self.state.store.collection("", "serviceaccounts").records.get((namespace, name))
        return record.manifest["metadata"]["uid"] if record else None


def _records(store: Store, group: str, plural: str) -> Iterator[Record]:
    return iter(store.collection(group, plural).records.values())
