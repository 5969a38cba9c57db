"""The part of Prometheus' HTTP API that Flagger's checks and people with a browser need."""

import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from time import time
from types import TracebackType
from typing import Any, Final

import orjson
import structlog
from aiohttp import web

from flagger_py.local.promql.errors import BadQuery, ExecutionError
from flagger_py.local.promql.evaluate import evaluate
from flagger_py.local.promql.scrape import Scraper, TargetState
from flagger_py.local.promql.store import SampleStore
from flagger_py.local.promql.values import data_of

_MAX_QUERY: Final = 64 * 1024

log = structlog.get_logger(__name__)


class PrometheusServer:
    """Serves a store on loopback while its context is open: `/api/v1/query`, `/api/v1/targets`, `/-/ready`, `/-/healthy`."""

    def __init__(
        self, store: SampleStore, scraper: Scraper | None = None, *, host: str = "127.0.0.1", port: int = 0, now: Callable[[], float] = time
    ) -> None:
        self._store = store
        self._scraper = scraper
        self._address = (host, port)
        self._now = now
        application = web.Application(client_max_size=_MAX_QUERY)
        application.router.add_route("*", "/api/v1/query", self._query)
        application.router.add_get("/api/v1/targets", self._targets)
        for path in ("/-/ready", "/-/healthy"):
            application.router.add_get(path, _ready)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    @property
    def url(self) -> str:
        """Where it listens, once its context is open."""
        host, port = self._address
        return f"http://{host}:{port}"

    async def __aenter__(self) -> "PrometheusServer":
        await self._runner.setup()
        host, port = self._address
        bound = socket.create_server((host, port))
        self._address = (host, bound.getsockname()[1])
        await web.SockSite(self._runner, bound).start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._runner.cleanup()

    async def _query(self, request: web.Request) -> web.Response:
        if request.method not in {"GET", "POST"}:
            raise web.HTTPMethodNotAllowed(request.method, ["GET", "POST"])
        form: Mapping[str, Any] = await request.post() if request.method == "POST" else {}
        parameters = {**request.query, **{name: str(value) for name, value in form.items()}}
        try:
            time_ms = _time_ms(parameters.get("time", ""), self._now())
            data = data_of(evaluate(parameters.get("query", ""), self._store, time_ms), time_ms)
        except BadQuery as error:
            return _error(400, "bad_data", str(error))
        except ExecutionError as error:
            return _error(422, "execution", str(error))
        return _json(200, {"status": "success", "data": data})

    async def _targets(self, _: web.Request) -> web.Response:
        states = self._scraper.states.values() if self._scraper else ()
        active = [_target(state) for state in states]
        return _json(200, {"status": "success", "data": {"activeTargets": active, "droppedTargets": [], "droppedTargetCounts": {}}})


async def _ready(_: web.Request) -> web.Response:
    return web.Response(text="Prometheus Server is Ready.\n")


def _time_ms(text: str, now: float) -> int:
    """Seconds since 1970 or RFC 3339; now where there is none. Raises `BadQuery`."""
    if not text:
        return round(now * 1000)
    try:
        return round(float(text) * 1000)
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadQuery(f'invalid parameter "time": cannot parse {text!r} to a valid timestamp') from error
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _target(state: TargetState) -> Mapping[str, Any]:
    scraped = datetime.fromtimestamp(state.last_scrape, UTC).isoformat() if state.last_scrape else "0001-01-01T00:00:00Z"
    return {
        "labels": dict(state.target.labels),
        "scrapePool": state.target.labels.get("job", ""),
        "scrapeUrl": state.target.url,
        "lastError": state.error,
        "lastScrape": scraped,
        "health": ("up" if state.is_up else "down") if state.last_scrape else "unknown",
        "scrapeInterval": f"{state.target.interval:g}s",
    }


def _error(status: int, kind: str, message: str) -> web.Response:
    return _json(status, {"status": "error", "errorType": kind, "error": message})


def _json(status: int, content: Mapping[str, Any]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(content), content_type="application/json")
