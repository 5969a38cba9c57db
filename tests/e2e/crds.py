"""CustomResourceDefinitions: ours from the tree, those of gateways out of Go's module cache, unchanged."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.e2e.binaries import module_file, module_files

GATEWAY_API: Final = ("sigs.k8s.io/gateway-api", "v1.7.0")
ISTIO: Final = ("istio.io/api", "v1.31.1")
CONTOUR: Final = ("github.com/projectcontour/contour", "v1.33.8")
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


def ours() -> str:
    return _joined(path.read_text() for path in sorted(OURS.glob("*.flagger.app.yaml")))


def of_everything() -> str:
    """The newest of each."""
    return _joined([ours(), gateway_api(), istio(), contour()])


def install(kubectl: Path, kubeconfig: Path, definitions: str) -> None:
    """Apply them as an administrator does, and wait until they are served."""
    command = [str(kubectl), "--kubeconfig", str(kubeconfig)]
    subprocess.run([*command, "apply", "--server-side", "--filename", "-"], input=definitions, text=True, check=True, capture_output=True)
    waiting = ["wait", "--for", "condition=Established", "customresourcedefinitions", "--all", "--timeout", "60s"]
    subprocess.run([*command, *waiting], check=True, capture_output=True)


def _joined(documents: Iterator[str] | list[str]) -> str:
    return "\n---\n".join(documents)
