"""Errors of the Kubernetes API, by what the caller should do.

ApiError                    any failed call; carries the server's `Status`
├── Unreachable             no answer (connection, time-out): retry with back-off; a write may have been applied
├── NotFound                404 for one object: often an observation, not a failure
├── NotServed               404 for the whole resource (its CRD is not installed): a condition; retry with back-off
├── AlreadyExists           409 on create: read what is there
├── Conflict                409 on update or patch: read, render again, retry
├── Gone                    410: the resourceVersion is too old, list again
├── Invalid                 400 or 422: the server refuses the object: stop until something changes
├── Unauthorized            401: refresh the credentials, then retry
├── Forbidden               403: a right is missing: a condition; retry with back-off
├── TooManyRequests         429: wait `retry_after`, then retry
├── ServerError             5xx: retry with back-off
└── Fenced                  not sent: the lease would run out before the write's time-out; stop the work
"""

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """A call to the Kubernetes API failed. `status` is 0 where no answer came; `retry_after` is in seconds."""

    def __init__(
        self, message: str, *, status: int = 0, reason: str = "", details: Mapping[str, Any] | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason
        self.details = details or {}
        self.retry_after = retry_after


class Unreachable(ApiError):
    """No answer came. A write may have been applied all the same."""


class NotFound(ApiError):
    """The object does not exist."""


class NotServed(ApiError):
    """The server does not know the resource: its CustomResourceDefinition is not installed (yet)."""


class AlreadyExists(ApiError):
    """An object of this name exists."""


class Conflict(ApiError):
    """The object was changed since it was read."""


class Gone(ApiError):
    """The resourceVersion asked for has been compacted."""


class Invalid(ApiError):
    """The server refuses what was sent."""


class Unauthorized(ApiError):
    """The credentials are not accepted."""


class Forbidden(ApiError):
    """The credentials lack the right."""


class TooManyRequests(ApiError):
    """The server asks for a pause of `retry_after` seconds."""


class ServerError(ApiError):
    """The server failed."""


class Fenced(ApiError):
    """A write was not sent, because another replica could lead before it ends (design §6)."""
