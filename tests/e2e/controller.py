"""The controller as a pod: the manifests of `deploy/kustomize`, with nothing changed but image, node and a few arguments."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import yaml

from flagger_py.controller import rbac
from flagger_py.controller.rbac import Right
from flagger_py.objects.resource import Manifest
from tests.e2e.node import PROCESSES

KUSTOMIZE: Final = Path(__file__).parents[2] / "deploy" / "kustomize"
NAME: Final = "flagger"
IMAGE: Final = "flagger-py"
NAMESPACE: Final = "flagger-system"
USER: Final = f"system:serviceaccount:{NAMESPACE}:flagger"
ARGUMENTS: Final = ("-metrics-server=http://prometheus.monitoring:9090", "-minimum-interval=2s")


def manifests(kubectl: Path, arguments: Sequence[str] = ARGUMENTS, *, overlay: str = "", replicas: int = 1) -> list[Manifest]:
    """What `kubectl apply -k` would apply, with further arguments."""
    command = [str(kubectl), "kustomize", str(KUSTOMIZE / overlay)]
    rendered = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: list[Manifest] = list(yaml.safe_load_all(rendered))
    for deployment in (manifest for manifest in found if manifest["kind"] == "Deployment"):
        deployment["spec"]["replicas"] = replicas
        pod = deployment["spec"]["template"]["spec"]
        pod["nodeName"] = PROCESSES
        pod["containers"][0]["args"] += list(arguments)
    return found


def namespaced(kubectl: Path, namespace: str, rights: Sequence[Right], arguments: Sequence[str] = ()) -> list[Manifest]:
    """An installation for one namespace, in it, with a Role that grants these rights and nothing else."""
    found = manifests(kubectl, (*ARGUMENTS, f"-namespace={namespace}", *arguments))
    kept = [manifest for manifest in found if manifest["kind"] in ("Deployment", "ServiceAccount")]
    for manifest in kept:
        manifest["metadata"]["namespace"] = namespace
    return [*kept, *rbac.manifests(rbac.Role(NAME, tuple(rights), namespace), rbac.Account(NAME, namespace))]
