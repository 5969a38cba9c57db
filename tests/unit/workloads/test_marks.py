"""What the controller writes into pod templates is no part of the user's revision."""

import pytest

from flagger_py.objects.resource import Manifest
from flagger_py.workloads.marks import RESTARTED_FOR, SCALE_TO_ZERO, is_at_zero, restarted_for, without_marks
from flagger_py.workloads.template import revision_of

PLAIN: Manifest = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}


def marked(*, at_zero: bool = True, restarted: bool = True, **of_user: dict[str, str]) -> Manifest:
    selector = of_user.get("selector", {}) | ({SCALE_TO_ZERO: "true"} if at_zero else {})
    annotations = of_user.get("annotations", {}) | ({RESTARTED_FOR: "an-occasion"} if restarted else {})
    return {
        "metadata": {**PLAIN["metadata"], "annotations": annotations},
        "spec": {**PLAIN["spec"], "nodeSelector": selector},
    }


@pytest.mark.parametrize("at_zero", [True, False])
@pytest.mark.parametrize("restarted", [True, False])
def test_marks_are_read_and_change_no_revision(at_zero: bool, restarted: bool) -> None:
    """workloads:DS-05, workloads:CHG-06"""
    template = marked(at_zero=at_zero, restarted=restarted)
    assert is_at_zero(template) is at_zero
    assert restarted_for(template) == ("an-occasion" if restarted else "")
    assert revision_of(template) == revision_of(PLAIN)


def test_what_the_user_wrote_beside_them_stays() -> None:
    """workloads:DS-01, workloads:DS-05"""
    theirs = marked(at_zero=False, restarted=False, selector={"disk": "ssd"}, annotations={"team": "shop"})
    template = marked(selector={"disk": "ssd"}, annotations={"team": "shop"})
    assert without_marks(template) == theirs
    assert without_marks(theirs) is theirs
    assert revision_of(template) == revision_of(theirs) != revision_of(PLAIN)
