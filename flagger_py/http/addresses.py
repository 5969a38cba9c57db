"""Which hosts and addresses a URL from an object may lead to (design §10). Pure: resolving is done by the transport."""

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from flagger_py.http.client import Denied

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

CLOUD_METADATA: tuple[str, ...] = (
    "169.254.169.254",  # AWS, Google, Azure, OpenStack, DigitalOcean
    "169.254.170.2",  # AWS: credentials of an ECS task
    "169.254.170.23",  # AWS: credentials of an EKS pod
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd20:ce::254",  # Google over IPv6
    "100.100.100.200",  # Alibaba
    "192.0.0.192",  # Oracle
    "168.63.129.16",  # Azure: the host's own agent
    "64:ff9b::a9fe:a9fe",  # 169.254.169.254 through NAT64
    "metadata.google.internal",
    "metadata.goog",
)
"""Services that hand the node's credentials to whoever asks: denied unless another list is given."""


@dataclass(frozen=True, slots=True)
class HostSet:
    """Host names and networks. `.example.com` and `*.example.com` mean every name below it, `example.com` that name alone."""

    names: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> "HostSet":
        """Read host names, addresses and CIDRs. Raises `ValueError` for what is none of them."""
        names, suffixes, networks = set(), [], []
        for entry in (entry.strip() for entry in entries):
            if not entry:
                continue
            if network := _network(entry):
                networks.append(network)
            elif "/" in entry or ":" in entry or " " in entry:
                raise ValueError(f"{entry!r} is no host name, address or CIDR (as in example.com, .example.com, 10.0.0.1, 10.0.0.0/8)")
            elif entry.startswith((".", "*.")):
                suffixes.append(_normal(entry.removeprefix("*")))
            else:
                names.add(_normal(entry))
        return cls(frozenset(names), tuple(suffixes), tuple(networks))

    def __bool__(self) -> bool:
        return bool(self.names or self.suffixes or self.networks)

    def has_name(self, host: str) -> bool:
        name = _normal(host)
        return name in self.names or name.endswith(self.suffixes)

    def has_address(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class AddressRules:
    """A deny list that always wins, and an allow list that, where it is not empty, everything else must be on."""

    denied: HostSet
    allowed: HostSet = HostSet()

    @classmethod
    def parse(cls, deny: Iterable[str] = CLOUD_METADATA, allow: Iterable[str] = ()) -> "AddressRules":
        """From the values of the flags. Raises `ValueError` naming the entry that is wrong."""
        return cls(HostSet.parse(deny), HostSet.parse(allow))

    def check(self, host: str, addresses: Sequence[Address]) -> None:
        """Return if `host`, which resolves to `addresses`, may be asked. Raises `Denied`.

        One denied address denies the host: which of them is connected to is not ours to choose. Without addresses (a proxy
        resolves the name) a host is judged by its name alone.
        """
        addresses = [plain(address) for address in addresses] or _literal(host)
        if self.denied.has_name(host) or any(map(self.denied.has_address, addresses)):
            raise Denied(f"{host}: the address is on the deny list")
        if self.allowed and not self._is_allowed(host, addresses):
            raise Denied(f"{host}: the address is not on the allow list")

    def _is_allowed(self, host: str, addresses: Sequence[Address]) -> bool:
        return self.allowed.has_name(host) or (bool(addresses) and all(map(self.allowed.has_address, addresses)))


def plain(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that only wraps it."""
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _literal(host: str) -> list[Address]:
    """The address that a host spells out, in the odd forms too that system resolvers take (`2852039166`, `0xa9fea9fe`)."""
    try:
        return [plain(ipaddress.ip_address(host.strip("[]")))]
    except ValueError:
        pass
    try:
        return [ipaddress.IPv4Address(socket.inet_aton(host))]
    except (OSError, ValueError):
        return []


def _network(entry: str) -> Network | None:
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None


def _normal(host: str) -> str:
    return host.lower().rstrip(".")
