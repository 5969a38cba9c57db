"""What names, labels and annotations may look like, in the words of kube-apiserver's complaints."""

import re
from typing import Any, Final

from flagger_py.local.apiserver.status import FieldError, forbidden_value, invalid_value, too_long

_LABEL: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SERVICE: Final = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = _LABEL + r"(\." + _LABEL + ")*"
_QUALIFIED: Final = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE: Final = f"({_QUALIFIED})?"
_STANDARD_FINALIZERS: Final = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_ANNOTATIONS_LIMIT: Final = 256 * 1024


def subdomain_errors(name: str) -> list[str]:
    """Complaints about the name of most objects (RFC 1123 subdomain)."""
    return _complaints(
        name,
        253,
        _SUBDOMAIN,
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
        "and must start and end with an alphanumeric character (e.g. 'example.com', "
        f"regex used for validation is '{_SUBDOMAIN}')",
    )


def label_errors(name: str) -> list[str]:
    """Complaints about a name that becomes one label of a host name (RFC 1123)."""
    return _complaints(
        name,
        63,
        _LABEL,
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
        f"alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')",
    )


def service_name_errors(name: str) -> list[str]:
    """Complaints about the name of a Service (RFC 1035)."""
    return _complaints(
        name,
        63,
        _SERVICE,
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with "
        f"an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '{_SERVICE}')",
    )


def path_segment_errors(name: str) -> list[str]:
    """Complaints about a name that only has to fit into a URL (roles)."""
    if name in {".", ".."}:
        return [f"may not be '{name}'"]
    return [f"may not contain '{char}'" for char in "/%" if char in name]


def qualified_name_errors(key: str) -> list[str]:
    """Complaints about the key of a label or annotation."""
    prefix, slash, name = key.rpartition("/")
    errors = [f"prefix part {error}" for error in subdomain_errors(prefix)] if slash and prefix else []
    if slash and not prefix:
        errors.append("prefix part must be non-empty")
    if not name:
        return [*errors, "name part must be non-empty"]
    pattern_error = (
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
        f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
    )
    if len(name) > 63:
        errors.append("name part must be no more than 63 bytes")
    return errors if re.fullmatch(_QUALIFIED, name) else [*errors, pattern_error]


def label_value_errors(value: str) -> list[str]:
    """Complaints about the value of a label."""
    return _complaints(
        value,
        63,
        _VALUE,
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
        f"alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '{_VALUE}')",
    )


def label_set_errors(labels: dict[str, str], field: str) -> list[FieldError]:
    """Complaints about labels, as ObjectMeta, pod templates and selectors have them."""
    errors: list[FieldError] = []
    for key, value in labels.items():
        errors += [invalid_value(field, key, error) for error in qualified_name_errors(key)]
        errors += [invalid_value(field, value, error) for error in label_value_errors(value)]
    return errors


def metadata_errors(metadata: dict[str, Any], field: str = "metadata", *, is_custom: bool = False) -> list[FieldError]:
    """Complaints about labels, annotations, owners and finalizers; the name is judged by its kind.

    A custom object's finalizer needs no domain: the server only warns of it there.
    """
    errors = label_set_errors(metadata.get("labels", {}), f"{field}.labels")
    annotations = metadata.get("annotations", {})
    for key in annotations:
        errors += [invalid_value(f"{field}.annotations", key, error) for error in qualified_name_errors(key.lower())]
    if sum(len(key) + len(value) for key, value in annotations.items()) > _ANNOTATIONS_LIMIT:
        errors.append(too_long(f"{field}.annotations", _ANNOTATIONS_LIMIT))
    errors += _owner_errors(metadata.get("ownerReferences", []), f"{field}.ownerReferences")
    for index, finalizer in enumerate(metadata.get("finalizers", [])):
        found = qualified_name_errors(finalizer)
        if not found and not is_custom and "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            found = ["name is neither a standard finalizer name nor is it fully qualified"]
        errors += [invalid_value(f"{field}.finalizers[{index}]", finalizer, error) for error in found]
    return errors


def _owner_errors(owners: list[dict[str, Any]], field: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for owner in owners:
        for name in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(name):
                label = {"apiVersion": "version ", "kind": "kind "}.get(name, "")
                errors.append(invalid_value(f"{field}.{name}", owner.get(name, ""), f"{label}must not be empty"))
    controllers = [owner for owner in owners if owner.get("controller")]
    if len(controllers) > 1:
        first, second = (f"{one.get('kind')}/{one.get('name')}" for one in controllers[:2])
        detail = f'Only one reference can have Controller set to true. Found "true" in references for {first} and {second}'
        errors.append(invalid_value(field, owners, detail))
    return errors


def finalizer_addition_errors(new: list[str], old: list[str]) -> list[FieldError]:
    """No finalizer may be added to an object that is being deleted."""
    added = sorted(set(new) - set(old))
    if not added:
        return []
    listed = ", ".join(f'"{one}"' for one in added)
    detail = f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{listed}}}"
    return [forbidden_value("metadata.finalizers", detail)]


def _complaints(text: str, limit: int, pattern: str, complaint: str) -> list[str]:
    errors = [] if len(text) <= limit else [f"must be no more than {limit} bytes"]
    return errors if re.fullmatch(pattern, text) else [*errors, complaint]
