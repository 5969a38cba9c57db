"""A web server of the test's own that the controller's webhooks call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from tests.e2e.waiting import until

ADDRESS: Final = "10.244.0.20"
"""One of the pods' network: the controller's pod reaches it."""


@dataclass(slots=True)
class Hooks:
    """What it answers by path (200 where nothing is said), and what it was sent."""

    url: str
    codes: dict[str, int] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def webhook(self, kind: str, path: str = "") -> dict[str, Any]:
        """For `spec.analysis.webhooks`; the path is the type's name where none is given."""
        return {"name": f"the {kind} hook", "type": kind, "url": f"{self.url}/{path or kind}", "timeout": "2s"}

    def payloads(self, path: str) -> list[dict[str, Any]]:
        return [payload for called, payload in self.calls if called == path]

    async def until_called(self, path: str, text: str = "") -> None:
        """Wait for a call whose payload holds the text."""

        async def was_called() -> bool:
            return any(text in str(payload) for payload in self.payloads(path))

        await until(was_called, seconds=10, what=lambda: self.calls)

    async def handle(self, request: web.Request) -> web.Response:
        path = request.path.lstrip("/")
        self.calls.append((path, await request.json()))
        return web.Response(status=self.codes.get(path, 200))


@asynccontextmanager
async def hooks(**codes: int) -> AsyncIterator[Hooks]:
    """Served until the context is left; `codes` by path, with `_` for `-`."""
    application = web.Application()
    runner = web.AppRunner(application, access_log=None)
    found = Hooks("", {path.replace("_", "-"): code for path, code in codes.items()})
    application.router.add_post("/{path:.*}", found.handle)
    await runner.setup()
    site = web.TCPSite(runner, ADDRESS, 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    found.url = f"http://{host}:{port}"
    try:
        yield found
    finally:
        await runner.cleanup()
