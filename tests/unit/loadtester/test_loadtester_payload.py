"""What a webhook may send (metrics:LT-11, LT-33)."""

import pytest

from flagger_py.loadtester.payload import BadPayload, Payload, is_true, parse


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b'{"name":"a","namespace":"b","metadata":{"k":"v"}}', Payload("a", "b", {"k": "v"}), id="as the controller sends it"),
        pytest.param(b'{"NAME":"a","nameSpace":"b","Metadata":{"K":"v"}}', Payload("a", "b", {"K": "v"}), id="fields in any case"),
        pytest.param(b'{"name":"a","odd":[1],"run":"r","step":3}', Payload("a"), id="unknown fields ignored"),
        pytest.param(b"null", Payload(), id="null is an empty payload"),
        pytest.param(b'{"name":null,"metadata":null}', Payload(), id="null is an empty field"),
        pytest.param(b'{"metadata":{"k":null}}', Payload(metadata={"k": ""}), id="null is an empty value"),
        pytest.param(b' {"name":"\xff"}\n', Payload("\ufffd"), id="bytes that are no UTF-8 are replaced"),
    ],
)
def test_a_payload_is_read_as_go_reads_it(body: bytes, expected: Payload) -> None:
    """metrics:LT-11."""
    assert parse(body) == expected


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(b"", "the body is no JSON", id="empty"),
        pytest.param(b"{", "the body is no JSON", id="cut off"),
        pytest.param(b"{} {}", "the body is no JSON", id="two values"),
        pytest.param(b"[]", "the body must be a JSON object, not a list", id="a list"),
        pytest.param(b'{"name":5}', "name must be a text, not a number", id="a name that is a number"),
        pytest.param(b'{"phase":{}}', "phase must be a text, not an object", id="a phase that is an object"),
        pytest.param(b'{"metadata":"x"}', "metadata must be an object of texts, not a text", id="metadata that are a text"),
        pytest.param(b'{"metadata":{"logCmdOutput":true}}', "metadata.logCmdOutput must be a text, not true or false", id="a switch"),
    ],
)
def test_a_bad_payload_is_refused_with_the_place(body: bytes, problem: str) -> None:
    """metrics:LT-11."""
    with pytest.raises(BadPayload, match=problem):
        parse(body)


def test_switches_take_the_words_of_go() -> None:
    """metrics:LT-33: anything else is off, without an error."""
    assert all(is_true(word) for word in ("1", "t", "T", "TRUE", "true", "True"))
    assert not any(is_true(word) for word in ("0", "f", "false", "yes", "on", "", "tRUE", None))
