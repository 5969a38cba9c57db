"""What Envoy counts: requests by response flags, and the series that a scraper of an Istio mesh would find instead of Envoy's own."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from flagger_py.local.envoy.model import Backend
from flagger_py.local.envoy.process import EnvoyProcess
from flagger_py.local.envoy.resources import ACCESS_SCOPE
from flagger_py.local.workloads.endpoints import selected
from flagger_py.local.workloads.ownership import HASH_LABEL, controller_of
from flagger_py.objects.resource import Manifest

GATEWAY_FAILURES: Final = ("UF", "UH", "UC", "UT", "UO", "UR", "URX", "NR", "NC", "LR", "LH", "DPE", "UPE", "OM")
"""Response flags of requests that Envoy could not bring to an app and back. `DC`, a client that went away, is none."""

_LINE: Final = re.compile(rf"^{ACCESS_SCOPE}\.requests\.response_code\.(\d+)\.response_flags\.(\S+): (\d+)$", re.MULTILINE)
_COUNTER: Final = "envoy_cluster_upstream_rq"
_HISTOGRAM: Final = "envoy_cluster_upstream_rq_time"


class Answered(NamedTuple):
    """A kind of answer: its code, and its response flags joined by commas (`-` for none)."""

    code: int
    flags: str


@dataclass(frozen=True, slots=True)
class EnvoyFlags:
    """All requests since Envoy's start, by code and flags."""

    counts: Mapping[Answered, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, stats: str) -> "EnvoyFlags":
        """From the text of the admin page `/stats`."""
        return cls({Answered(int(code), flags): int(count) for code, flags, count in _LINE.findall(stats)})

    @property
    def requests(self) -> int:
        return sum(self.counts.values())

    def failures(self) -> dict[str, int]:
        """Requests that failed at the gateway, by flag; empty where none did."""
        found: Counter[str] = Counter()
        for answered, count in self.counts.items():
            for flag in answered.flags.split(","):
                if flag in GATEWAY_FAILURES:
                    found[flag] += count
        return dict(sorted(found.items()))


async def read_flags(process: EnvoyProcess) -> EnvoyFlags:
    """Ask Envoy. Raises `EnvoyUnavailable`."""
    return EnvoyFlags.parse(await process.admin(f"/stats?filter=%5E{ACCESS_SCOPE}%5C.requests"))


class Workload(NamedTuple):
    """The workload behind a Service."""

    namespace: str
    name: str
    service: str


def workloads_by_cluster(services: Iterable[Manifest], pods: Iterable[Manifest]) -> dict[str, Workload]:
    """Which workload the pods of each Service port belong to, by the name of its cluster in metrics. One without pods is left out."""
    every_pod = list(pods)
    found = {}
    for service in services:
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        own = selected(service, [pod for pod in every_pod if pod["metadata"]["namespace"] == namespace])
        for port in service["spec"].get("ports") or ():
            for pod in own[:1]:
                found[Backend(namespace, name, port["port"]).stat_name] = Workload(namespace, _workload_name(pod), name)
    return found


def _workload_name(pod: Manifest) -> str:
    """As Istio derives it: the ReplicaSet's name without its hash, the owner's name, or the pod's own."""
    owner = controller_of(pod)
    if owner is None:
        return str(pod["metadata"]["name"])
    hashed = (pod["metadata"].get("labels") or {}).get(HASH_LABEL)
    return str(owner["name"]).removesuffix(f"-{hashed}") if hashed else str(owner["name"])


def as_istio(labels: Mapping[str, str], workloads: Mapping[str, Workload]) -> dict[str, str] | None:
    """A series of Envoy, its name among its labels, as Istio has it (metrics:OBS-ISTIO-01); `None` for one that Istio has not.

    A sidecar of the destination would have counted the same requests: all of them pass through this one Envoy.
    """
    workload = workloads.get(labels.get("envoy_cluster_name", ""))
    if workload is None:
        return None
    common = {
        "reporter": "destination",
        "destination_workload_namespace": workload.namespace,
        "destination_workload": workload.name,
        "destination_service_namespace": workload.namespace,
        "destination_service_name": workload.service,
    }
    name = labels["__name__"]
    if name == _COUNTER:
        return {"__name__": "istio_requests_total", "response_code": labels.get("envoy_response_code", "0"), **common}
    if name.startswith(f"{_HISTOGRAM}_"):
        bound = {"le": labels["le"]} if "le" in labels else {}
        return {"__name__": f"istio_request_duration_milliseconds{name.removeprefix(_HISTOGRAM)}", **bound, **common}
    return None
