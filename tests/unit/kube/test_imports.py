"""What an import costs (design §9)."""

import subprocess
import sys


def _loaded_after(code: str) -> set[str]:
    """The modules and the names of the classes that a fresh process has then."""
    show = "import gc, sys; print(*sys.modules, *(found.__name__ for found in gc.get_objects() if isinstance(found, type)))"
    ran = subprocess.run([sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True, timeout=20)
    return set(ran.stdout.split())


def test_the_client_and_the_cluster_come_without_the_kubernetes_library_and_without_http() -> None:
    loaded = _loaded_after("import flagger_py.kube.client, flagger_py.kube.cluster, flagger_py.kube.lease")
    assert not {"kubernetes_asyncio", "aiohttp", "httpx"} & loaded


def test_the_session_imports_the_kubernetes_library_only_when_it_reads_a_configuration() -> None:
    assert "kubernetes_asyncio" not in _loaded_after("import flagger_py.kube.session")


def test_a_configuration_is_read_without_the_generated_api_classes() -> None:
    """35 MiB that do not count into the memory budget."""
    loaded = _loaded_after("from flagger_py.kube.configuration import library; found = library()")
    assert "KubeConfigLoader" in loaded
    assert "V1Pod" not in loaded


def test_the_whole_library_can_be_imported_afterwards() -> None:
    """As a plug-in may."""
    code = "from flagger_py.kube.configuration import library; library(); from kubernetes_asyncio.client import CoreV1Api"
    assert "V1Pod" in _loaded_after(code)
