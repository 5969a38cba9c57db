"""Which error an answer of the server becomes."""

from typing import Any

import orjson
import pytest

from flagger_py.objects import errors
from flagger_py.objects.errors import ApiError
from flagger_py.objects.status_errors import error_from, error_from_status


def body(reason: str, message: str = "", **details: Any) -> bytes:
    return orjson.dumps({"kind": "Status", "reason": reason, "message": message, "details": details})


TOO_LARGE: dict[str, Any] = {"causes": [{"reason": "ResourceVersionTooLarge"}], "retryAfterSeconds": 1}


@pytest.mark.parametrize(
    ("code", "answer", "expected"),
    [
        pytest.param(404, body("NotFound", name="podinfo"), errors.NotFound, id="one object"),
        pytest.param(404, body("NotFound"), errors.NotServed, id="a resource, as a Status"),
        pytest.param(404, b"404 page not found\n", errors.NotServed, id="a resource, as text"),
        pytest.param(409, body("AlreadyExists"), errors.AlreadyExists, id="exists"),
        pytest.param(409, body("Conflict"), errors.Conflict, id="conflict"),
        pytest.param(409, b"", errors.Conflict, id="conflict without a Status"),
        pytest.param(410, body("Expired"), errors.Gone, id="expired"),
        pytest.param(410, b"", errors.Gone, id="gone"),
        pytest.param(504, body("Timeout", **TOO_LARGE), errors.Gone, id="a version that the server will reach in years"),
        pytest.param(422, body("Invalid"), errors.Invalid, id="invalid"),
        pytest.param(400, body("BadRequest"), errors.Invalid, id="bad request"),
        pytest.param(413, b"", errors.Invalid, id="too large"),
        pytest.param(415, body("UnsupportedMediaType"), errors.Invalid, id="content type"),
        pytest.param(401, body("Unauthorized"), errors.Unauthorized, id="credentials"),
        pytest.param(403, body("Forbidden"), errors.Forbidden, id="right"),
        pytest.param(403, b"<html>proxy</html>", errors.Forbidden, id="a proxy's 403"),
        pytest.param(429, body("TooManyRequests"), errors.TooManyRequests, id="throttled"),
        pytest.param(429, b"", errors.TooManyRequests, id="throttled by a proxy"),
        pytest.param(500, body("InternalError"), errors.ServerError, id="internal"),
        pytest.param(500, body("ServerTimeout"), errors.ServerError, id="server time-out"),
        pytest.param(503, b"", errors.ServerError, id="unavailable"),
        pytest.param(302, b"", errors.ServerError, id="a redirect that is not followed"),
        pytest.param(418, body("Teapot"), errors.Invalid, id="an unknown reason"),
    ],
)
def test_the_reason_decides_and_else_the_code(code: int, answer: bytes, expected: type[ApiError]) -> None:
    error = error_from(code, answer)
    assert type(error) is expected
    assert error.status == code


def test_the_message_says_what_was_asked_and_what_the_server_said() -> None:
    error = error_from(422, body("Invalid", "spec.replicas: must not be negative"), subject="patch Deployment test/podinfo")
    assert str(error) == "patch Deployment test/podinfo: spec.replicas: must not be negative (422 Invalid)"


@pytest.mark.parametrize(
    ("headers", "details", "expected"),
    [
        pytest.param({"retry-after": "3"}, {}, 3.0, id="header"),
        pytest.param({}, {"retryAfterSeconds": 5}, 5.0, id="details"),
        pytest.param({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, {}, None, id="a date"),
        pytest.param({"retry-after": "-1"}, {}, 0.0, id="negative"),
        pytest.param({}, {}, None, id="none"),
    ],
)
def test_retry_after_is_read_where_it_is_a_number(headers: dict[str, str], details: dict[str, Any], expected: float | None) -> None:
    assert error_from(429, body("TooManyRequests", **details), headers).retry_after == expected


def test_a_page_of_a_proxy_is_cut() -> None:
    assert len(str(error_from(502, b"x" * 5000))) < 250


def test_a_status_in_a_watch_is_an_error_too() -> None:
    error = error_from_status({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}, subject="watch")
    assert isinstance(error, errors.Gone)
    assert str(error) == "watch: too old (410 Expired)"


def test_every_class_of_the_tree_is_drawn_in_its_docstring() -> None:
    tree = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, ApiError)}
    assert all(f" {name} " in (errors.__doc__ or "") for name in tree - {"ApiError"})
