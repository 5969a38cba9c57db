"""Which proxy the environment names for a URL, read as Go programs do (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`; PRV-03).

Python's own reading (`urllib.request`) knows no CIDR in `NO_PROXY`, which is what clusters put there.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from flagger_py.http.addresses import HostSet

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class NoProxy:
    """One entry of `NO_PROXY`: a name and what is below it, an address or a CIDR, with an optional port."""

    hosts: HostSet
    port: int | None = None

    @classmethod
    def parse(cls, entry: str) -> "NoProxy | None":
        """`None` for an entry that cannot be read: it is ignored, as everywhere."""
        host, port = _split_port(entry)
        names = [host] if host.startswith((".", "*.")) or _is_address(host) else [host, f".{host}"]
        try:
            return cls(HostSet.parse(names), port)
        except ValueError:
            return None

    def covers(self, host: str, port: int) -> bool:
        if self.port is not None and self.port != port:
            return False
        if _is_address(host):
            return self.hosts.has_address(ipaddress.ip_address(host))
        return self.hosts.has_name(host)


@dataclass(frozen=True, slots=True)
class EnvironmentProxies:
    """The proxies of the environment. Loopback addresses and `localhost` are never proxied."""

    by_scheme: Mapping[str, str]
    bypass_all: bool
    bypass: tuple[NoProxy, ...]

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "EnvironmentProxies":
        """Upper case comes first, as in Go. A proxy without a scheme is an HTTP proxy."""
        found = {scheme: environ.get(f"{scheme.upper()}_PROXY") or environ.get(f"{scheme}_proxy", "") for scheme in _DEFAULT_PORTS}
        by_scheme = {scheme: proxy if "://" in proxy else f"http://{proxy}" for scheme, proxy in found.items() if proxy}
        entries = [entry.strip() for entry in (environ.get("NO_PROXY") or environ.get("no_proxy", "")).split(",") if entry.strip()]
        parsed = (NoProxy.parse(entry) for entry in entries)
        return cls(by_scheme, "*" in entries, tuple(entry for entry in parsed if entry))

    def proxy_for(self, scheme: str, host: str, port: int | None) -> str:
        """The proxy's URL, or empty for a direct connection."""
        proxy = self.by_scheme.get(scheme, "")
        if not proxy or self.bypass_all or _is_loopback(host):
            return ""
        number = port or _DEFAULT_PORTS[scheme]
        return "" if any(entry.covers(host, number) for entry in self.bypass) else proxy


def _split_port(entry: str) -> tuple[str, int | None]:
    if _is_address(entry) or "/" in entry:
        return entry, None
    host, colon, port = entry.rpartition(":")
    return (host.strip("[]"), int(port)) if colon and port.isdecimal() else (entry, None)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_network(host, strict=False)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
