"""The app that every image of the embedded cluster runs: it answers with its version, and fails as its environment tells it to.

`GET /` gives `{"version", "pod"}`. `/status/<code>` and `/delay/<seconds>` answer as asked; `/healthz`, `/readyz` and `/metrics`
are what Kubernetes and Prometheus expect, and are never made to fail by `FAULT_ERROR_PERCENT` or `FAULT_LATENCY_MS`.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Histogram, generate_latest

KEEP_ALIVE: Final = 75.0
"""Seconds; longer than Envoy keeps an idle upstream connection, so that Envoy is the one that closes it."""
LONGEST_DELAY: Final = 60.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})


@dataclass(frozen=True, slots=True)
class AppSettings:
    """What the app is told by its image tag, its pod and its environment."""

    version: str
    pod: str = ""
    error_percent: float = 0.0
    """`FAULT_ERROR_PERCENT`: the share of requests answered 500, spread evenly: at 10, every tenth."""
    latency: float = 0.0
    """Seconds added to each answer; `FAULT_LATENCY_MS` in milliseconds."""
    never_ready: bool = False
    """`FAULT_NOT_READY`: `/readyz` always answers 503; `FAULT_NOT_READY_PODS`: only in pods whose name begins so."""
    crash_after: float | None = None
    """`FAULT_CRASH_AFTER_S`: seconds after its start at which it ends with exit code 1."""
    drain: float = 3.0
    """`DRAIN_SECONDS`: how long it goes on answering after it was told to stop, while others learn that it goes."""

    @classmethod
    def of(cls, version: str, pod: str, env: Mapping[str, str]) -> "AppSettings":
        """Raises `ValueError` where a variable is no number."""
        crash = env.get("FAULT_CRASH_AFTER_S", "")
        return cls(
            version,
            pod,
            error_percent=_number(env, "FAULT_ERROR_PERCENT", 0.0),
            latency=_number(env, "FAULT_LATENCY_MS", 0.0) / 1000,
            never_ready=_is_never_ready(pod, env),
            crash_after=_number(env, "FAULT_CRASH_AFTER_S", 0.0) if crash else None,
            drain=_number(env, "DRAIN_SECONDS", 3.0),
        )


def _is_never_ready(pod: str, env: Mapping[str, str]) -> bool:
    prefix = env.get("FAULT_NOT_READY_PODS", "")
    return env.get("FAULT_NOT_READY", "").lower() in ("1", "true", "yes") or (bool(prefix) and pod.startswith(prefix))


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    try:
        value = float(env.get(name) or default)
    except ValueError as error:
        raise ValueError(f"environment {name}={env[name]!r}: not a number") from error
    if value < 0:
        raise ValueError(f"environment {name}={env[name]!r}: must not be negative")
    return value


class DemoApp:
    """One instance of the app. `run` serves on the given sockets until it crashes or has drained."""

    def __init__(self, settings: AppSettings) -> None:
        self.settings = settings
        self._requests = 0
        self._stopping = asyncio.Event()
        self._registry = CollectorRegistry()
        self._durations = Histogram(
            "http_request_duration_seconds", "Time to answer a request.", ["method", "path", "status"], registry=self._registry
        )

    async def run(self, sockets: list[socket.socket]) -> int:
        """Serve until the end; the exit code. Cancelling it closes everything at once, as a kill does."""
        runner = web.AppRunner(self._application(), access_log=None, keepalive_timeout=KEEP_ALIVE, shutdown_timeout=1.0)
        await runner.setup()
        try:
            for bound in sockets:
                await web.SockSite(runner, bound).start()
            return await self._until_end()
        finally:
            await runner.cleanup()

    def terminate(self) -> None:
        """Begin to drain: unready at once, answering for `settings.drain` seconds more."""
        self._stopping.set()

    async def _until_end(self) -> int:
        try:
            async with asyncio.timeout(self.settings.crash_after):
                await self._stopping.wait()
        except TimeoutError:
            return 1
        await asyncio.sleep(self.settings.drain)
        return 0

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._measured])
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_route("*", "/status/{code:[1-5][0-9][0-9]}", self._status)
        application.router.add_route("*", "/delay/{seconds}", self._delay)
        application.router.add_route("*", "/{path:.*}", self._hello)
        return application

    @web.middleware
    async def _measured(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _PROBES:
            return await handler(request)
        started = perf_counter()
        response = await self._with_faults(request, handler)
        path = "/" + request.path.split("/")[1] if request.path.startswith(("/status/", "/delay/")) else "/"
        self._durations.labels(request.method, path, str(response.status)).observe(perf_counter() - started)
        if self._stopping.is_set():
            response.force_close()
        return response

    async def _with_faults(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._requests += 1
        number, percent = self._requests, self.settings.error_percent
        if self.settings.latency:
            await asyncio.sleep(self.settings.latency)
        if number * percent // 100 > (number - 1) * percent // 100:
            return self._answer(500, error="FAULT_ERROR_PERCENT")
        return await handler(request)

    async def _hello(self, request: web.Request) -> web.Response:
        return self._answer(200)

    async def _status(self, request: web.Request) -> web.Response:
        return self._answer(max(200, int(request.match_info["code"])))

    async def _delay(self, request: web.Request) -> web.Response:
        try:
            delay = float(request.match_info["seconds"])
        except ValueError:
            return self._answer(400, error="not a number of seconds")
        if not 0 <= delay <= LONGEST_DELAY:
            return self._answer(400, error=f"seconds must be from 0 to {LONGEST_DELAY:g}")
        await asyncio.sleep(delay)
        return self._answer(200)

    async def _healthz(self, request: web.Request) -> web.Response:
        return self._answer(200)

    async def _readyz(self, request: web.Request) -> web.Response:
        return self._answer(503 if self.settings.never_ready or self._stopping.is_set() else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"content-type": "text/plain; version=0.0.4; charset=utf-8"})

    def _answer(self, status: int, **more: str) -> web.Response:
        return web.json_response({"version": self.settings.version, "pod": self.settings.pod, **more}, status=status)
