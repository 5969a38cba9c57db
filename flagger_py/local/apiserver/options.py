"""Query parameters, judged before anything else is done, in the words of kube-apiserver."""

from typing import Final

from flagger_py.local.apiserver.calls import Call
from flagger_py.local.apiserver.status import FieldError, bad_request, forbidden_value, invalid_options, not_supported, required

_KINDS: Final = {
    "create": "CreateOptions",
    "update": "UpdateOptions",
    "patch": "PatchOptions",
    "delete": "DeleteOptions",
    "deletecollection": "DeleteOptions",
    "list": "ListOptions",
    "watch": "ListOptions",
}
_NUMBERS: Final = ("limit", "timeoutSeconds", "gracePeriodSeconds")
_MATCH: Final = "resourceVersionMatch"
APPLY: Final = "application/apply-patch+yaml"


def check_options(call: Call) -> None:
    """Raises 400 for a number that is none, and 422 for options that do not go with each other or with the verb."""
    for name in _NUMBERS:
        text = call.query.get(name, "") or "0"
        if not text.lstrip("-").isdigit():
            raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    errors = _write_errors(call) if call.verb in {"create", "update", "patch"} else []
    errors += _list_errors(call) if call.verb in {"list", "watch"} else []
    if (dry_run := call.query.get("dryRun")) and dry_run != "All":
        errors.append(not_supported("dryRun", [dry_run], ["All"]))
    if errors:
        raise invalid_options(_KINDS.get(call.verb, "GetOptions"), errors)


def _write_errors(call: Call) -> list[FieldError]:
    errors: list[FieldError] = []
    validation = call.query.get("fieldValidation", "")
    if validation not in {"", "Ignore", "Warn", "Strict"}:
        errors.append(not_supported("fieldValidation", validation, ["", "Ignore", "Strict", "Warn"]))
    if call.verb != "patch":
        return errors
    if call.content_type == APPLY and not call.query.get("fieldManager"):
        errors.append(required("fieldManager", "is required for apply patch"))
    if call.content_type != APPLY and "force" in call.query:
        errors.append(forbidden_value("force", "may not be specified for non-apply patch"))
    return errors


def _list_errors(call: Call) -> list[FieldError]:
    match, version = call.query.get(_MATCH, ""), call.query.get("resourceVersion", "")
    initial = call.query.get("sendInitialEvents")
    if call.verb == "watch":
        return _watch_errors(match, initial)
    if initial is not None:
        return [forbidden_value("sendInitialEvents", "sendInitialEvents is forbidden for list")]
    if match not in {"", "Exact", "NotOlderThan"}:
        return [not_supported(_MATCH, match, ["Exact", "NotOlderThan", ""])]
    if match and not version:
        return [forbidden_value(_MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided")]
    if match == "Exact" and version == "0":
        return [forbidden_value(_MATCH, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')]
    return []


def _watch_errors(match: str, initial: str | None) -> list[FieldError]:
    if initial is not None and match != "NotOlderThan":
        return [forbidden_value(_MATCH, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")]
    if initial is None and match:
        return [forbidden_value(_MATCH, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")]
    return []
