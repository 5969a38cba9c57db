"""The watch as a table: state and input, next state and what follows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flagger_py.kube.client import Page, WatchEvent
from flagger_py.kube.watch_state import (
    Change,
    Ended,
    Failed,
    Following,
    Input,
    ListBegun,
    ListComplete,
    Listing,
    Opened,
    Pause,
    Removed,
    State,
    Step,
    Upserted,
    step,
)
from flagger_py.objects.errors import ApiError, Conflict, Forbidden, Gone, Invalid, NotServed, ServerError, Unreachable

A = {"metadata": {"name": "a", "resourceVersion": "7"}}
EXPIRED: dict[str, Any] = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
UNREACHABLE, GONE, FORBIDDEN, NOT_SERVED = Unreachable("cut"), Gone("old"), Forbidden("no"), NotServed("no")
FOLLOWING = Following("5")


@pytest.mark.parametrize(
    ("state", "given_input", "expected"),
    [
        pytest.param(Listing(), Page([A], "9", is_last=False), Step(Listing(begun=True), (ListBegun(), Upserted(A))), id="first page"),
        pytest.param(Listing(begun=True), Page([A], "9", is_last=False), Step(Listing(begun=True), (Upserted(A),)), id="next page"),
        pytest.param(Listing(begun=True), Page([A], "9", is_last=True), Step(Following("9"), (Upserted(A), ListComplete())), id="last"),
        pytest.param(Listing(), Page([], "9", is_last=True), Step(Following("9"), (ListBegun(), ListComplete())), id="an empty list"),
        pytest.param(
            Listing(begun=True), Failed(UNREACHABLE), Step(Listing(), pause=Pause.BACK_OFF, error=UNREACHABLE), id="list breaks off"
        ),
        pytest.param(Listing(), Failed(FORBIDDEN), Step(Listing(), pause=Pause.UNAVAILABLE, error=FORBIDDEN), id="no right to list"),
        pytest.param(FOLLOWING, Opened(), Step(FOLLOWING), id="opened"),
        pytest.param(FOLLOWING, WatchEvent("ADDED", A), Step(Following("7"), (Upserted(A),)), id="added"),
        pytest.param(FOLLOWING, WatchEvent("MODIFIED", A), Step(Following("7"), (Upserted(A),)), id="modified"),
        pytest.param(FOLLOWING, WatchEvent("DELETED", A), Step(Following("7"), (Removed(A),)), id="deleted"),
        pytest.param(FOLLOWING, WatchEvent("BOOKMARK", A), Step(Following("7")), id="a bookmark moves on without a change"),
        pytest.param(FOLLOWING, Ended(early=False), Step(FOLLOWING), id="the server's time-out: resume at once"),
        pytest.param(FOLLOWING, Ended(early=True), Step(FOLLOWING, pause=Pause.BACK_OFF), id="ended early: resume after a pause"),
        pytest.param(
            FOLLOWING, Failed(UNREACHABLE), Step(FOLLOWING, pause=Pause.BACK_OFF, error=UNREACHABLE), id="a broken stream is resumed"
        ),
        pytest.param(FOLLOWING, Failed(GONE), Step(Listing(), pause=Pause.BACK_OFF, error=GONE), id="410: list again"),
        pytest.param(
            FOLLOWING, Failed(NOT_SERVED), Step(Listing(), pause=Pause.UNAVAILABLE, error=NOT_SERVED), id="the definition is gone"
        ),
        pytest.param(FOLLOWING, Failed(FORBIDDEN), Step(Listing(), pause=Pause.UNAVAILABLE, error=FORBIDDEN), id="the right is gone"),
    ],
)
def test_step(state: State, given_input: Input, expected: Step) -> None:
    assert step(state, given_input) == expected


def test_an_error_in_the_stream_lists_again() -> None:
    taken = step(FOLLOWING, WatchEvent("ERROR", EXPIRED))
    assert (taken.state, taken.pause, type(taken.error)) == (Listing(), Pause.BACK_OFF, Gone)


ERRORS = st.sampled_from([UNREACHABLE, GONE, FORBIDDEN, NOT_SERVED, ServerError("x"), Invalid("x"), Conflict("x"), ApiError("x")])
INPUTS = st.one_of(
    st.builds(Page, st.just([A]), st.just("9"), is_last=st.booleans()),
    st.builds(WatchEvent, st.sampled_from(["ADDED", "DELETED", "BOOKMARK", "NEW"]), st.just(A)),
    st.just(WatchEvent("ERROR", EXPIRED)),
    st.just(Opened()),
    st.builds(Ended, st.booleans()),
    st.builds(Failed, ERRORS),
)


@given(st.lists(INPUTS, max_size=20))
def test_lists_are_whole_and_errors_never_pass_without_a_pause(inputs: list[Input]) -> None:
    """Whatever a server does: a list is complete only after it has begun, and after an error comes a pause."""
    state: State = Listing()
    changes: list[Change] = []
    for each in inputs:
        taken = step(state, each)
        state = taken.state
        changes += taken.changes
        assert (taken.error is None) or (taken.pause is not Pause.NONE)
    is_open = False
    for change in changes:
        assert is_open or not isinstance(change, ListComplete)
        is_open = isinstance(change, ListBegun) or (is_open and not isinstance(change, ListComplete))
