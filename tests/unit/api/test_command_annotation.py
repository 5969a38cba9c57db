"""The annotation `flagger.app/command`: what is understood, and what is said of the rest."""

import pytest

from flagger_py.api.commands import CommandRequest, Malformed, Verb, parse_command


@pytest.mark.parametrize("verb", Verb)
def test_a_command_names_its_id_a_verb_and_a_run(verb: Verb) -> None:
    """engine:ISS-16"""
    assert parse_command(f'{{"id": "1-a.B_", "verb": "{verb}", "run": "abc"}}') == CommandRequest("1-a.B_", verb, "abc")


def test_the_run_may_be_left_out() -> None:
    assert parse_command('{"id": "1", "verb": "retry"}') == CommandRequest("1", Verb.RETRY)


@pytest.mark.parametrize(
    ("text", "said", "known_id"),
    [
        pytest.param("pause", "is no JSON", "", id="no JSON"),
        pytest.param('["pause"]', "must be a JSON object with id, verb and run", "", id="a list"),
        pytest.param('{"verb": "pause"}', ".id is missing; must be 1 to 36 letters", "", id="no id"),
        pytest.param('{"id": 7, "verb": "pause"}', ".id is 7; must be", "", id="a number as id"),
        pytest.param('{"id": "a b", "verb": "pause"}', ".id is 'a b'; must be", "", id="an id with a space"),
        pytest.param('{"id": "%s", "verb": "pause"}' % ("a" * 37), ".id is 'aaa", "", id="a long id"),
        pytest.param('{"id": "1", "verb": "stop"}', ".verb is 'stop'; must be one of promote, abort, pause", "1", id="an unknown verb"),
        pytest.param('{"id": "1"}', ".verb is missing", "1", id="no verb"),
        pytest.param('{"id": "1", "verb": {}}', ".verb is {}", "1", id="a map as verb"),
        pytest.param('{"id": "1", "verb": "pause", "run": 3}', ".run is 3; must be a string", "1", id="a number as run"),
        pytest.param('{"id": "1", "verb": "pause", "rum": "x"}', "unknown field 'rum'; known are id, verb, run", "1", id="a slip"),
    ],
)
def test_the_rest_is_named_with_field_value_and_what_is_allowed(text: str, said: str, known_id: str) -> None:
    parsed = parse_command(text)
    assert isinstance(parsed, Malformed)
    assert parsed.id == known_id
    assert parsed.reason.startswith("metadata.annotations[flagger.app/command]")
    assert said in parsed.reason
    assert len(parsed.reason) < 250
