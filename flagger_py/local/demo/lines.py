"""The demo without a terminal: a line for each thing that changed."""

from collections.abc import Callable

from flagger_py.local.demo.scene import Scene
from flagger_py.local.demo.screen import percent


class Lines:
    """Prints what is new in a scene: act, phase or weight, events, checks."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._state: tuple[str, str, int] = ("", "", -1)
        self._events = 0
        self._checks: object = ()

    def __call__(self, scene: Scene) -> None:
        for event in scene.events[self._events :]:
            self._line(scene, f"event    {event}")
        self._events = max(self._events, len(scene.events))
        if scene.checks != self._checks:
            self._checks = scene.checks
            for check in scene.checks:
                value = "-" if check.value is None else f"{check.value:.2f}"
                self._line(scene, f"check    {check.name} {value} (bound {check.bound}): {check.result}")
        state = (scene.act, scene.phase, scene.asked)
        if state != self._state:
            if scene.act != self._state[0]:
                self._line(scene, f"--- {scene.act}")
            self._state = state
            measured = "-" if scene.measured is None else f"{scene.measured:.1f} %"
            numbers = (
                f"weight asked {scene.asked} %, measured {measured}, success {percent(scene.success_rate)}, {scene.rate:.0f} requests/s"
            )
            self._line(scene, f"{scene.phase:<12} {numbers}")

    def _line(self, scene: Scene, text: str) -> None:
        self._write(f"{scene.elapsed:6.1f} s  {text}")
