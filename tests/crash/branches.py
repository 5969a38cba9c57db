"""Every way in which a play can be interrupted, from one play: at each call the process forks, and the copy goes on with the interruption.

What led up to a call is so played once instead of once per interruption. A failure is looked at without forks: `play` with a `Wire`.
"""

import asyncio
import gc
import os
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.memory.interruption import Interruption, Point, Wire

Choice = Callable[[int, Interruption], bool]
"""Whether this interruption of the call with this number is tried."""


def explore(play: Callable[[Wire], object], choice: Choice) -> "Branches":
    """The play, interrupted at each of its calls in turn, in each way that the choice takes. Raises what is wrong without interruption."""
    branches = Branches(choice=choice)
    branches.play(play)
    return branches


def everything(number: int, interruption: Interruption) -> bool:
    """Each call in each way."""
    return True


def every(step: int) -> Choice:
    """One in `step` of them, spread over calls and interruptions."""
    offsets = {interruption: offset for offset, interruption in enumerate(Interruption)}
    return lambda number, interruption: (number + offsets[interruption]) % step == 0


@dataclass
class Branches(Wire):
    """A wire that branches off a copy of the process for each interruption; in a copy it behaves as a wire with that one interruption."""

    choice: Choice = everything
    failures: list[str] = field(default_factory=list)
    tried: Counter[Interruption] = field(default_factory=Counter)
    _report_to: int | None = None
    """In a copy: where the parent reads how it ended."""

    def pass_by(self, point: Point) -> Interruption | None:
        if not self.is_counting:
            return None
        number = len(self.points)
        self.points.append(point)
        if self._report_to is not None:
            return None
        for interruption in Interruption:
            if point.can_be(interruption) and self.choice(number, interruption):
                self.tried[interruption] += 1
                if self._branch(f"call {number} ({point.call}) {interruption}"):
                    return interruption
        return None

    def play(self, play: Callable[[Wire], object]) -> None:
        """Play with all branches. Raises what is wrong with the undisturbed play; `failures` has the rest."""
        gc.collect()
        gc.freeze()  # the collector of a copy would touch, and so copy, all memory
        try:
            play(self)
        except BaseException as error:
            if self._report_to is None:
                raise
            self._end(_told(error))
        finally:
            gc.unfreeze()
        if self._report_to is not None:
            self._end("")

    def _branch(self, title: str) -> bool:
        """Whether this is the copy. The parent waits for it, so that as many run at once as there are workers."""
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()
        if child := os.fork():
            os.close(writing)
            self._wait_for(child, reading, title)
            return False
        os.close(reading)
        self._report_to = writing
        asyncio._set_running_loop(loop)  # it is remembered together with the process id
        return True

    def _wait_for(self, child: int, reading: int, title: str) -> None:
        try:
            with os.fdopen(reading, "rb") as report:
                told = report.read().decode()
        except BaseException:  # the time-out of the test
            os.kill(child, 9)
            raise
        finally:
            _, code = os.waitpid(child, 0)
        if told or code:
            self.failures.append(f"{title}:\n{told or f'the copy died: {code}'}")

    def _end(self, told: str) -> None:
        assert self._report_to is not None
        try:
            os.write(self._report_to, told.encode()[:60_000])
        finally:
            sys.stderr.flush()
            os._exit(0)


def _told(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"
