"""The command line of `flagger-py load`: that of hey, because the load tester's webhooks are written for it."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from flagger_py.controller import goflag
from flagger_py.controller.goflag import Given, UsageError
from flagger_py.local.traffic import TrafficSettings
from flagger_py.local.workers import Plan

_OPTIONS: Final[dict[str, tuple[goflag.FlagValue, str]]] = {
    "n": (200, "Requests of all workers together. Without effect beside -z."),
    "c": (50, "Workers: each sends its next request when its last one is answered."),
    "q": ("0", "Requests per second of each worker at most; 0: no limit."),
    "z": (timedelta(), "How long to send, as in 10s or 3m."),
    "m": ("GET", "Method."),
    "H": ("", "Header, as in 'Name: value'. May be given several times."),
    "t": (20, "Seconds for one request; 0: no limit."),
    "A": ("", "Header Accept."),
    "d": ("", "Body."),
    "D": ("", "File that holds the body."),
    "T": ("text/html", "Header Content-Type."),
    "U": ("", "Header User-Agent; hey-compatible/flagger-py without it."),
    "a": ("", "User and password for basic authentication, as in user:password."),
    "x": ("", "Proxy, as in host:port."),
    "host": ("", "Header Host."),
    "o": ("", "Form of the output: only the summary is supported."),
    "h2": (False, "Without effect: requests are sent as HTTP/1.1."),
    "disable-compression": (False, "Ask for no compressed answers."),
    "disable-keepalive": (False, "Use each connection once."),
    "disable-redirects": (False, "Do not follow redirects."),
    "cpus": (0, "Without effect."),
}
_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*(.*)", re.DOTALL)
_AGENT: Final = "hey-compatible/flagger-py"


@dataclass(frozen=True, slots=True)
class Load:
    """What to send, how much of it, and what was not understood."""

    settings: TrafficSettings
    plan: Plan
    ignored: tuple[str, ...] = ()
    """Words after the URL, which hey does not read either."""


def read(argv: Sequence[str]) -> Load:
    """Read the words after `hey`. Raises `UsageError` and `HelpRequested`."""
    line = goflag.read(argv, {name: default for name, (default, _) in _OPTIONS.items()})
    if not line.rest:
        raise UsageError("the URL is missing")
    url, *ignored = line.rest
    values: dict[str, Any] = {name: default for name, (default, _) in _OPTIONS.items()} | {flag.name: flag.value for flag in line.flags}
    if values["o"]:
        raise UsageError(f'invalid value "{values["o"]}" for -o: only the summary is supported, which is printed without -o')
    return Load(_settings(_checked(url), values, _headers(values, line.flags)), _plan(values), tuple(ignored))


def usage() -> str:
    lines = ["Usage: flagger-py load [options...] <url>", "The options are those of hey:"]
    for name, (default, text) in _OPTIONS.items():
        hint = f" (default {goflag.show(default)})" if default not in ("", "0", False, 0, timedelta()) else ""
        lines.append(f"  -{name:<20} {text}{hint}")
    return "\n".join(lines) + "\n"


def _plan(values: Mapping[str, Any]) -> Plan:
    requests, workers, lasting = values["n"], values["c"], values["z"].total_seconds()
    try:
        rate = float(values["q"])
    except ValueError:
        raise UsageError(f'invalid value "{values["q"]}" for -q: must be a number') from None
    if workers < 1 or (not lasting and requests < 1):
        raise UsageError(f"-n {requests} -c {workers}: both must be at least 1")
    if not lasting and requests < workers:
        raise UsageError(f"-n {requests} -c {workers}: there must be at least one request for each worker")
    if not 0 <= rate < float("inf") or lasting < 0 or values["t"] < 0:
        raise UsageError("-q, -z and -t must not be negative")
    return Plan(workers, None if lasting else requests, lasting or None, rate)


def _settings(url: str, values: Mapping[str, Any], headers: dict[str, str]) -> TrafficSettings:
    return TrafficSettings(
        url,
        values["host"] or headers.pop("Host", "") or urlsplit(url).netloc.rpartition("@")[2],
        headers=headers,
        in_flight=values["c"],
        timeout=values["t"],
        method=values["m"].upper(),
        body=_body(values),
        keeps_connections=not values["disable-keepalive"],
        follows_redirects=not values["disable-redirects"],
        verify=False,  # as hey: load is often sent past the name that a certificate is for
        proxy=f"http://{values['x']}" if values["x"] else None,
    )


def _headers(values: Mapping[str, Any], given: Sequence[Given]) -> dict[str, str]:
    headers = {"User-Agent": values["U"] or _AGENT, "Content-Type": values["T"]}
    if values["A"]:
        headers["Accept"] = values["A"]
    if values["disable-compression"]:
        headers["Accept-Encoding"] = "identity"
    if values["a"]:
        if ":" not in values["a"]:
            raise UsageError("invalid value for -a: must be user:password")
        headers["Authorization"] = "Basic " + base64.b64encode(values["a"].encode()).decode()
    for flag in given:
        if flag.name == "H":
            name, value = _header(str(flag.value))
            headers[name] = value
    return headers


def _header(text: str) -> tuple[str, str]:
    found = _HEADER.fullmatch(text.strip())
    if found is None or "\n" in text or "\r" in text:
        raise UsageError("invalid value for -H: must be as in 'Name: value', on one line")
    return found[1].title(), found[2]


def _body(values: Mapping[str, Any]) -> bytes | None:
    if not values["D"]:
        return values["d"].encode() or None
    try:
        return Path(values["D"]).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {values['D']} of -D: {error.strerror}") from error


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise UsageError(f"{url!r} is no URL: it must begin with http:// or https:// and a host")
    return url
