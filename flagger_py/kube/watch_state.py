"""The watch as a state machine: list, follow from there, resume after a break, list again after 410. Pure: no I/O, no clock.

Listing ──last page──▶ Following ──event, bookmark──▶ Following (newer)
   ▲                        │
   └── 410, ERROR, 403, 404 ┘        a stream that ends or breaks stays Following: it is resumed
"""

from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from flagger_py.kube.client import Page, WatchEvent
from flagger_py.objects.errors import ApiError, Forbidden, Gone, Invalid, NotFound, NotServed
from flagger_py.objects.resource import Manifest
from flagger_py.objects.status_errors import error_from_status


@dataclass(frozen=True, slots=True)
class Listing:
    """Nothing is known for sure. `begun` once a first page has arrived."""

    begun: bool = False


@dataclass(frozen=True, slots=True)
class Following:
    """Everything up to `resource_version` is known."""

    resource_version: str


State = Listing | Following


@dataclass(frozen=True, slots=True)
class Opened:
    """The server has accepted the watch."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The server ended the stream in good order. `early`: before its time-out, as when the resource's definition changes."""

    early: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """A list or a watch could not be opened, broke off, or was silent for too long."""

    error: ApiError


Input = Page | WatchEvent | Opened | Ended | Failed


@dataclass(frozen=True, slots=True)
class ListBegun:
    """What follows, until `ListComplete`, is everything that exists."""


@dataclass(frozen=True, slots=True)
class ListComplete:
    """What did not come since `ListBegun` does not exist."""


@dataclass(frozen=True, slots=True)
class Upserted:
    """An object as it stands in a list, or after a change."""

    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Removed:
    """An object as it was when it was deleted."""

    manifest: Manifest


Change = ListBegun | ListComplete | Upserted | Removed


class Pause(Enum):
    """What to do before going on."""

    NONE = "go on at once"
    BACK_OFF = "back off"
    UNAVAILABLE = "back off for longer: a right or a definition is missing"


@dataclass(frozen=True, slots=True)
class Step:
    """The next state, what it means for a store, how long to wait, and what went wrong."""

    state: State
    changes: tuple[Change, ...] = ()
    pause: Pause = Pause.NONE
    error: ApiError | None = None


def is_unavailable(error: ApiError | None) -> bool:
    """Whether the kind as a whole cannot be watched, rather than not at the moment."""
    return isinstance(error, Forbidden | NotServed)


def step(state: State, given: Input) -> Step:
    """Take in what the server did. Total: any input in any state has an answer."""
    match given:
        case Page():
            return _page(state, given)
        case WatchEvent():
            return _event(state, given)
        case Opened():
            return Step(state)
        case Ended(early):
            return Step(state, pause=Pause.BACK_OFF if early else Pause.NONE)
        case Failed(error):
            return _failure(state, error)
        case _:
            assert_never(given)


def _page(state: State, page: Page) -> Step:
    begun = isinstance(state, Listing) and state.begun
    begin: tuple[Change, ...] = () if begun else (ListBegun(),)
    upserts = tuple(Upserted(item) for item in page.items)
    if page.is_last:
        return Step(Following(page.resource_version), (*begin, *upserts, ListComplete()))
    return Step(Listing(begun=True), (*begin, *upserts))


def _event(state: State, event: WatchEvent) -> Step:
    if event.type == "ERROR":
        # Not only 410: whatever the server could not tell us is found by a new list.
        return Step(Listing(), pause=Pause.BACK_OFF, error=error_from_status(event.object, subject="watch"))
    if isinstance(state, Listing):
        return Step(state)
    following = Following((event.object.get("metadata") or {}).get("resourceVersion") or state.resource_version)
    match event.type:
        case "ADDED" | "MODIFIED":
            return Step(following, (Upserted(event.object),))
        case "DELETED":
            return Step(following, (Removed(event.object),))
        case _:  # BOOKMARK, and types that later servers may add
            return Step(following)


def _failure(state: State, error: ApiError) -> Step:
    if is_unavailable(error):
        return Step(Listing(), pause=Pause.UNAVAILABLE, error=error)
    if isinstance(state, Listing) or isinstance(error, Gone | Invalid | NotFound):
        return Step(Listing(), pause=Pause.BACK_OFF, error=error)
    return Step(state, pause=Pause.BACK_OFF, error=error)
