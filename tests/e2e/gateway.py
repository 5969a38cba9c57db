"""Contour, which configures a real Envoy from HTTPProxy and Gateway API objects, and a Prometheus that scrapes it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from flagger_py.kube.client import Client
from flagger_py.kube.session import open_transport
from flagger_py.local.envoy.process import envoy_binary
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import SERVICE, Ref
from tests.e2e import machine
from tests.e2e.binaries import CONTOUR, build
from tests.e2e.controlplane import ControlPlane
from tests.e2e.processes import Child, answers_ok

ENVOY_IP: Final = "10.244.0.10"
PROMETHEUS_IP: Final = "10.244.0.11"
HTTP_PORT: Final = 8080
"""Where Envoy serves port 80 of a Gateway: Contour moves ports below 1024 up by 8000."""
STATS_PORT: Final = 8002
NAMESPACE: Final = "projectcontour"
GATEWAY: Final = "contour"
ENVOY: Final = "envoy"
"""The Service of Envoy, as Contour's own manifests name it."""
CONNECT_TIMEOUT: Final = "10s"
"""Contour's own 2 s were over where a busy machine stood still for that long."""
ADMIN_SOCKET: Final = "envoy-admin.sock"
LATER_THAN_CONTOUR: Final = ("tlsroutes", "tcproutes", "grpcroutes", "backendtlspolicies")
"""Contour 1.33 was built for Gateway API 1.3: these kinds have other versions in 1.7, which it would wait for in vain."""

OBJECTS: Final = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: {NAMESPACE}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: contour}}
spec: {{controllerName: projectcontour.io/gateway-controller}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {GATEWAY}, namespace: {NAMESPACE}}}
spec:
  gatewayClassName: contour
  listeners:
  - name: http
    port: 80
    protocol: HTTP
    allowedRoutes: {{namespaces: {{from: All}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: {ENVOY}, namespace: {NAMESPACE}}}
spec: {{type: LoadBalancer, ports: [{{name: http, port: 80, targetPort: {HTTP_PORT}}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {ENVOY}
  namespace: {NAMESPACE}
  labels: {{kubernetes.io/service-name: {ENVOY}}}
addressType: IPv4
ports: [{{name: http, port: {HTTP_PORT}, protocol: TCP}}]
endpoints: [{{addresses: [{ENVOY_IP}]}}]
---
apiVersion: v1
kind: Namespace
metadata: {{name: monitoring}}
---
apiVersion: v1
kind: Service
metadata: {{name: prometheus, namespace: monitoring}}
spec: {{ports: [{{name: http, port: 9090}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: prometheus
  namespace: monitoring
  labels: {{kubernetes.io/service-name: prometheus}}
addressType: IPv4
ports: [{{name: http, port: 9090, protocol: TCP}}]
endpoints: [{{addresses: [{PROMETHEUS_IP}]}}]
"""
"""What an administrator installs beside Contour and Prometheus."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """The running programs."""

    contour: Child
    envoy: Child
    prometheus: Child

    @property
    def children(self) -> tuple[Child, ...]:
        return (self.contour, self.envoy, self.prometheus)


async def give_address(plane: ControlPlane) -> None:
    """What a cloud does for a Service of type LoadBalancer: its address is one that this machine can reach, its ClusterIP."""
    async with open_transport(str(plane.kubeconfig())) as transport:
        client, ref = Client(transport), Ref(SERVICE, NAMESPACE, ENVOY)
        address = (await client.get(ref))["spec"]["clusterIP"]
        await client.patch(ref, MergePatch({"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}), subresource="status")


@asynccontextmanager
async def gateway(plane: ControlPlane) -> AsyncIterator[Gateway]:
    """Started and ready; `OBJECTS` must have been applied."""
    contour = str(build(CONTOUR)["contour"])
    running = Gateway(
        Child("contour", [contour, "serve", *_contour_flags(plane)], plane.folder),
        Child("envoy", [str(envoy_binary()), *_envoy_flags(plane.folder)], plane.folder),
        Child("prometheus", [machine.prometheus(), *_prometheus_flags(plane)], plane.folder),
    )
    bootstrap = Child("contour-bootstrap", [contour, "bootstrap", *_bootstrap_flags(plane.folder)], plane.folder)
    try:
        await bootstrap.start()
        await bootstrap.wait()
        _adapt_bootstrap(plane.folder)
        for child in running.children:
            await child.start()
        await running.contour.until(answers_ok("http://127.0.0.1:8000/healthz"))
        await running.envoy.until(answers_ok(f"http://{ENVOY_IP}:{STATS_PORT}/ready"))
        await running.prometheus.until(answers_ok(f"http://{PROMETHEUS_IP}:9090/-/ready"))
        yield running
    finally:
        for child in running.children:
            if child.is_running:
                await child.stop()


def _contour_flags(plane: ControlPlane) -> list[str]:
    configuration = plane.folder / "contour.yaml"
    reference = {"gatewayRef": {"namespace": NAMESPACE, "name": GATEWAY}}
    configuration.write_text(yaml.safe_dump({"gateway": reference, "timeouts": {"connect-timeout": CONNECT_TIMEOUT}}))
    return [
        f"--kubeconfig={plane.kubeconfig('gateway')}",
        f"--config-path={configuration}",
        "--insecure",
        "--disable-leader-election",
        "--xds-address=127.0.0.1",
        "--xds-port=8001",
        "--health-address=127.0.0.1",
        "--health-port=8000",
        "--http-address=127.0.0.1",
        "--http-port=8003",
        "--debug-http-address=127.0.0.1",
        f"--envoy-service-http-address={ENVOY_IP}",
        f"--envoy-service-http-port={HTTP_PORT}",
        f"--envoy-service-https-address={ENVOY_IP}",
        f"--stats-address={ENVOY_IP}",
        f"--stats-port={STATS_PORT}",
        *(f"--disable-feature={feature}" for feature in LATER_THAN_CONTOUR),
    ]


def _bootstrap_flags(folder: Path) -> list[str]:
    (folder / "envoy-resources").mkdir(exist_ok=True)
    addresses = ["--xds-address=127.0.0.1", "--xds-port=8001", f"--admin-address={folder / ADMIN_SOCKET}"]
    return [str(folder / "envoy.json"), *addresses, f"--resources-dir={folder / 'envoy-resources'}"]


def _adapt_bootstrap(folder: Path) -> None:
    """Two changes that Contour has no flags for.

    Histograms move with each flush only, every 5 seconds without this: too seldom for the short windows of the suite. And the path of a
    socket may have 107 characters: it is one in Envoy's working folder.
    """
    configuration = folder / "envoy.json"
    content = json.loads(configuration.read_text().replace(str(folder / ADMIN_SOCKET), ADMIN_SOCKET))
    configuration.write_text(json.dumps({**content, "stats_flush_interval": "1s"}))


def _envoy_flags(folder: Path) -> list[str]:
    return [
        "--config-path",
        str(folder / "envoy.json"),
        "--service-cluster",
        NAMESPACE,
        "--service-node",
        "envoy-e2e",
        "--concurrency",
        "1",
        "--disable-hot-restart",  # its shared memory has one name for all Envoys of the machine
    ]


def _prometheus_flags(plane: ControlPlane) -> list[str]:
    configuration = plane.folder / "prometheus.yaml"
    configuration.write_text(yaml.safe_dump(_prometheus_configuration()))
    data = ["--storage.tsdb.path", str(plane.folder / "prometheus"), "--storage.tsdb.retention.time", "1h"]
    return ["--config.file", str(configuration), "--web.listen-address", f"{PROMETHEUS_IP}:9090", *data]


def _prometheus_configuration() -> dict[str, Any]:
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {"job_name": "envoy", "metrics_path": "/stats/prometheus", "static_configs": [{"targets": [f"{ENVOY_IP}:{STATS_PORT}"]}]},
        ],
    }
