"""CustomResourceDefinitions: ours from the tree, those of gateways out of Go's module cache, unchanged."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.e2e.binaries import module_file, module_files

GATEWAY_API: Final = ("sigs.k8s.io/gateway-api", "v1.7.0")
ISTIO: Final = ("istio.io/api", "v1.31.1")
CONTOUR: Final = ("github.com/projectcontour/contour", "v1.33.8")
KNATIVE: Final = ("knative.dev/serving", "v0.51.0")
KEDA: Final = ("github.com/kedacore/keda/v2", "v2.18.1")
SETTLING_SECONDS: Final = 30.0
OURS: Final = Path(__file__).parents[2] / "deploy" / "crds"


def gateway_api(version: str = GATEWAY_API[1], channel: str = "standard") -> str:
    """The definitions of a release, and what guards them."""
    module = GATEWAY_API[0]
    return _joined(
        module_file(module, version, name) for name in module_files(module, version, f"config/crd/{channel}") if "kustom" not in name
    )


def istio(version: str = ISTIO[1]) -> str:
    return module_file(ISTIO[0], version, "kubernetes/customresourcedefinitions.gen.yaml")


def contour(version: str = CONTOUR[1]) -> str:
    return module_file(CONTOUR[0], version, "examples/contour/01-crds.yaml")


def knative(version: str = KNATIVE[1]) -> str:
    """Of Services and Revisions; no controller of Knative runs."""
    return _joined(module_file(KNATIVE[0], version, f"config/core/300-resources/{kind}.yaml") for kind in ("service", "revision"))


def keda(version: str = KEDA[1]) -> str:
    return module_file(KEDA[0], version, "config/crd/bases/keda.sh_scaledobjects.yaml")


def ours() -> str:
    return _joined(path.read_text() for path in sorted(OURS.glob("*.flagger.app.yaml")))


def of_everything() -> str:
    """The newest of each."""
    return _joined([ours(), gateway_api(), istio(), contour(), knative(), keda()])


def apply(kubectl: Path, kubeconfig: Path, manifests: str) -> None:
    """As an administrator does. Right after a definition came the server refuses its objects for some seconds (429)."""
    command = [str(kubectl), "--kubeconfig", str(kubeconfig), "apply", "--server-side", "--filename", "-"]
    end = time.monotonic() + SETTLING_SECONDS
    while (done := subprocess.run(command, input=manifests, text=True, capture_output=True, check=False)).returncode:
        if time.monotonic() > end:
            raise RuntimeError(f"kubectl apply: {done.stderr.strip()}")
        time.sleep(0.5)


def install(kubectl: Path, kubeconfig: Path, definitions: str) -> None:
    """Apply them, and wait until they are served."""
    command = [str(kubectl), "--kubeconfig", str(kubeconfig)]
    apply(kubectl, kubeconfig, definitions)
    waiting = ["wait", "--for", "condition=Established", "customresourcedefinitions", "--all", "--timeout", "60s"]
    subprocess.run([*command, *waiting], check=True, capture_output=True)


def _joined(documents: Iterator[str] | list[str]) -> str:
    return "\n---\n".join(documents)
