"""Addresses of pods on this machine: one loopback address each where the system has them, else one port each on 127.0.0.1."""

import errno
import ipaddress
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

LOOPBACK: Final = ipaddress.IPv4Network("127.64.0.0/10")
"""Pods live here; 127.0.0.1 and the addresses that distributions use for their own names are far away."""
BACKLOG: Final = 128


@dataclass(frozen=True, slots=True)
class PodAddress:
    """Where a pod is reached. `ports` maps a container port to the real one where they differ."""

    ip: str
    ports: Mapping[int, int] = field(default_factory=dict)

    def port(self, container_port: int) -> int:
        return self.ports.get(container_port, container_port)


@dataclass(frozen=True, slots=True)
class Bound:
    """A pod's address with a listening socket for each of its container ports."""

    address: PodAddress
    sockets: Mapping[int, socket.socket]

    def close(self) -> None:
        for bound in self.sockets.values():
            bound.close()


class PodNetwork:
    """Gives out addresses of `network`, each once until the range is used up."""

    def __init__(self, network: ipaddress.IPv4Network = LOOPBACK) -> None:
        self._network = network
        self._addresses = self._from(os.getpid() * 256 % network.num_addresses)
        self._has_addresses = _can_bind(str(next(self._addresses)))

    def bind(self, ports: Iterable[int]) -> Bound:
        """An address on which all these container ports are free. Raises `OSError` where there is none."""
        wanted = sorted(set(ports))
        if not self._has_addresses:
            return _bind_shared(wanted)
        for _ in range(256):
            ip = str(next(self._addresses))
            try:
                return Bound(PodAddress(ip), _listen(ip, {port: port for port in wanted}))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        raise OSError(errno.EADDRINUSE, f"no address of {self._network} has the ports {wanted} free")

    def rebind(self, address: PodAddress, ports: Iterable[int]) -> Bound:
        """The same address again, for a container that restarts. Raises `OSError` where it was taken."""
        return Bound(address, _listen(address.ip, {port: address.port(port) for port in ports}))

    def _from(self, start: int) -> Iterator[str]:
        """All addresses but the first and the last, beginning in a place that differs from process to process."""
        last = self._network.num_addresses - 2
        while True:
            start = start % last + 1
            yield str(self._network[start])


def _can_bind(ip: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((ip, 0))
        except OSError:
            return False
        return True


def _bind_shared(ports: list[int]) -> Bound:
    sockets = _listen("127.0.0.1", dict.fromkeys(ports, 0))
    real = {port: bound.getsockname()[1] for port, bound in sockets.items()}
    return Bound(PodAddress("127.0.0.1", real), sockets)


def _listen(ip: str, ports: Mapping[int, int]) -> dict[int, socket.socket]:
    sockets: dict[int, socket.socket] = {}
    try:
        for container_port, port in ports.items():
            sockets[container_port] = bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.setblocking(False)
            bound.bind((ip, port))
            bound.listen(BACKLOG)
    except OSError:
        for opened in sockets.values():
            opened.close()
        raise
    return sockets
