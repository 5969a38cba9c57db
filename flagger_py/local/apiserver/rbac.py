"""Role-based access control, evaluated from the Role and binding objects in the store, and its refusals in kube-apiserver's words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flagger_py.local.apiserver.calls import Call
from flagger_py.local.apiserver.state import State
from flagger_py.local.apiserver.status import Refused, Subject, forbidden
from flagger_py.local.apiserver.store import Change
from flagger_py.local.apiserver.users import AUTHENTICATED, MASTERS, User, service_account
from flagger_py.objects.resource import Manifest

GROUP: Final = "rbac.authorization.k8s.io"

Rule = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attributes:
    """What someone wants to do: a verb on a resource, or on a `path` outside the resources."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Authorizer:
    """Answers who may do what. Rules of a user are found once and forgotten at any change of an RBAC object."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._rules: dict[tuple[User, str], list[Rule]] = {}
        state.store.listeners.append(self._changed)

    def allows(self, user: User, wanted: Attributes) -> bool:
        """Whether the user has the right; rights only ever add up."""
        if MASTERS in user.groups:
            return True
        rules = self.rules(user, "") if wanted.path else [*self.rules(user, ""), *self._namespaced(user, wanted.namespace)]
        return any(_covers(rule, wanted) for rule in rules)

    def rules(self, user: User, namespace: str) -> list[Rule]:
        """The rules that bindings of one namespace give; those of the whole cluster for an empty one."""
        key = (user, namespace)
        if key not in self._rules:
            self._rules[key] = list(self._find(user, namespace))
        return self._rules[key]

    def check(self, call: Call) -> None:
        """Raises 403 where the caller lacks the right to the call."""
        wanted = attributes(call)
        if not self.allows(call.user, wanted):
            raise refusal(call.user, wanted)

    def _namespaced(self, user: User, namespace: str) -> list[Rule]:
        return self.rules(user, namespace) if namespace else []

    def _find(self, user: User, namespace: str) -> Iterator[Rule]:
        for binding in self._bindings(namespace):
            if any(_is_meant(subject, user, namespace) for subject in binding.get("subjects", [])):
                yield from self._role_rules(binding["roleRef"], namespace)

    def _bindings(self, namespace: str) -> Iterator[Manifest]:
        collection = self._state.store.collection(GROUP, "rolebindings" if namespace else "clusterrolebindings")
        for _, record in collection.ordered(namespace):
            yield record.manifest

    def _role_rules(self, reference: Mapping[str, str], namespace: str) -> list[Rule]:
        is_cluster_role = reference["kind"] == "ClusterRole"
        collection = self._state.store.collection(GROUP, "clusterroles" if is_cluster_role else "roles")
        record = collection.records.get(("" if is_cluster_role else namespace, reference["name"]))
        rules: list[Rule] = (record.manifest.get("rules") or []) if record else []
        return rules

    def _changed(self, group: str, plural: str, change: Change) -> None:
        del plural, change
        if group == GROUP:
            self._rules.clear()


def impersonated(call: Call, authorizer: Authorizer) -> User:
    """The user that a call acts as: the caller, or whom its `Impersonate-*` headers name. Raises 403 without the right to that."""
    name = call.headers.get("impersonate-user", "")
    if not name:
        return call.user
    groups = tuple(group.strip() for group in call.headers.get("impersonate-group", "").split(",") if group.strip())
    account = name.removeprefix("system:serviceaccount:").split(":") if name.startswith("system:serviceaccount:") else []
    user = service_account(*account) if len(account) == 2 and not groups else User(name, (*groups, AUTHENTICATED))
    wanted = [("users", name), *(("groups", group) for group in groups)]
    for resource, one in wanted:
        attributes_wanted = Attributes("impersonate", resource=resource, name=one)
        if not authorizer.allows(call.user, attributes_wanted):
            raise refusal(call.user, attributes_wanted)
    return user


def attributes(call: Call) -> Attributes:
    """What a call wants, as authorization sees it."""
    target = call.target
    if not target.is_resource:
        return Attributes(call.verb, path=call.path)
    return Attributes(call.verb, target.group, target.plural, target.subresource, target.namespace, call.authorized_name)


def refusal(user: User, wanted: Attributes) -> Refused:
    """The 403 of a missing right."""
    if wanted.path:
        return Refused(403, "Forbidden", f'forbidden: User "{user.name}" cannot {wanted.verb} path "{wanted.path}"', {})
    place = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
    why = f'User "{user.name}" cannot {wanted.verb} resource "{wanted.full_resource}" in API group "{wanted.group}" {place}'
    return forbidden(Subject(wanted.group, wanted.resource, "", wanted.name), why)


def _covers(rule: Rule, wanted: Attributes) -> bool:
    if not _has(rule.get("verbs", ()), wanted.verb):
        return False
    if wanted.path:
        return any(_matches_path(pattern, wanted.path) for pattern in rule.get("nonResourceURLs", ()))
    names = rule.get("resourceNames", ())
    return (
        _has(rule.get("apiGroups", ()), wanted.group)
        and _has_resource(rule.get("resources", ()), wanted)
        and (not names or wanted.name in names)
    )


def _has(allowed: Any, wanted: str) -> bool:
    return wanted in allowed or "*" in allowed


def _has_resource(allowed: Any, wanted: Attributes) -> bool:
    return _has(allowed, wanted.full_resource) or bool(wanted.subresource and f"*/{wanted.subresource}" in allowed)


def _matches_path(pattern: str, path: str) -> bool:
    return pattern in {"*", path} or (pattern.endswith("*") and path.startswith(pattern[:-1]))


def _is_meant(subject: Mapping[str, str], user: User, namespace: str) -> bool:
    match subject["kind"]:
        case "User":
            return subject["name"] == user.name
        case "Group":
            return subject["name"] in user.groups
        case "ServiceAccount":
            return user.name == f"system:serviceaccount:{subject.get('namespace') or namespace}:{subject['name']}"
    return False
