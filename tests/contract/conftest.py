"""One suite, several servers: the embedded one in memory and over HTTP, and a real kube-apiserver where a kubeconfig names one.

`FLAGGER_PY_CONTRACT_KUBECONFIG` is the kubeconfig of an administrator of a real cluster, whose kube-controller-manager must run too
(garbage collection and namespaces). Each test has a namespace and an API group of its own, so that nothing else is touched.
"""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import yaml

from flagger_py.kube.session import open_transport
from flagger_py.kube.transport import Transport
from flagger_py.local.apiserver import ApiServer, serve
from tests.contract.servers import DEFINITIONS, Server

KUBECONFIG = os.environ.get("FLAGGER_PY_CONTRACT_KUBECONFIG", "")
SERVERS = ["memory", "http", *(["kube-apiserver"] if KUBECONFIG else [])]


@pytest.fixture(params=SERVERS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    """A server with an empty namespace for this test."""
    async with AsyncExitStack() as stack:
        transport = await _transport(request.param, stack, tmp_path)
        server = Server(transport, f"t{uuid.uuid4().hex[:10]}")
        await server.created("/api/v1/namespaces", {"metadata": {"name": server.namespace}})
        yield server
        if request.param == "kube-apiserver":
            for name in server.defined:
                await server.delete(f"{DEFINITIONS}/{name}")
            await server.delete(f"/api/v1/namespaces/{server.namespace}")


async def _transport(which: str, stack: AsyncExitStack, folder: Path) -> Transport:
    if which == "kube-apiserver":
        return await stack.enter_async_context(open_transport(KUBECONFIG))
    api = await stack.enter_async_context(ApiServer().running())
    if which == "memory":
        return api.transport()
    serving = await stack.enter_async_context(serve(api))
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(api.kubeconfig(serving.url)))
    return await stack.enter_async_context(open_transport(str(kubeconfig)))
