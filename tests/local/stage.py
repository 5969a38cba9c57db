"""Plays: scenarios that run side by side on one site, each with a test of its own.

A rollout mostly waits. Played one after the other they would take minutes; together they take as long as the longest.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.local.site import Site

Play = Callable[..., Awaitable[None]]
Scenery = Callable[[Path], AbstractAsyncContextManager[Site]]
PLAY: Final = "_play"
SCENERY: Final = "_scenery"
TEST_LIMIT: Final = 150
"""Seconds: the first test of a stage waits for the cluster and all that is played beside it."""


def on_stage(scenery: Scenery) -> Callable[[Play], Callable[..., Awaitable[None]]]:
    """Make a test of a play: all plays of a file with the same scenery run at once on one site, and each test waits for its own."""

    def decorate(play: Play) -> Callable[..., Awaitable[None]]:
        async def test(stages: "Stages", request: pytest.FixtureRequest, **_: Any) -> None:
            await stages.outcome(request.node)

        signature = inspect.signature(play)
        own = [parameter for name, parameter in signature.parameters.items() if name != "site"]
        needed = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("stages", "request")]
        named = {"__signature__": signature.replace(parameters=[*needed, *own]), "__name__": play.__name__, "__doc__": play.__doc__}
        for name, value in {**named, "__module__": play.__module__, PLAY: play, SCENERY: scenery}.items():
            setattr(test, name, value)
        marks = (pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(TEST_LIMIT), pytest.mark.local)
        for mark in marks:
            test = mark(test)
        return test

    return decorate


Place = tuple[Path, Scenery]
"""A file's use of a scenery: one stage."""


def place_of(item: pytest.Item) -> Place | None:
    """Where this test is played; `None` for an ordinary one."""
    scenery: Scenery | None = getattr(getattr(item, "obj", None), SCENERY, None)
    return (item.path, scenery) if scenery else None


class Stages:
    """Sets up each scenery when the first of its tests asks for it, and takes it down after the last."""

    def __init__(self, items: list[pytest.Item], folder: Callable[[], Path]) -> None:
        self._items = items
        self._folder = folder
        self._stages: dict[Place, Stage] = {}

    async def outcome(self, item: pytest.Item) -> None:
        """Return once this test's play has ended well; raises what it raised."""
        place = place_of(item)
        assert place is not None
        if place not in self._stages:
            plays = {other.nodeid: _bound(other) for other in self._items if place_of(other) == place}
            self._stages[place] = Stage(place[1](self._folder()), plays)
        await self._stages[place].outcome(item.nodeid)

    async def close(self) -> None:
        for stage in self._stages.values():
            await stage.close()


class Stage:
    """One site and its plays, in a task of its own: a fixture is set up and torn down in two, which no task group can span."""

    def __init__(self, scenery: AbstractAsyncContextManager[Site], plays: Mapping[str, Callable[[Site], Awaitable[None]]]) -> None:
        self._scenery = scenery
        self._plays = plays
        self._outcomes = {name: asyncio.get_running_loop().create_future() for name in plays}
        self._left = set(plays)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="stage")

    async def outcome(self, name: str) -> None:
        try:
            await asyncio.wait({self._outcomes[name], self._task}, return_when=asyncio.FIRST_COMPLETED)
            if not self._outcomes[name].done():
                await self._task  # it could not be set up, or broke: that is what every test of it says
            await self._outcomes[name]
        finally:
            self._left.discard(name)
            if not self._left:
                await self.close()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        async with self._scenery as site, asyncio.TaskGroup() as group:
            for name, play in self._plays.items():
                group.create_task(self._perform(name, play, site), name=name)
            await asyncio.Event().wait()

    async def _perform(self, name: str, play: Callable[[Site], Awaitable[None]], site: Site) -> None:
        try:
            await play(site)
        except Exception as error:  # it belongs to this play's test, not to the others
            self._outcomes[name].set_exception(_single(error))
        else:
            self._outcomes[name].set_result(None)


def _single(error: Exception) -> Exception:
    """The one error in nested groups, which says more at the top of a report."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _bound(item: pytest.Item) -> Callable[[Site], Awaitable[None]]:
    assert isinstance(item, pytest.Function)
    play: Play = getattr(item.obj, PLAY)
    parameters = dict(item.callspec.params) if hasattr(item, "callspec") else {}
    return lambda site: play(site, **parameters)
