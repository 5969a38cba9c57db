"""Readiness, liveness and startup probes."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from flagger_py.local.node.network import PodAddress

LONGEST_STATUS_LINE: Final = 4096


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe with Kubernetes' defaults. Without a path only the connection is tried. Times are in seconds."""

    port: int
    path: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    initial_delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3

    @classmethod
    def of(cls, probe: Mapping[str, Any], container: Mapping[str, Any], default_path: str) -> "Probe":
        """A container's probe. `exec` asks `default_path` over HTTP instead: the demo app has no commands."""
        http = probe.get("httpGet") or {}
        tcp = probe.get("tcpSocket") or probe.get("grpc") or {}
        port = http.get("port") or tcp.get("port") or first_port(container)
        path = http.get("path", "/") if http else "" if tcp else default_path
        return cls(
            named_port(container, port),
            path,
            tuple((header["name"], header["value"]) for header in http.get("httpHeaders") or ()),
            probe.get("initialDelaySeconds", 0),
            probe.get("periodSeconds", 10),
            probe.get("timeoutSeconds", 1),
            probe.get("successThreshold", 1),
            probe.get("failureThreshold", 3),
        )


def first_port(container: Mapping[str, Any]) -> int:
    """The first port that a container declares; 8080 where it declares none."""
    ports = container_ports(container)
    return ports[0] if ports else 8080


def container_ports(container: Mapping[str, Any]) -> list[int]:
    return [int(port["containerPort"]) for port in container.get("ports") or () if port.get("protocol", "TCP") == "TCP"]


def named_port(container: Mapping[str, Any], port: int | str) -> int:
    """The number of a port given by number or name. Raises `ValueError` for a name that the container does not declare."""
    if isinstance(port, int) or port.isdecimal():
        return int(port)
    for entry in container.get("ports") or ():
        if entry.get("name") == port:
            return int(entry["containerPort"])
    raise ValueError(f"container {container['name']!r} declares no port named {port!r}")


async def succeeds(probe: Probe, address: PodAddress) -> bool:
    """Try it once: a code from 200 to 399 (or a connection) within its time-out."""
    try:
        async with asyncio.timeout(probe.timeout):
            return await _attempt(probe, address)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return False


async def _attempt(probe: Probe, address: PodAddress) -> bool:
    reader, writer = await asyncio.open_connection(address.ip, address.port(probe.port), limit=LONGEST_STATUS_LINE)
    try:
        if not probe.path:
            return True
        headers = "".join(f"{name}: {value}\r\n" for name, value in probe.headers)
        request = f"GET {probe.path} HTTP/1.1\r\nHost: {address.ip}\r\nUser-Agent: kube-probe/local\r\n{headers}Connection: close\r\n\r\n"
        writer.write(request.encode())
        status_line = await reader.readuntil(b"\r\n")
        return _is_success(status_line)
    finally:
        writer.close()


def _is_success(status_line: bytes) -> bool:
    words = status_line.split()
    return len(words) >= 2 and words[1].isdigit() and 200 <= int(words[1]) < 400


async def watch(probe: Probe, address: PodAddress, report: Callable[[bool], None]) -> NoReturn:
    """Probe for ever; `report` gets each verdict that the thresholds allow, the first success or failure threshold included."""
    await asyncio.sleep(probe.initial_delay)
    successes = failures = 0
    while True:
        if await succeeds(probe, address):
            successes, failures = successes + 1, 0
            if successes >= probe.success_threshold:
                report(True)
        else:
            successes, failures = 0, failures + 1
            if failures >= probe.failure_threshold:
                report(False)
        await asyncio.sleep(probe.period)
