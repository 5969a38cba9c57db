"""What an import costs (design §9)."""

import subprocess
import sys


def test_the_client_and_the_cluster_come_without_the_kubernetes_library_and_without_http() -> None:
    code = "import sys, flagger_py.kube.client, flagger_py.kube.cluster, flagger_py.kube.lease; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20).stdout.split()
    assert not {"kubernetes_asyncio", "aiohttp", "httpx"} & set(modules)


def test_the_session_imports_the_kubernetes_library_only_when_it_reads_a_configuration() -> None:
    code = "import sys, flagger_py.kube.session; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20).stdout.split()
    assert "kubernetes_asyncio" not in modules
