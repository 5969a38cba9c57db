"""What a Kubernetes object is, as a value: its resource, its reference, and the few fields that every object has."""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Manifest: TypeAlias = dict[str, Any]
"""A Kubernetes object as JSON gives it. Fields that we do not model survive because nothing else holds them."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind in one served version, with the plural that its URLs use."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`apiVersion` of its objects: `group/version`, or `v1` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, of one object, or of a sub-resource; an empty namespace means all of them."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True, slots=True)
class Ref:
    """One object: its resource, namespace and name."""

    resource: Resource
    namespace: str
    name: str

    @classmethod
    def of(cls, resource: Resource, manifest: Manifest) -> "Ref":
        metadata = manifest["metadata"]
        return cls(resource, metadata.get("namespace", ""), metadata["name"])

    def __str__(self) -> str:
        return f"{self.resource.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.resource.kind} {self.name}"


CANARY: Final = Resource("flagger.app", "v1beta1", "canaries", "Canary")
METRIC_TEMPLATE: Final = Resource("flagger.app", "v1beta1", "metrictemplates", "MetricTemplate")
ALERT_PROVIDER: Final = Resource("flagger.app", "v1beta1", "alertproviders", "AlertProvider")
DEPLOYMENT: Final = Resource("apps", "v1", "deployments", "Deployment")
DAEMON_SET: Final = Resource("apps", "v1", "daemonsets", "DaemonSet")
CONTROLLER_REVISION: Final = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
SERVICE: Final = Resource("", "v1", "services", "Service")
CONFIG_MAP: Final = Resource("", "v1", "configmaps", "ConfigMap")
SECRET: Final = Resource("", "v1", "secrets", "Secret")
HORIZONTAL_POD_AUTOSCALER: Final = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
SCALED_OBJECT: Final = Resource("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject")
EVENT: Final = Resource("", "v1", "events", "Event")
LEASE: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease")
