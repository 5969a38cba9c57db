"""Our CRD comes first: whether the installed Canary definition keeps `status.rollout` (design §5)."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from flagger_py.kube.client import Client
from flagger_py.kube.schema_check import CanarySchema, read_canary_schema
from flagger_py.objects.errors import ApiError

RECHECK_SECONDS: Final = 5.0
"""While it is not ours; the published schema lags a few seconds behind a change."""

log = structlog.get_logger(__name__)


class CrdCheck:
    """Looks at the schema at start, whenever the server ends a Canary watch, and again and again while it is not ours."""

    def __init__(self, client: Client) -> None:
        self.problem = "the Canary CustomResourceDefinition has not been looked at yet"
        self.looked = asyncio.Event()
        """Set once the schema has been read: no Canary is judged by a guess."""
        self._client = client
        self._again = asyncio.Event()

    def look_again(self) -> None:
        """The definition may have changed."""
        self._again.set()

    async def follow(self, on_change: Callable[[], None]) -> None:
        """Keep `problem` true; `on_change` is called when it is another one."""
        while True:
            self._again.clear()
            before = self.problem
            await self._look()
            if self.problem != before:
                log.info("crd_looked_at", problem=self.problem)
                on_change()
            await self._wait()

    async def _look(self) -> None:
        try:
            schema = await read_canary_schema(self._client)
        except ApiError as error:
            log.warning("crd_not_read", reason=error.message)
            return
        self.looked.set()
        if schema is CanarySchema.KEEPS_ROLLOUT:
            self.problem = ""
        else:
            self.problem = f"{schema.value}; apply deploy/crds/canaries.flagger.app.yaml of this release (`flagger-py crds`)"

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(RECHECK_SECONDS if self.problem else None):
                await self._again.wait()
                await asyncio.sleep(1)  # let the server publish what it has changed
        except TimeoutError:
            return
