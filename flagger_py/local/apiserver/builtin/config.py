"""ConfigMaps and Secrets."""

import base64
import re
from typing import Any, Final

from flagger_py.local.apiserver.status import FieldError, forbidden_value, invalid_value, required
from flagger_py.local.apiserver.strategy import Strategy
from flagger_py.objects.resource import Manifest

_KEY: Final = "[-._a-zA-Z0-9]+"
_BAD_KEY: Final = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
    f"(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '{_KEY}')"
)
_FROZEN: Final = "field is immutable when `immutable` is set"
_TLS_KEYS: Final = ("tls.crt", "tls.key")


class ConfigMapStrategy(Strategy):
    def validate(self, new: Manifest, old: Manifest | None) -> list[FieldError]:
        data, binary = new.get("data", {}), new.get("binaryData", {})
        errors = [*_key_errors(data, "data"), *_key_errors(binary, "binaryData")]
        errors += [invalid_value(f"data[{key}]", key, "duplicate of key present in binaryData") for key in data if key in binary]
        return errors + frozen_errors(new, old, ("data", "binaryData"))


class SecretStrategy(Strategy):
    """Secrets. `stringData` is written into `data` and never stored."""

    def set_defaults(self, new: Manifest) -> None:
        plain = new.pop("stringData", {})
        if plain:
            encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
            new["data"] = {**new.get("data", {}), **encoded}

    def validate(self, new: Manifest, old: Manifest | None) -> list[FieldError]:
        data = new.get("data", {})
        errors = _key_errors(data, "data")
        if new["type"] == "kubernetes.io/tls":
            errors += [required(f"data[{key}]") for key in _TLS_KEYS if key not in data]
        if old is not None and new["type"] != old["type"]:
            errors.append(invalid_value("type", new["type"], "field is immutable"))
        return errors + frozen_errors(new, old, ("data",))

    def decoding_error(self, new: Manifest) -> str:
        for value in new.get("data", {}).values():
            if not isinstance(value, str) or not _is_base64(value):
                return "illegal base64 data at input byte 0"
        return ""


def frozen_errors(new: Manifest, old: Manifest | None, fields: tuple[str, ...]) -> list[FieldError]:
    """Complaints about changes of what was declared immutable."""
    if old is None or not old.get("immutable"):
        return []
    changed = ["immutable"] if not new.get("immutable") else []
    changed += [name for name in fields if new.get(name, {}) != old.get(name, {})]
    return [forbidden_value(name, _FROZEN) for name in changed]


def _key_errors(data: dict[str, Any], field: str) -> list[FieldError]:
    bad = [key for key in data if not re.fullmatch(_KEY, key) or len(key) > 253]
    return [invalid_value(f"{field}[{key}]", key, _BAD_KEY) for key in bad]


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except ValueError:
        return False
    return True
