"""Real kubectl against the embedded server."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from flagger_py.api.crds import DEFINITIONS
from flagger_py.local.apiserver import ADMIN, ApiServer, Settings, serve

KUBECTL = shutil.which("kubectl")
pytestmark = [
    pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on PATH"),
    pytest.mark.timeout(60),
]

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1", ports: [{containerPort: 80}]}]}
---
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: web}
spec:
  provider: kubernetes
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  service: {port: 80}
  analysis: {interval: 10s, threshold: 2, maxWeight: 50, stepWeight: 10}
  skipAnalysis: true
"""


@dataclass
class Kubectl:
    """Runs kubectl with a kubeconfig of its own."""

    folder: Path
    api: ApiServer

    async def run(self, *arguments: str, code: int = 0, **environment: str) -> str:
        """Output and errors of a run, which must end with a code."""
        process = await self.start(*arguments, **environment)
        output, _ = await process.communicate()
        assert process.returncode == code, output.decode()
        return output.decode()

    async def start(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "KUBECONFIG": str(self.folder / "kubeconfig"),
            **environment,
        }
        out = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(str(KUBECTL), *arguments, env=variables, stdout=out, stderr=asyncio.subprocess.STDOUT)


@pytest.fixture
async def kubectl(tmp_path: Path) -> AsyncIterator[Kubectl]:
    api = ApiServer(Settings(anonymous=ADMIN))
    api.load(definition.to_manifest() for definition in DEFINITIONS)
    async with api.running(), serve(api) as serving:
        (tmp_path / "kubeconfig").write_text(yaml.safe_dump(api.kubeconfig(serving.url)))
        (tmp_path / "web.yaml").write_text(WEB)
        yield Kubectl(tmp_path, api)


async def test_apply_get_describe_and_delete(kubectl: Kubectl) -> None:
    file = str(kubectl.folder / "web.yaml")
    assert "canary.flagger.app/web created" in await kubectl.run("apply", "-f", file)
    assert "deployment.apps/web unchanged" in await kubectl.run("apply", "-f", file)
    listed = await kubectl.run("get", "deployments,canaries")
    assert "deployment.apps/web   0/2" in listed
    assert "canary.flagger.app/web" in listed
    assert "Kind:         Canary" in await kubectl.run("describe", "canary", "web")
    assert "Replicas:               2 desired" in await kubectl.run("describe", "deployment", "web")
    assert 'canary.flagger.app "web" deleted' in await kubectl.run("delete", "-f", file)
    assert 'deployments.apps "web" not found' in await kubectl.run("get", "deployment", "web", code=1)


async def test_apply_on_the_server_side_finds_conflicts(kubectl: Kubectl) -> None:
    file = str(kubectl.folder / "web.yaml")
    assert "serverside-applied" in await kubectl.run("apply", "--server-side", "--field-manager=one", "-f", file)
    (kubectl.folder / "web.yaml").write_text(WEB.replace("replicas: 2", "replicas: 3"))
    refused = await kubectl.run("apply", "--server-side", "--field-manager=two", "-f", file, code=1)
    assert ".spec.replicas" in refused
    await kubectl.run("apply", "--server-side", "--field-manager=two", "--force-conflicts", "-f", file)
    assert await kubectl.run("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "3"


async def test_edit_scale_patch_and_set(kubectl: Kubectl) -> None:
    await kubectl.run("apply", "-f", str(kubectl.folder / "web.yaml"))
    edited = await kubectl.run("edit", "deployment", "web", EDITOR="sed -i s/web:1/web:2/")
    assert "deployment.apps/web edited" in edited
    await kubectl.run("scale", "deployment", "web", "--replicas=5")
    await kubectl.run("patch", "canary", "web", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    await kubectl.run("annotate", "deployment", "web", "a=b")
    path = "jsonpath={.spec.replicas} {..image} {.metadata.annotations.a}"
    assert await kubectl.run("get", "deployment", "web", "-o", path) == "5 web:2 b"
    assert await kubectl.run("get", "canary", "web", "-o", "jsonpath={.spec.suspend}") == "true"


async def test_what_is_wrong_with_a_manifest_is_said(kubectl: Kubectl) -> None:
    (kubectl.folder / "web.yaml").write_text(WEB.replace("skipAnalysis: true", "skipAnalysis: maybe\n  bogus: 1"))
    refused = await kubectl.run("apply", "-f", str(kubectl.folder / "web.yaml"), code=1)
    assert 'unknown field "spec.bogus"' in refused


async def test_get_watches_and_events_are_shown(kubectl: Kubectl) -> None:
    await kubectl.run("apply", "-f", str(kubectl.folder / "web.yaml"))
    watching = await kubectl.start("get", "deployments", "-w", "--no-headers")
    assert watching.stdout is not None
    try:
        async with asyncio.timeout(20):
            assert b"web" in await watching.stdout.readline()
            await kubectl.run("scale", "deployment", "web", "--replicas=7")
            assert b"0/7" in await watching.stdout.readline()
    finally:
        watching.kill()
        await watching.communicate()
    uid = await kubectl.run("get", "canary", "web", "-o", "jsonpath={.metadata.uid}")
    about = {"kind": "Canary", "apiVersion": "flagger.app/v1beta1", "namespace": "default", "name": "web", "uid": uid}
    event = {"involvedObject": about, "reason": "Synced", "message": "Initialization done! web.default", "type": "Normal"}
    named = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"}}
    kubectl.api.load([{**named, **event, "lastTimestamp": "2026-01-01T00:00:00Z"}])
    for arguments in (("events",), ("get", "events"), ("describe", "canary", "web")):
        assert "Initialization done! web.default" in await kubectl.run(*arguments)


async def test_objects_from_flags_come_in_protobuf(kubectl: Kubectl) -> None:
    """kubectl sends built-in kinds so, and does not fall back to JSON."""
    await kubectl.run("create", "configmap", "c", "--from-literal=a=b")
    await kubectl.run("create", "deployment", "d", "--image=web:1", "--replicas=3", "--port=80")
    await kubectl.run("expose", "deployment", "d", "--port=80")
    assert await kubectl.run("get", "configmap", "c", "-o", "jsonpath={.data.a}") == "b"
    assert await kubectl.run("get", "deployment", "d", "-o", "jsonpath={.spec.replicas} {..containerPort}") == "3 80"
    assert await kubectl.run("get", "service", "d", "-o", "jsonpath={.spec.selector.app}") == "d"


async def test_rights_can_be_asked_for_and_acted_with(kubectl: Kubectl) -> None:
    await kubectl.run("create", "role", "reader", "--verb=get,list", "--resource=pods")
    await kubectl.run("create", "rolebinding", "reader", "--role=reader", "--user=alice")
    assert "yes" in await kubectl.run("auth", "can-i", "list", "pods", "--as=alice")
    assert "no" in await kubectl.run("auth", "can-i", "delete", "pods", "--as=alice", code=1)
    assert "No resources found" in await kubectl.run("get", "pods", "--as=alice")
    refused = await kubectl.run("get", "secrets", "--as=alice", code=1)
    assert 'User "alice" cannot list resource "secrets" in API group "" in the namespace "default"' in refused


async def test_explain_and_logs(kubectl: Kubectl) -> None:
    explained = await kubectl.run("explain", "canary.spec.analysis")
    assert "stepWeight" in explained

    async def logs(_: object) -> AsyncIterator[bytes]:
        yield b"hello\n"

    kubectl.api.keep_logs(logs)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"}}
    kubectl.api.load([{**pod, "spec": {"containers": [{"name": "c", "image": "web:1"}]}}])
    assert await kubectl.run("logs", "p") == "hello\n"
