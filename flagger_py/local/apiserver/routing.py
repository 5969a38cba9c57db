"""From a call to its handler: authorization first, then what the registry serves under the path."""

from collections.abc import Callable
from typing import Final

from flagger_py.local.apiserver.answers import PAGE_NOT_FOUND, Answer, Streaming
from flagger_py.local.apiserver.authentication import Authenticator
from flagger_py.local.apiserver.calls import Call
from flagger_py.local.apiserver.definitions import Definitions
from flagger_py.local.apiserver.deleting import Deleter
from flagger_py.local.apiserver.discovery import Discovery
from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.options import check_options
from flagger_py.local.apiserver.patching import patch
from flagger_py.local.apiserver.pods import PodLogs, evict, pod_log
from flagger_py.local.apiserver.rbac import Authorizer
from flagger_py.local.apiserver.reading import get, list_objects
from flagger_py.local.apiserver.reviews import KINDS as REVIEWS
from flagger_py.local.apiserver.reviews import Reviews
from flagger_py.local.apiserver.scaling import get_scale, patch_scale, update_scale
from flagger_py.local.apiserver.state import State
from flagger_py.local.apiserver.status import method_not_allowed, not_found, not_served
from flagger_py.local.apiserver.watching import watch
from flagger_py.local.apiserver.writing import Writer

Handler = Callable[[], Answer | Streaming]

_WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})


class Router:
    """Chooses the handler of each call."""

    def __init__(self, state: State, authenticator: Authenticator, authorizer: Authorizer, definitions: Definitions) -> None:
        self._state = state
        self._authorizer = authorizer
        self._definitions = definitions
        self._discovery = Discovery(state.registry)
        self._reviews = Reviews(state, authenticator, authorizer)
        self.pod_logs: PodLogs | None = None
        """Where the logs of pods come from; set by whoever runs them."""

    def route(self, call: Call) -> Answer | Streaming:
        """The answer to a call. Raises `Refused`."""
        self._authorizer.check(call)
        if not call.target.is_resource:
            return self._discovery.answer(call)
        target = call.target
        kind = self._state.registry.find(target.group, target.version, target.plural)
        if kind is None:
            return self._unknown(call)
        if kind.deprecation:
            call.warnings.append(kind.deprecation)
        if target.extra or not kind.serves(target.subresource):
            raise not_found(kind.subject(target.name)) if kind.is_custom else not_served()
        if kind.is_custom:
            self._definitions.check_ready(kind)
        handler = self._handler(call, kind) if call.method != "HEAD" else None
        if handler is None:
            raise method_not_allowed()
        check_options(call)
        return handler()

    def _unknown(self, call: Call) -> Answer:
        if self._state.registry.has_built_in_group(call.target.group):
            raise not_served()
        return PAGE_NOT_FOUND

    def _handler(self, call: Call, kind: Kind) -> Handler | None:
        if kind.resource.kind in REVIEWS:
            return (lambda: self._reviews.create(call, kind)) if call.verb == "create" else None
        match call.target.subresource:
            case "" | "status" | "finalize":
                return self._object_handler(call, kind) if call.target.name else self._collection_handler(call, kind)
            case "scale":
                return self._scale_handler(call, kind)
            case "token" if call.verb == "create":
                return lambda: self._reviews.create_token(call, kind)
            case "log" if call.verb == "get":
                return lambda: pod_log(self._state, call, kind, self.pod_logs)
            case "eviction" if call.verb == "create":
                return lambda: evict(self._state, call, kind)
        return None

    def _object_handler(self, call: Call, kind: Kind) -> Handler | None:
        writer = Writer(self._state, call, kind)
        handlers: dict[str, Handler] = {
            "get": lambda: get(self._state, call, kind),
            "update": writer.update,
            "patch": lambda: patch(writer),
        }
        if not call.target.subresource:
            handlers["delete"] = Deleter(self._state, call, kind).delete
        return handlers.get(call.verb)

    def _collection_handler(self, call: Call, kind: Kind) -> Handler | None:
        if kind.resource.namespaced and not call.target.namespace and call.verb in _WRITES:
            return None
        handlers: dict[str, Handler] = {
            "list": lambda: list_objects(self._state, call, kind),
            "watch": lambda: watch(self._state, call, kind),
            "create": Writer(self._state, call, kind).create,
            "deletecollection": Deleter(self._state, call, kind).delete_collection,
        }
        return handlers.get(call.verb) if call.verb in kind.verbs else None

    def _scale_handler(self, call: Call, kind: Kind) -> Handler | None:
        writer = Writer(self._state, call, kind)
        handlers: dict[str, Handler] = {
            "get": lambda: get_scale(writer),
            "update": lambda: update_scale(writer),
            "patch": lambda: patch_scale(writer),
        }
        return handlers.get(call.verb)
