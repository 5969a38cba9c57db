"""The paths of the load tester, as Flagger's has them (metrics:LT-10 to LT-21). Any method is taken."""

import asyncio
import html
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote

import structlog

from flagger_py.http.server.messages import Request, Response
from flagger_py.loadtester.figures import Figures
from flagger_py.loadtester.gates import Gates
from flagger_py.loadtester.payload import BadPayload, Payload, parse
from flagger_py.loadtester.runner import QueueFull, Runner
from flagger_py.loadtester.tasks import BadTask, Task, task_of

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
APPROVED: Final = Response.text("Approved")
ACCEPTED: Final = Response(202)
FORBIDDEN: Final = Response.text("Forbidden", 403)
ROLLBACK: Final = "rollback."

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Answers requests. Nothing about them is authenticated: the namespace is what the client says it is (metrics:LT-12)."""

    runner: Runner
    figures: Figures
    namespaces: re.Pattern[str] | None = None
    """Payloads have to name a namespace in which this is found; `None`: any."""
    gates: Gates = field(default_factory=Gates)

    async def __call__(self, request: Request) -> Response:
        path = unquote(request.path, errors="replace")
        if (canonical := _canonical(path)) != path and request.method != "CONNECT":
            return _moved(canonical, request)
        match path:
            case "/healthz" | "/gate/approve":
                return Response.text("OK")
            case "/gate/halt":
                return FORBIDDEN
            case "/metrics":
                return Response(body=await asyncio.to_thread(self.figures.render), content_type=METRICS_TYPE)
        try:
            payload = parse(request.body)
        except BadPayload as error:
            log.warning("payload_refused", path=path, peer=request.peer, problem=str(error))
            return Response(400)
        if self.namespaces and not self.namespaces.search(payload.namespace):
            log.warning("namespace_refused", path=path, canary=payload.canary, allowed=self.namespaces.pattern)
            return FORBIDDEN
        if change := self._gate(path):
            return change(payload)
        return await self._task(payload)

    def _gate(self, path: str) -> Callable[[Payload], Response] | None:
        """What a path does to a gate; `None` where it is none of a gate, which makes it one of tasks."""
        match path.split("/"):
            case ["", ("gate" | "rollback") as kind, "check"]:
                return lambda payload: APPROVED if self.gates.is_open(_gate_name(kind, payload)) else FORBIDDEN
            case ["", ("gate" | "rollback") as kind, ("open" | "close") as verb]:
                return lambda payload: self._move(_gate_name(kind, payload), verb)
        return None

    def _move(self, gate: str, verb: str) -> Response:
        (self.gates.open if verb == "open" else self.gates.close)(gate)
        log.info("gate_opened" if verb == "open" else "gate_closed", gate=gate)
        return ACCEPTED

    async def _task(self, payload: Payload) -> Response:
        try:
            task = task_of(payload)
        except BadTask as error:
            log.warning("task_refused", canary=payload.canary, problem=str(error))
            return Response.text(str(error), 400)
        return await self._finished(task) if task.waits else self._queued(task)

    async def _finished(self, task: Task) -> Response:
        outcome = await self.runner.wait_for(task)
        if outcome.has_failed:
            return Response.text(f"command {task.command} failed: {outcome.output}: {outcome.cause}", 500)
        return Response.text(outcome.output if task.returns_output else "")

    def _queued(self, task: Task) -> Response:
        try:
            self.runner.submit(task)
        except QueueFull as error:
            log.warning("task_refused", canary=task.canary, problem=str(error))
            return Response.text(str(error), 503)
        return ACCEPTED


def _gate_name(kind: str, payload: Payload) -> str:
    return payload.canary if kind == "gate" else f"{ROLLBACK}{payload.canary}"


def _canonical(path: str) -> str:
    """Without `.`, `..` and doubled slashes; a slash at the end stays."""
    cleaned = "/" + posixpath.normpath(f"/{path}").lstrip("/")
    return cleaned + "/" if path.endswith("/") and cleaned != "/" else cleaned


def _moved(path: str, request: Request) -> Response:
    target = quote(path) + (f"?{request.query}" if request.query else "")
    body = f'<a href="{html.escape(target)}">Moved Permanently</a>.\n\n' if request.method == "GET" else ""
    return Response(301, body.encode(), "text/html; charset=utf-8", (("location", target),))
