"""What people have been told of one Canary: a pass repeats what still holds, and the log and the hooks should not."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from flagger_py.rollout.notices import Notice

REMEMBERED: Final = 128
"""Happenings; a run of many steps has fewer that can still be repeated."""


class Told:
    """Remembers the latest happenings by key and text. Forgotten with the process: the Events' derived names guard against repeats then.

    Only their hashes are kept, a tenth of the size.
    """

    def __init__(self) -> None:
        self._told: OrderedDict[int, None] = OrderedDict()

    def news(self, notices: Iterable[Notice]) -> tuple[Notice, ...]:
        """Those that have not been told yet; they count as told from now on."""
        return tuple(notice for notice in notices if self._is_news(notice))

    def _is_news(self, notice: Notice) -> bool:
        happening = hash((notice.key, notice.message))
        is_known = happening in self._told
        self._told[happening] = None
        self._told.move_to_end(happening)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        return not is_known
