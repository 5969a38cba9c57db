"""The rights that the controller needs, as RBAC manifests, from what routers and target kinds declare (design §10, operations:OPS-24).

Not in it, because every account has it by default: discovery, `/version` and `/openapi` (`system:discovery`), and asking for its own
rights (`system:basic-user`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from flagger_py.kube.lease import LEASE_NAME
from flagger_py.objects.resource import ALERT_PROVIDER, CANARY, EVENT, LEASE, METRIC_TEMPLATE, SECRET, Manifest, Resource
from flagger_py.routers import registry as routers
from flagger_py.workloads.autoscaling.scalers import Scalers
from flagger_py.workloads.registry import WORKLOADS
from flagger_py.workloads.settings import WorkloadSettings

_API: Final = "rbac.authorization.k8s.io"
VERBS: Final = ("get", "list", "watch", "create", "update", "patch", "delete")
"""In the order in which they are written."""


class Need(Protocol):
    """A resource and the verbs that are used on it, as a router or a workload declares it."""

    @property
    def resource(self) -> Resource: ...

    @property
    def verbs(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Right:
    """Verbs on a resource or one of its sub-resources; `names` limits them to objects of these names."""

    resource: Resource
    verbs: tuple[str, ...]
    subresource: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Role:
    """Rights under a name: in one namespace, or in the whole cluster where none is given."""

    name: str
    rights: tuple[Right, ...]
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """The service account that the controller runs as."""

    name: str
    namespace: str


def core_rights(*, config_tracking: bool = True) -> Iterator[Right]:
    """What every installation needs: our own kinds, events, and the target kinds.

    Secrets are read one by one for MetricTemplates and AlertProviders in any case; only config tracking lists and watches them
    (operations:OPS-25).
    """
    yield Right(CANARY, ("get", "list", "watch", "patch"))
    yield Right(CANARY, ("patch",), "status")
    # An owner reference that blocks deletion needs it where OwnerReferencesPermissionEnforcement is on.
    yield Right(CANARY, ("update",), "finalizers")
    for resource in (METRIC_TEMPLATE, ALERT_PROVIDER):
        yield Right(resource, ("get", "list", "watch"))
    yield Right(EVENT, ("get", "create", "patch"))
    yield Right(SECRET, ("get",))
    settings = WorkloadSettings(config_tracking=config_tracking)
    for workload in WORKLOADS.values():
        yield from _rights(workload.resources(settings))
    yield from _rights(Scalers.resources())


def router_rights(providers: Iterable[str]) -> Iterator[Right]:
    """What the routers of these providers need. Raises `UnknownRouter` and `BrokenRouter`."""
    for provider in providers:
        yield from _rights(routers.load(provider).resources(provider))


def lease_rights() -> Iterator[Right]:
    """What leader election needs, in the namespace of the Lease only."""
    yield Right(LEASE, ("create",))
    yield Right(LEASE, ("get", "watch", "patch"), names=(LEASE_NAME,))


def rules(rights: Iterable[Right]) -> list[Manifest]:
    """The fewest policy rules that grant exactly these rights, in a stable order."""
    verbs_of: dict[tuple[str, str, tuple[str, ...]], set[str]] = defaultdict(set)
    for right in rights:
        name = f"{right.resource.plural}/{right.subresource}" if right.subresource else right.resource.plural
        verbs_of[right.resource.group, name, right.names].update(right.verbs)
    resources_of: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for (group, name, names), verbs in verbs_of.items():
        resources_of[group, _in_order(verbs), names].append(name)
    return [_rule(group, sorted(resources), verbs, names) for (group, verbs, names), resources in sorted(resources_of.items())]


def manifests(role: Role, account: Account) -> list[Manifest]:
    """The role and its binding."""
    kind = "Role" if role.namespace else "ClusterRole"
    metadata = {"name": role.name, "labels": {"app": "flagger"}} | ({"namespace": role.namespace} if role.namespace else {})
    return [
        {"apiVersion": f"{_API}/v1", "kind": kind, "metadata": metadata, "rules": rules(role.rights)},
        {
            "apiVersion": f"{_API}/v1",
            "kind": f"{kind}Binding",
            "metadata": metadata,
            "roleRef": {"apiGroup": _API, "kind": kind, "name": role.name},
            "subjects": [{"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}],
        },
    ]


def _rights(needs: Iterable[Need]) -> Iterator[Right]:
    for need in needs:
        yield Right(need.resource, tuple(need.verbs))


def _rule(group: str, resources: list[str], verbs: tuple[str, ...], names: tuple[str, ...]) -> Manifest:
    rule: Manifest = {"apiGroups": [group], "resources": resources, "verbs": list(verbs)}
    return rule | ({"resourceNames": list(names)} if names else {})


def _in_order(verbs: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(verbs, key=lambda verb: (VERBS.index(verb) if verb in VERBS else len(VERBS), verb)))
