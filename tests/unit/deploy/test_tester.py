"""The load tester as it is shipped: named as Flagger's, so that webhooks find it, and usable in the image (metrics:LT-01, LT-03)."""

import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from flagger_py.cli.loadtester import GRACE_SECONDS, read

TESTER = Path(__file__).parents[3] / "deploy/kustomize/tester"


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((TESTER / name).read_text())
    return found


def test_its_names_and_ports_are_those_of_flaggers_manifests() -> None:
    """metrics:LT-01: Service 80 to 8080; webhooks say `http://flagger-loadtester.NAMESPACE/`."""
    deployment, service = load("deployment.yaml"), load("service.yaml")
    labels = {"app": "flagger-loadtester"}
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert {deployment["metadata"]["name"], service["metadata"]["name"]} == {"flagger-loadtester"}
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == labels
    assert service["spec"]["ports"] == [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}]
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert container["command"] == ["./loadtester"]
    assert (read(container["args"]).port, read(container["args"]).timeout.total_seconds()) == (8080, 3600)
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}


def test_its_pod_may_do_little_and_has_time_to_stop() -> None:
    """metrics:LT-02; it runs what it is sent, so its pod has no rights."""
    pod = load("deployment.yaml")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > GRACE_SECONDS
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_it_builds_for_any_namespace() -> None:
    built = subprocess.run(["kubectl", "kustomize", str(TESTER)], check=True, capture_output=True, text=True, timeout=30).stdout
    assert [("namespace" in manifest["metadata"]) for manifest in yaml.safe_load_all(built)] == [False, False]


def test_the_image_starts_it_as_flaggers_chart_does_and_has_a_hey(installed: Path, offline: dict[str, str], tmp_path: Path) -> None:
    """metrics:LT-03: `./loadtester`, in the root folder; nothing is written there."""
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["./loadtester", "-port=0"], cwd=installed, env=offline | {"PYTHONDONTWRITEBYTECODE": "1"}, stdout=output, stderr=output
        )
        try:
            url = f"http://127.0.0.1:{_port(log)}/"
            metadata = {"type": "bash", "cmd": f"hey -n 3 -c 1 {url}healthz", "returnCmdOutput": "true"}
            request = urllib.request.Request(url, json.dumps({"metadata": metadata}).encode())
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert "[200]\t3 responses" in answer.read().decode()
            process.terminate()
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()
            process.wait()


def _port(log: Path, limit: float = 20) -> int:
    """From the line that says where it listens."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        for line in log.read_text().splitlines():
            if '"listening"' in line:
                return int(json.loads(line)["port"])
        time.sleep(0.05)
    raise AssertionError(log.read_text())
