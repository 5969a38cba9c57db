"""What the embedded Prometheus scrapes: every pod, and Envoy under its own names and under Istio's."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from flagger_py.kube.cluster import Cluster
from flagger_py.local.envoy.process import EnvoyProcess
from flagger_py.local.envoy.stats import Workload, as_istio, workloads_by_cluster
from flagger_py.local.node.agent import real_port
from flagger_py.local.node.probes import first_port
from flagger_py.local.promql import Scraper, Target
from flagger_py.local.promql.store import Labels
from flagger_py.local.resources import POD
from flagger_py.objects.resource import SERVICE, Manifest, Ref

SCRAPE_ANNOTATION: Final = "prometheus.io/scrape"
PORT_ANNOTATION: Final = "prometheus.io/port"
PATH_ANNOTATION: Final = "prometheus.io/path"
ENVOY_PAGE: Final = "/stats/prometheus?usedonly"
"""Only what has been counted: the rest would be nine tenths of the page, twice a second."""


class Monitoring:
    """Keeps the scraper's targets as the cluster is."""

    def __init__(self, cluster: Cluster, envoy: EnvoyProcess, scraper: Scraper, *, interval: float) -> None:
        self._cluster = cluster
        self._envoy = envoy
        self._scraper = scraper
        self._interval = interval
        self._dirty = asyncio.Event()
        self._workloads: dict[str, Workload] = {}

    async def run(self) -> None:
        """For ever."""
        self._cluster.subscribe(self._on_change)
        self._envoy.on_start(self._dirty.set)
        for resource in (POD, SERVICE):
            await self._cluster.ensure_watched(resource)
        await self._envoy.ready()
        while True:
            self._dirty.clear()
            self._refresh()
            await self._dirty.wait()

    def _on_change(self, ref: Ref) -> None:
        if ref.resource in (POD, SERVICE):
            self._dirty.set()

    def _refresh(self) -> None:
        pods = list(self._cluster.items(POD))
        workloads = workloads_by_cluster(self._cluster.items(SERVICE), pods)
        if workloads != self._workloads:
            self._workloads = workloads
            self._scraper.retranslate()  # a series that had no workload yet may have one now
        self._scraper.set_targets([*self._envoy_targets(), *pod_targets(pods, self._interval)])

    def _envoy_targets(self) -> Iterator[Target]:
        """Two pages of the same content: the second one's series are renamed, and no series is under both names."""
        address = self._envoy.admin_address
        page = f"http://{address}{ENVOY_PAGE}"
        yield Target(page, {"job": "envoy", "instance": address}, self._interval)
        yield Target(f"{page}&as=istio", {"job": "istio", "instance": address}, self._interval, self._as_istio)

    def _as_istio(self, labels: Labels) -> Labels | None:
        renamed = as_istio(labels, self._workloads)
        return None if renamed is None else {**renamed, "job": labels["job"], "instance": labels["instance"]}


def pod_targets(pods: Iterable[Manifest], interval: float) -> Iterator[Target]:
    """The running pods that do not refuse it, labelled as Flagger's bundled Prometheus labels them (metrics:OBS-HTTP-02)."""
    for pod in pods:
        annotations = pod["metadata"].get("annotations") or {}
        status = pod.get("status") or {}
        if status.get("phase") != "Running" or not status.get("podIP") or annotations.get(SCRAPE_ANNOTATION) == "false":
            continue
        port = int(annotations.get(PORT_ANNOTATION) or first_port(pod["spec"]["containers"][0]))
        instance = f"{status['podIP']}:{real_port(pod, port)}"
        labels = {
            "job": "kubernetes-pods",
            "instance": instance,
            "kubernetes_namespace": pod["metadata"]["namespace"],
            "kubernetes_pod_name": pod["metadata"]["name"],
        }
        yield Target(f"http://{instance}{annotations.get(PATH_ANNOTATION) or '/metrics'}", labels, interval)
