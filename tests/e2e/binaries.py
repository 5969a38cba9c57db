"""Builds the servers of the real control plane from Go modules, and finds files in modules. Nothing of this is in the tree but versions.

Binaries lie in a cache folder outside the tree, one per module graph and state of its `go.mod`, so that a second run builds nothing.
"""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from tests.e2e import machine
from tests.e2e.machine import CannotRun

TOOLS: Final = Path(__file__).parent / "tools"
KUBERNETES: Final = "v1.36.3"
COMPONENT_VERSION: Final = "k8s.io/component-base/version"


@dataclass(frozen=True)
class Graph:
    """A Go module whose `tool` packages are the servers to build."""

    folder: Path
    packages: Mapping[str, str]
    """Name of the binary and its package."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Set at link time: a Kubernetes server without its version is refused by its clients."""

    @property
    def cache(self) -> Path:
        """Where the binaries of this very graph belong."""
        text = (self.folder / "go.mod").read_text() + json.dumps([dict(self.packages), dict(self.variables)])
        return machine.cache_folder() / "bin" / hashlib.sha256(text.encode()).hexdigest()[:16]


CONTROL_PLANE: Final = Graph(
    TOOLS,
    {
        "etcd": "go.etcd.io/etcd/server/v3",
        "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
        "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
        "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    },
    {
        f"{COMPONENT_VERSION}.gitVersion": KUBERNETES,
        f"{COMPONENT_VERSION}.gitMajor": "1",
        f"{COMPONENT_VERSION}.gitMinor": KUBERNETES.split(".")[1],
    },
)
CONTOUR: Final = Graph(TOOLS / "contour", {"contour": "github.com/projectcontour/contour/cmd/contour"})


def build(graph: Graph) -> Mapping[str, Path]:
    """The binaries of a graph by name, built where they are missing. Raises `CannotRun`."""
    binaries = {name: graph.cache / name for name in graph.packages}
    for name, path in binaries.items():
        if not path.exists():
            _build(graph, name, path)
    return binaries


def _build(graph: Graph, name: str, path: Path) -> None:
    print(f"building {name} into {path.parent} (minutes the first time)", file=sys.stderr, flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    link = " ".join(["-s -w", *(f"-X {variable}={value}" for variable, value in graph.variables.items())])
    done = _run_go(["build", "-o", str(unfinished), f"-ldflags={link}", graph.packages[name]], graph.folder)
    if done.returncode:
        raise CannotRun(f"cannot build {name} in {graph.folder}: go build ended with {done.returncode}:\n{done.stderr.strip()}")
    unfinished.rename(path)


def module_file(module: str, version: str, path: str) -> str:
    """A text file of a module version, downloaded where it is missing. Raises `CannotRun`.

    It is read from the module's zip: Go verifies it, but refuses to unpack a module that asks for a newer Go (Gateway API 1.7 does).
    """
    with zipfile.ZipFile(_module_zip(module, version)) as files:
        return files.read(f"{module}@{version}/{path}").decode()


def module_files(module: str, version: str, folder: str) -> list[str]:
    """The names of the files below a folder of a module version. Raises `CannotRun`."""
    prefix = f"{module}@{version}/"
    with zipfile.ZipFile(_module_zip(module, version)) as files:
        return sorted(name.removeprefix(prefix) for name in files.namelist() if name.startswith(f"{prefix}{folder}/"))


@cache
def _module_zip(module: str, version: str) -> Path:
    wanted = f"{module}@{version}"
    answer = json.loads(_run_go(["mod", "download", "-json", wanted], TOOLS).stdout or "{}")
    if "Zip" not in answer:
        raise CannotRun(f"cannot download the Go module {wanted}: {answer.get('Error', 'go gave no answer')}")
    return Path(answer["Zip"])


def _run_go(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    go = machine.go()
    environment = {**os.environ, "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"}
    return subprocess.run([go, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
