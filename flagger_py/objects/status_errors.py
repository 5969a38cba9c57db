"""From an answer of the API server to one of our errors: by the reason in its `Status`, else by the code."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from flagger_py.objects.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    NotServed,
    ServerError,
    TooManyRequests,
    Unauthorized,
)

_BY_REASON: Final[Mapping[str, type[ApiError]]] = {
    "AlreadyExists": AlreadyExists,
    "BadRequest": Invalid,
    "Conflict": Conflict,
    "Expired": Gone,
    "Forbidden": Forbidden,
    "Gone": Gone,
    "InternalError": ServerError,
    "Invalid": Invalid,
    "MethodNotAllowed": Invalid,
    "NotAcceptable": Invalid,
    "RequestEntityTooLarge": Invalid,
    "ServerTimeout": ServerError,
    "ServiceUnavailable": ServerError,
    "Timeout": ServerError,
    "TooManyRequests": TooManyRequests,
    "Unauthorized": Unauthorized,
    "UnsupportedMediaType": Invalid,
}
_BY_CODE: Final[Mapping[int, type[ApiError]]] = {
    401: Unauthorized,
    403: Forbidden,
    409: Conflict,
    410: Gone,
    429: TooManyRequests,
}
_LONGEST_BODY = 200
"""Characters of an answer that is no `Status` (a proxy's page, say) that an error message repeats."""


def error_from(code: int, body: bytes, headers: Mapping[str, str] | None = None, *, subject: str = "") -> ApiError:
    """The error for an answer of `code` ≥ 300. Header names are in lower case; `subject` says what was asked: `patch Deployment a/b`."""
    status = _status_in(body)
    text = status.get("message") or body[:_LONGEST_BODY].decode(errors="replace").strip() or "no message"
    return _build(code, status, text, headers or {}, subject)


def error_from_status(status: Mapping[str, Any], *, subject: str = "") -> ApiError:
    """The error for a `Status` object that came by itself, as in an ERROR event of a watch."""
    return _build(int(status.get("code") or 0), status, status.get("message") or "no message", {}, subject)


def _build(code: int, status: Mapping[str, Any], text: str, headers: Mapping[str, str], subject: str) -> ApiError:
    details = status.get("details") or {}
    reason = str(status.get("reason") or "")
    message = f"{subject}: {text}" if subject else text
    return _class_of(code, reason, details)(
        f"{message} ({code} {reason})".replace(" )", ")"),
        status=code,
        reason=reason,
        details=details,
        retry_after=_retry_after(headers, details),
    )


def _class_of(code: int, reason: str, details: Mapping[str, Any]) -> type[ApiError]:
    if code == 404:
        return NotFound if details.get("name") else NotServed
    if any(cause.get("reason") == "ResourceVersionTooLarge" for cause in details.get("causes") or ()):
        return Gone  # a server restored from a backup: its versions begin lower than ours, only a new list helps
    return _BY_REASON.get(reason) or _BY_CODE.get(code) or (Invalid if 400 <= code < 500 else ServerError)


def _retry_after(headers: Mapping[str, str], details: Mapping[str, Any]) -> float | None:
    value = headers.get("retry-after") or details.get("retryAfterSeconds")
    try:
        return max(0.0, float(value)) if value is not None else None
    except ValueError:  # an HTTP date, as some proxies send: the caller's own back-off is as good
        return None


def _status_in(body: bytes) -> Mapping[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) and content.get("kind") == "Status" else {}
