"""One request, understood: who asks for what, in the words that authorization, logs and handlers share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from flagger_py.kube.transport import Request
from flagger_py.local.apiserver.users import User

_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}
_NAMESPACE_SUBRESOURCES: Final = frozenset({"status", "finalize"})


@dataclass(frozen=True, slots=True)
class Target:
    """What a path means. A path outside the APIs has no `plural` and is not a resource."""

    is_resource: bool = False
    group: str = ""
    version: str = ""
    plural: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    extra: str = ""
    """What follows the sub-resource; no built-in resource has any."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request with its target; header names are in lower case, query values are the last ones given."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    user: User
    target: Target
    verb: str
    warnings: list[str] = field(default_factory=list)
    """Texts for `Warning` headers; handlers append."""

    def flag(self, name: str) -> bool:
        """A boolean query parameter, as Go's apiserver reads it."""
        return self.query.get(name, "").lower() in {"true", "1"}

    @property
    def is_dry_run(self) -> bool:
        return bool(self.query.get("dryRun"))

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def user_agent(self) -> str:
        return self.headers.get("user-agent", "")

    @property
    def authorized_name(self) -> str:
        """The name that `resourceNames` of a Role are compared with: a list or watch of one name counts as that name."""
        if self.target.name or self.method != "GET":
            return self.target.name
        terms = (term.replace("==", "=").partition("=") for term in self.query.get("fieldSelector", "").split(","))
        return next((name for left, _, name in terms if left == "metadata.name"), "")

    @property
    def field_manager(self) -> str:
        """The manager of written fields: asked for, else the program's name in the user agent."""
        return self.query.get("fieldManager") or self.user_agent.partition("/")[0][:128] or "unknown"


def understand(request: Request, headers: Mapping[str, str], user: User) -> Call:
    """The call that a request makes; never raises, a nonsense path is a call that nothing serves."""
    target = parse_path(request.path)
    body = request.body or b""
    return Call(request.method, request.path, request.query, headers, body, user, target, _verb(request, target))


def parse_path(path: str) -> Target:
    """Take a URL path apart: `/api/v1/…` and `/apis/GROUP/VERSION/…` are resources."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) > 2:
        return _resource("", parts[1], parts[2:])
    if parts[0] == "apis" and len(parts) > 3:
        return _resource(parts[1], parts[2], parts[3:])
    return Target()


def _resource(group: str, version: str, rest: list[str]) -> Target:
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        if len(rest) == 2 or (len(rest) == 3 and rest[2] in _NAMESPACE_SUBRESOURCES):
            return Target(True, group, version, "namespaces", rest[1], rest[1], rest[2] if len(rest) == 3 else "")
        namespace, rest = rest[1], rest[2:]
    name, subresource, extra = [*rest[1:4], "", "", ""][:3]
    return Target(True, group, version, rest[0], namespace, name, subresource, extra)


def _verb(request: Request, target: Target) -> str:
    if not target.is_resource:
        return request.method.lower()
    if request.method in {"GET", "HEAD"} and not target.name:
        return "watch" if request.query.get("watch", "").lower() in {"true", "1"} else "list"
    if request.method == "DELETE" and not target.name:
        return "deletecollection"
    return _VERBS.get(request.method, request.method.lower())
