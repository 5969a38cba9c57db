"""Small objects to test with; keyword arguments replace parts of them."""

from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import Manifest
from flagger_py.workloads.metadata import owner_reference

NAMESPACE = "shop"
CANARY_UID = "0b7c2f7e-canary"


def make_canary(*, service: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **spec: Any) -> Canary:
    """A Canary `web` for the Deployment `web`."""
    return Canary.model_validate(
        {
            "metadata": {"name": "web", "namespace": NAMESPACE, "uid": CANARY_UID},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "service": {"port": 80, **(service or {})},
                "analysis": {"interval": "1m", "threshold": 2, "stepWeight": 10},
                **spec,
            },
            "status": status or {},
        }
    )


def make_deployment(
    name: str = "web",
    *,
    image: str = "web:1",
    replicas: int | None = 2,
    labels: dict[str, str] | None = None,
    pod: dict[str, Any] | None = None,
    **spec: Any,
) -> Manifest:
    """A settled Deployment; `pod` adds to its pod spec, `labels` are those of selector and pods."""
    labels = labels or {"app": name}
    count = {} if replicas is None else {"replicas": replicas}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "generation": 1, "labels": {"app": name, "team": "shop"}},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": {"containers": [{"name": "web", "image": image}], **(pod or {})},
            },
            **count,
            **spec,
        },
        "status": settled_status(replicas if replicas is not None else 1),
    }


def make_daemon_set(name: str = "web", *, image: str = "web:1", pod: dict[str, Any] | None = None, nodes: int = 2, **spec: Any) -> Manifest:
    """A settled DaemonSet on so many nodes."""
    manifest = make_deployment(name, image=image, replicas=None, pod=pod, **spec)
    metadata = manifest["metadata"] | {"annotations": {"deprecated.daemonset.template.generation": "1"}}
    return manifest | {"kind": "DaemonSet", "metadata": metadata, "status": scheduled_status(nodes)}


def scheduled_status(nodes: int, **changes: Any) -> dict[str, Any]:
    """The status of a DaemonSet whose pods are all new and available."""
    fields = ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberReady", "numberAvailable")
    return {"observedGeneration": 1, **dict.fromkeys(fields, nodes), **changes}


def settled_status(replicas: int, **changes: Any) -> dict[str, Any]:
    """The status of a Deployment whose pods are all new and available."""
    counts = {"replicas": replicas, "updatedReplicas": replicas, "availableReplicas": replicas, "readyReplicas": replicas}
    return {"observedGeneration": 1, **counts, **changes}


def make_config(name: str, data: dict[str, str] | None = None, *, kind: str = "ConfigMap", **parts: Any) -> Manifest:
    """A ConfigMap, or a Secret with `kind`."""
    annotations = parts.pop("annotations", {})
    labels = parts.pop("labels", {})
    owners = parts.pop("owners", [])
    metadata = {"name": name, "namespace": NAMESPACE, "annotations": annotations, "labels": labels, "ownerReferences": owners}
    content = {} if data is None else {"data": data}
    secret_type = {"type": "Opaque"} if kind == "Secret" else {}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **secret_type, **content, **parts}


def config_volumes(*names: str) -> dict[str, Any]:
    """A pod spec's volumes for ConfigMaps of these names."""
    return {"volumes": [{"name": f"v{index}", "configMap": {"name": name}} for index, name in enumerate(names)]}


def owned_by(canary: Canary) -> list[dict[str, Any]]:
    """Owner references of an object that was generated for the Canary."""
    return [owner_reference(canary)]


def other_canary_owner(name: str = "other", *, controller: bool = True) -> dict[str, Any]:
    """An owner reference of another Canary."""
    return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": name, "uid": f"uid-{name}", "controller": controller}
