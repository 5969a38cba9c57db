"""What every cluster has from its first moment: namespaces, the `kubernetes` Service, and the default roles."""

from collections.abc import Iterator
from typing import Any, Final

from flagger_py.objects.resource import Manifest

NAMESPACES: Final = ("default", "kube-node-lease", "kube-public", "kube-system")
_RBAC: Final = "rbac.authorization.k8s.io"
_INFO: Final = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_DISCOVERY: Final = ["/api", "/api/*", "/apis", "/apis/*", *_INFO[:3], "/openapi", "/openapi/*", *_INFO[3:]]
_EVERYTHING: Final[list[dict[str, Any]]] = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
]
_SELF: Final = [
    {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], "verbs": ["create"]},
    {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]},
]
_ROLES: Final[dict[str, tuple[list[dict[str, Any]], list[str]]]] = {
    "cluster-admin": (_EVERYTHING, ["system:masters"]),
    "system:discovery": ([{"nonResourceURLs": _DISCOVERY, "verbs": ["get"]}], ["system:authenticated"]),
    "system:basic-user": (_SELF, ["system:authenticated"]),
    "system:public-info-viewer": ([{"nonResourceURLs": _INFO, "verbs": ["get"]}], ["system:authenticated", "system:unauthenticated"]),
}


def bootstrap_manifests() -> Iterator[Manifest]:
    """The objects in the order in which they can be created."""
    for name in NAMESPACES:
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    for name, (rules, groups) in _ROLES.items():
        yield {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": _metadata(name), "rules": rules}
        subjects = [{"apiGroup": _RBAC, "kind": "Group", "name": group} for group in groups]
        reference = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name}
        yield {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": _metadata(name),
            "roleRef": reference,
            "subjects": subjects,
        }
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]
    labels = {"component": "apiserver", "provider": "kubernetes"}
    metadata = {"name": "kubernetes", "namespace": "default", "labels": labels}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"type": "ClusterIP", "ports": ports}}


def _metadata(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    }
