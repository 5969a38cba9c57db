"""The demo without a terminal: a line for each thing that changed."""

from collections.abc import Callable

from flagger_py.local.demo.scene import Scene
from flagger_py.local.demo.screen import number, percent


class Lines:
    """Prints what is new in a scene: act, phase or weight, events, checks."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._state: tuple[str, str, int] = ("", "", -1)
        self._measured: float | None = None
        """Of the present weight, as last seen."""
        self._events = 0
        self._checks: object = ()

    def __call__(self, scene: Scene) -> None:
        self._tell_state(scene)
        self._tell_checks(scene)
        for event in scene.events[self._events :]:
            self._line(scene, f"event    {event}")
        self._events = max(self._events, len(scene.events))

    def _tell_state(self, scene: Scene) -> None:
        act, _, asked = self._state
        if scene.act != act:
            self._line(scene, f"--- {scene.act}")
        if scene.asked != asked and self._measured is not None:
            self._line(scene, f"measured {self._measured:.1f} % of the answers while the weight was {asked} %")
        if (scene.phase, scene.asked) != self._state[1:]:
            traffic = f"success {percent(scene.success_rate)}, {scene.rate:.0f} requests/s"
            self._line(scene, f"{scene.phase:<12} weight {scene.asked} %, {traffic}")
        self._state = (scene.act, scene.phase, scene.asked)
        self._measured = scene.measured

    def _tell_checks(self, scene: Scene) -> None:
        if scene.checks == self._checks:
            return
        self._checks = scene.checks
        for check in scene.checks:
            self._line(scene, f"check    {check.name} {number(check.value)} (bound {check.bound}): {check.result}")

    def _line(self, scene: Scene, text: str) -> None:
        self._write(f"{scene.elapsed:6.1f} s  {text}")
