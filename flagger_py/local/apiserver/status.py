"""What the server answers when it refuses: `meta/v1 Status` objects in the words of kube-apiserver, raised as one exception.

Handlers raise `Refused`; the edge of the server turns it into an HTTP answer. Each function below makes one of the refusals.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson


class Refused(Exception):
    """The server does not do what was asked; `code` is the HTTP status and `body` the `Status` object."""

    def __init__(self, code: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = None if details is None else dict(details)

    @property
    def body(self) -> dict[str, Any]:
        status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message}
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        return {**status, "code": self.code}

    @property
    def headers(self) -> dict[str, str]:
        seconds = (self.details or {}).get("retryAfterSeconds")
        return {"retry-after": str(seconds)} if seconds else {}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One complaint of validation: the field's path, a `metav1.CauseType`, and the sentence that names value and rule."""

    field: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message

    @property
    def cause(self) -> dict[str, str]:
        return {"reason": self.reason, "message": self.message, "field": self.field}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a refusal is about, as the messages print it: `deployments.apps "name"`."""

    group: str
    plural: str
    kind: str
    name: str = ""

    @property
    def resource(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def details(self) -> dict[str, Any]:
        named = {"name": self.name} if self.name else {}
        return named | ({"group": self.group} if self.group else {}) | {"kind": self.plural}


def required(field: str, detail: str = "") -> FieldError:
    return FieldError(field, "FieldValueRequired", f"Required value: {detail}" if detail else "Required value")


def invalid_value(field: str, value: object, detail: str) -> FieldError:
    return FieldError(field, "FieldValueInvalid", f"Invalid value: {shown(value)}: {detail}")


def forbidden_value(field: str, detail: str) -> FieldError:
    return FieldError(field, "FieldValueForbidden", f"Forbidden: {detail}")


def duplicate_value(field: str, value: object) -> FieldError:
    return FieldError(field, "FieldValueDuplicate", f"Duplicate value: {shown(value)}")


def not_supported(field: str, value: object, allowed: Iterable[object]) -> FieldError:
    listed = ", ".join(shown(one) for one in allowed)
    return FieldError(field, "FieldValueNotSupported", f"Unsupported value: {shown(value)}: supported values: {listed}")


def too_long(field: str, limit: int) -> FieldError:
    return FieldError(field, "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")


def type_invalid(field: str, value: object, detail: str) -> FieldError:
    return FieldError(field, "FieldValueTypeInvalid", f"Invalid value: {shown(value)}: {detail}")


def shown(value: object) -> str:
    """A value as Go prints it in a validation message: strings quoted, everything else as JSON."""
    return orjson.dumps(value).decode()


def not_found(subject: Subject) -> Refused:
    return Refused(404, "NotFound", f'{subject.resource} "{subject.name}" not found', subject.details)


def already_exists(subject: Subject) -> Refused:
    return Refused(409, "AlreadyExists", f'{subject.resource} "{subject.name}" already exists', subject.details)


def conflict(subject: Subject, why: str = "") -> Refused:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    return Refused(409, "Conflict", f'Operation cannot be fulfilled on {subject.resource} "{subject.name}": {why}', subject.details)


def conflict_of_managers(conflicts: list[tuple[str, str]]) -> Refused:
    """The 409 of a server-side apply: each conflict is a manager and a field."""
    causes = [{"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": field} for manager, field in conflicts]
    managers = list(dict.fromkeys(manager for manager, _ in conflicts))
    fields = {manager: [field for other, field in conflicts if other == manager] for manager in managers}
    if len(conflicts) == 1:
        text = f"conflict with {managers[0]}: {conflicts[0][1]}"
        return Refused(409, "Conflict", f"Apply failed with 1 conflict: {text}", {"causes": causes})
    listed = "\n".join(f"conflicts with {manager}:\n" + "\n".join(f"- {field}" for field in fields[manager]) for manager in managers)
    return Refused(409, "Conflict", f"Apply failed with {len(conflicts)} conflicts: {listed}", {"causes": causes})


def invalid(subject: Subject, errors: list[FieldError]) -> Refused:
    qualified = f"{subject.kind}.{subject.group}" if subject.group else subject.kind
    said = list(dict.fromkeys(map(str, errors)))
    listed = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    group = {"group": subject.group} if subject.group else {}
    named = {"name": subject.name} if subject.name else {}
    details = {**named, **group, "kind": subject.kind, "causes": [error.cause for error in errors]}
    return Refused(422, "Invalid", f'{qualified} "{subject.name}" is invalid: {listed}', details)


def invalid_options(kind: str, errors: list[FieldError]) -> Refused:
    """The 422 of query parameters, which are an object of `meta.k8s.io` to kube-apiserver."""
    return invalid(Subject("meta.k8s.io", "", kind), errors)


def forbidden(subject: Subject, why: str, *, causes: list[dict[str, str]] | None = None) -> Refused:
    named = f' "{subject.name}"' if subject.name else ""
    details = subject.details | ({"causes": causes} if causes else {})
    return Refused(403, "Forbidden", f"{subject.resource}{named} is forbidden: {why}", details)


def bad_request(message: str) -> Refused:
    return Refused(400, "BadRequest", message)


def unauthorized() -> Refused:
    return Refused(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> Refused:
    return Refused(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def not_served() -> Refused:
    """The 404 of a resource or sub-resource that a compiled-in group does not have."""
    return Refused(404, "NotFound", "the server could not find the requested resource", {})


def unsupported_media_type(accepted: Iterable[str]) -> Refused:
    return Refused(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}",
    )


def not_acceptable(accepted: Iterable[str]) -> Refused:
    return Refused(406, "NotAcceptable", f"only the following media types are accepted: {', '.join(accepted)}")


def expired(message: str) -> Refused:
    return Refused(410, "Expired", message)


def too_many_requests(message: str, seconds: int) -> Refused:
    return Refused(429, "TooManyRequests", message, {"retryAfterSeconds": seconds})


def resource_version_too_large(asked: int, current: int) -> Refused:
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    message = f"Too large resource version: {asked}, current: {current}"
    return Refused(504, "Timeout", f"Timeout: {message}", {"causes": causes, "retryAfterSeconds": 1})


def internal(message: str) -> Refused:
    causes = [{"message": message}]
    return Refused(500, "InternalError", f"Internal error occurred: {message}", {"causes": causes})
