"""Random scripts of what people do and what goes wrong, on the real controller: whatever happens, the properties of design §3 hold."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flagger_py.api.commands import Verb
from tests.crash.actions import (
    Become,
    Command,
    Configure,
    DeletePrimary,
    EditRoute,
    EditScaler,
    EditSpec,
    Interrupt,
    PauseScaler,
    Release,
    Scale,
)
from tests.crash.model import Step, play
from tests.crash.settings import SETTINGS
from tests.memory.interruption import Interruption

IMAGES = st.sampled_from(["web:1", "web:2", "web:3"])
ACTIONS = st.one_of(
    st.builds(Release, IMAGES),
    st.builds(Release, IMAGES),
    st.builds(Interrupt, st.sampled_from(Interruption), st.integers(0, 12)),
    st.builds(Interrupt, st.sampled_from(Interruption), st.integers(0, 12)),
    st.builds(Configure, st.sampled_from(["blue", "green"])),
    st.builds(EditRoute, st.integers(0, 100)),
    st.one_of(
        st.builds(EditSpec, st.just("threshold"), st.integers(1, 2)),
        st.builds(EditSpec, st.just("maxWeight"), st.integers(1, 100)),
        st.builds(EditSpec, st.sampled_from(["suspend", "skipAnalysis"]), st.booleans()),
    ),
    st.builds(Command, st.sampled_from(Verb)),
    st.builds(Scale, st.sampled_from(["web", "web-primary"]), st.integers(0, 3)),
    st.just(DeletePrimary()),
    st.builds(Become, st.sampled_from([100.0, 50.0]), st.sampled_from([200, 200, 500]), st.sampled_from(["", "web:2", "web:3"])),
)
SECONDS = st.one_of(st.sampled_from([0.0, 0.05, 0.5, 1.0, 3.0, 9.5, 10.0, 25.0, 70.0]), st.floats(0, 15, allow_nan=False, width=16))
SCALER_ACTIONS = st.one_of(
    st.builds(EditScaler, st.sampled_from(["web", "web-primary"]), st.integers(1, 3), st.integers(3, 9)),
    st.builds(PauseScaler, st.sampled_from(["web", "web-primary"]), st.booleans()),
)
SCALED = "weighted, with a ScaledObject"
SCRIPTS = st.lists(st.builds(Step, SECONDS, ACTIONS), min_size=3, max_size=14)
SCALED_SCRIPTS = st.lists(st.builds(Step, SECONDS, st.one_of(ACTIONS, ACTIONS, SCALER_ACTIONS)), min_size=3, max_size=14)
EXAMPLES = 60
LONG = 1500


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["weighted", "blue/green with a mirror", "session affinity", "A/B test", SCALED])
def test_whatever_people_do_the_newest_revision_is_settled_rightly(name: str, request: pytest.FixtureRequest) -> None:
    """engine:ACC-18. hypothesis shrinks what is wrong to a short script: make it a test of its own below."""
    is_full = bool(request.config.getoption("--full", default=False))

    @settings(
        max_examples=LONG if is_full else EXAMPLES if name == "weighted" else EXAMPLES // 4,
        derandomize=not is_full,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(SCALED_SCRIPTS if name == SCALED else SCRIPTS, st.sampled_from([False, False, False, True]))
    def check(script: list[Step], is_deleted: bool) -> None:
        play(SETTINGS[name], script, is_deleted=is_deleted)

    check()
