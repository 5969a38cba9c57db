"""The table of built-in kinds."""

from ipaddress import IPv4Network
from typing import Final, TypedDict, Unpack

from flagger_py.local.apiserver.builtin.cluster import (
    BindingStrategy,
    DefinitionStrategy,
    EndpointSliceStrategy,
    EndpointsStrategy,
    EventStrategy,
    LeaseStrategy,
    NamespaceStrategy,
    RoleStrategy,
    ServiceAccountStrategy,
)
from flagger_py.local.apiserver.builtin.config import ConfigMapStrategy, SecretStrategy
from flagger_py.local.apiserver.builtin.pods import PodStrategy
from flagger_py.local.apiserver.builtin.services import Services, ServiceStrategy
from flagger_py.local.apiserver.builtin.workloads import (
    AutoscalerStrategy,
    ControllerRevisionStrategy,
    DaemonSetStrategy,
    DeploymentStrategy,
    ReplicaSetStrategy,
)
from flagger_py.local.apiserver.kinds import ALL_VERBS, Kind, ScalePaths
from flagger_py.local.apiserver.schema import built_in
from flagger_py.local.apiserver.strategy import Strategy
from flagger_py.objects.resource import Resource

RBAC: Final = "rbac.authorization.k8s.io"
ENDPOINTS_DEPRECATED: Final = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
_NAMESPACE_VERBS: Final = tuple(verb for verb in ALL_VERBS if verb != "deletecollection")


def built_in_kinds(services: Services, network: IPv4Network) -> list[Kind]:
    """All built-in kinds, core first, as discovery lists them. `services` reads the stored Services, whose addresses lie in `network`."""
    return [*_core(ServiceStrategy(services, network)), *_workloads(), *_cluster(), *_reviews()]


def _core(service: Strategy) -> list[Kind]:
    involved = tuple(
        f"involvedObject.{name}" for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
    )
    event_fields = (*involved, "reason", "reportingComponent", "source", "type")
    pod_fields = ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase", "status.podIP")
    return [
        _kind("", "v1", "configmaps", "ConfigMap", short=("cm",), strategy=ConfigMapStrategy()),
        _kind("", "v1", "endpoints", "Endpoints", short=("ep",), strategy=EndpointsStrategy(), deprecation=ENDPOINTS_DEPRECATED),
        _kind("", "v1", "events", "Event", short=("ev",), selectable=event_fields, strategy=EventStrategy()),
        _kind(
            "",
            "v1",
            "namespaces",
            "Namespace",
            short=("ns",),
            selectable=("status.phase",),
            subresources=("finalize",),
            strategy=NamespaceStrategy(),
            verbs=_NAMESPACE_VERBS,
            namespaced=False,
            status=True,
        ),
        _kind("", "v1", "nodes", "Node", short=("no",), selectable=("spec.unschedulable",), namespaced=False, status=True),
        _kind(
            "",
            "v1",
            "pods",
            "Pod",
            short=("po",),
            categories=("all",),
            status=True,
            selectable=pod_fields,
            strategy=PodStrategy(),
            subresources=("log", "eviction"),
        ),
        _kind("", "v1", "secrets", "Secret", selectable=("type",), strategy=SecretStrategy()),
        _kind("", "v1", "serviceaccounts", "ServiceAccount", short=("sa",), strategy=ServiceAccountStrategy(), subresources=("token",)),
        _kind(
            "",
            "v1",
            "services",
            "Service",
            short=("svc",),
            categories=("all",),
            status=True,
            selectable=("spec.clusterIP", "spec.type"),
            strategy=service,
        ),
    ]


def _workloads() -> list[Kind]:
    return [
        _kind("apps", "v1", "controllerrevisions", "ControllerRevision", strategy=ControllerRevisionStrategy()),
        _kind("apps", "v1", "daemonsets", "DaemonSet", short=("ds",), strategy=DaemonSetStrategy(), categories=("all",), status=True),
        _kind(
            "apps",
            "v1",
            "deployments",
            "Deployment",
            short=("deploy",),
            scale=ScalePaths(),
            strategy=DeploymentStrategy(),
            categories=("all",),
            status=True,
        ),
        _kind(
            "apps",
            "v1",
            "replicasets",
            "ReplicaSet",
            short=("rs",),
            scale=ScalePaths(),
            strategy=ReplicaSetStrategy(),
            categories=("all",),
            status=True,
        ),
        _kind(
            "autoscaling",
            "v2",
            "horizontalpodautoscalers",
            "HorizontalPodAutoscaler",
            short=("hpa",),
            strategy=AutoscalerStrategy(),
            categories=("all",),
            status=True,
        ),
    ]


def _cluster() -> list[Kind]:
    role, binding = RoleStrategy(), BindingStrategy(roles=("Role", "ClusterRole"))
    cluster_binding = BindingStrategy(roles=("ClusterRole",))
    return [
        _kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", strategy=EndpointSliceStrategy()),
        _kind("coordination.k8s.io", "v1", "leases", "Lease", strategy=LeaseStrategy()),
        _kind(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False, strategy=cluster_binding),
        _kind(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False, strategy=role),
        _kind(RBAC, "v1", "rolebindings", "RoleBinding", strategy=binding),
        _kind(RBAC, "v1", "roles", "Role", strategy=role),
        _kind(
            "apiextensions.k8s.io",
            "v1",
            "customresourcedefinitions",
            "CustomResourceDefinition",
            short=("crd", "crds"),
            categories=("api-extensions",),
            namespaced=False,
            status=True,
            strategy=DefinitionStrategy(),
        ),
    ]


def _reviews() -> list[Kind]:
    """What is asked and answered, and never stored."""
    authentication, authorization = "authentication.k8s.io", "authorization.k8s.io"
    return [
        _kind(authentication, "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False, verbs=("create",)),
        _kind(authentication, "v1", "tokenreviews", "TokenReview", namespaced=False, verbs=("create",)),
        _kind(authorization, "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", verbs=("create",)),
        _kind(authorization, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False, verbs=("create",)),
        _kind(authorization, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", namespaced=False, verbs=("create",)),
        _kind(authorization, "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False, verbs=("create",)),
    ]


class _Options(TypedDict, total=False):
    namespaced: bool
    short: tuple[str, ...]
    categories: tuple[str, ...]
    verbs: tuple[str, ...]
    status: bool
    scale: ScalePaths
    selectable: tuple[str, ...]
    subresources: tuple[str, ...]
    strategy: Strategy
    deprecation: str


def _kind(group: str, version: str, plural: str, kind: str, **options: Unpack[_Options]) -> Kind:
    return Kind(
        Resource(group, version, plural, kind, options.get("namespaced", True)),
        schema=built_in(kind),
        strategy=options.get("strategy", Strategy()),
        storage_version=version,
        singular=kind.lower(),
        list_kind=f"{kind}List",
        short_names=options.get("short", ()),
        categories=options.get("categories", ()),
        verbs=options.get("verbs", ALL_VERBS),
        has_status=options.get("status", False),
        scale=options.get("scale"),
        subresources=options.get("subresources", ()),
        selectable=options.get("selectable", ()),
        deprecation=options.get("deprecation", ""),
    )
