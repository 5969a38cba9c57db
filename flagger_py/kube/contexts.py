"""The namespace that a kubeconfig names for its context: where people's commands mean their objects to be."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from flagger_py.kube.credentials import SERVICE_ACCOUNT, InClusterCredentials

DEFAULT: Final = "default"


def namespace_of_context(kubeconfig: str = "", context: str | None = None) -> str:
    """As kubectl chooses it; `default` where nothing is said. What is wrong with the file is for the connection to tell."""
    if not kubeconfig and not context and InClusterCredentials.is_available():
        return _of_pod() or DEFAULT
    paths = kubeconfig or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    files = list(_documents(paths))
    name = context or next((file["current-context"] for file in files if file.get("current-context")), "")
    for file in files:
        for entry in file.get("contexts") or []:
            if isinstance(entry, dict) and entry.get("name") == name:
                return str((entry.get("context") or {}).get("namespace") or DEFAULT)
    return DEFAULT


def _of_pod() -> str:
    path = SERVICE_ACCOUNT / "namespace"
    return path.read_text().strip() if path.is_file() else ""


def _documents(paths: str) -> Iterator[dict[str, Any]]:
    for path in paths.split(os.pathsep):
        try:
            document = yaml.safe_load(Path(path).read_text())
        except (OSError, ValueError, yaml.YAMLError):
            continue
        if isinstance(document, dict):
            yield document
