"""What the pages on manual control and deletion say is so: the verbs, the limits, and the commands for kubectl."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from flagger_py.api.commands import ID_LIMIT, CommandRequest, Verb, parse_command
from flagger_py.api.metadata import COMMAND, FINALIZER, SKIP_REVERT
from flagger_py.rollout.commands import PAUSED
from flagger_py.rollout.deletion import DEADLINE, LONGEST_DRAIN

GUIDE = Path(__file__).parents[3] / "docs" / "guide"
MANUAL, DELETION = (GUIDE / "manual-control.md").read_text(), (GUIDE / "deletion.md").read_text()


def test_every_verb_has_its_row() -> None:
    assert sorted(re.findall(r"^\| `(\w+)` \| [A-Z]", MANUAL, re.MULTILINE)[: len(Verb)]) == sorted(Verb)


def test_the_kubectl_command_gives_a_command_that_is_understood() -> None:
    quoted = re.search(rf"{re.escape(COMMAND)}=(\".*\")$", MANUAL, re.MULTILINE)
    assert quoted
    script = f"run=abc; printf %s {quoted[1]}"
    text = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True, timeout=10).stdout
    parsed = parse_command(text)
    assert isinstance(parsed, CommandRequest)
    assert (parsed.verb, parsed.run) == (Verb.PAUSE, "abc")
    assert parsed.id == json.loads(text)["id"]


@pytest.mark.parametrize("said", [f"at most {ID_LIMIT}", PAUSED, COMMAND])
def test_the_page_on_manual_control_names_what_is_in_the_code(said: str) -> None:
    assert said in MANUAL


@pytest.mark.parametrize(
    "said",
    [FINALIZER, f"{SKIP_REVERT}=true", f"{int(DEADLINE.total_seconds()) // 60} minutes", f"{int(LONGEST_DRAIN.total_seconds())} s"],
)
def test_the_page_on_deletion_names_what_is_in_the_code(said: str) -> None:
    assert said in DELETION
