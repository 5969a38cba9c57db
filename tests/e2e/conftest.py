"""What the end-to-end tests share: the servers that `python -m tests.e2e` has started, and a namespace for each test."""

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flagger_py.kube.client import Client
from flagger_py.kube.cluster import Cluster
from flagger_py.kube.retry import RetryPolicy
from flagger_py.kube.session import open_transport
from flagger_py.kube.transport import Transport
from flagger_py.local.resources import NAMESPACE


@pytest.fixture(scope="session")
def run_folder() -> Path:
    """Where this run keeps logs, keys and kubeconfigs."""
    folder = os.environ.get("FLAGGER_PY_E2E_FOLDER")
    if not folder:
        pytest.exit("the end-to-end tests need their servers: run `make e2e` (or `python -m tests.e2e exec pytest FILE`)", returncode=3)
    return Path(folder)


@pytest.fixture
async def transport(run_folder: Path) -> AsyncIterator[Transport]:
    async with open_transport(str(run_folder / "kubeconfig-admin"), identity="test") as transport:
        yield transport


@pytest.fixture
def client(transport: Transport) -> Client:
    """An administrator. A fresh CRD answers 429 for some seconds, so it is patient."""
    return Client(transport, field_manager="test", retries=RetryPolicy(throttled=20))


@pytest.fixture
async def cluster(client: Client) -> AsyncIterator[Cluster]:
    async with Cluster(client) as cluster:
        yield cluster


@pytest.fixture
async def namespace(client: Client) -> str:
    """An empty namespace; it stays, for who looks into a failure."""
    name = f"t{uuid.uuid4().hex[:10]}"
    await client.create(NAMESPACE, {"metadata": {"name": name}})
    return name
