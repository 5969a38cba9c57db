"""Which ConfigMaps and Secrets are tracked, and the checksum of their content. Pure."""

import hashlib
import json
from collections.abc import Mapping

from flagger_py.objects.resource import Manifest
from flagger_py.workloads.metadata import annotations_of

OPT_OUT_ANNOTATION = "flagger.app/config-tracking"
TRACKED_SECRET_TYPES = frozenset({"Opaque", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls"})
_GO_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
"""What Go's JSON encoder escapes and Python's does not."""


def is_tracked(config: Manifest) -> bool:
    """False for one that opted out (workloads:CFG-05), and for Secrets that a controller manages, such as tokens (CFG-06)."""
    if annotations_of(config).get(OPT_OUT_ANNOTATION, "").startswith("disable"):
        return False
    return config.get("kind") != "Secret" or config.get("type", "Opaque") in TRACKED_SECRET_TYPES


def checksum(config: Manifest) -> str:
    """16 hex digits over `data`, equal to Flagger's, and over `binaryData` where there is any (workloads:CFG-07)."""
    if binary := config.get("binaryData"):
        return _digest({"binaryData": binary, "data": config.get("data")})
    return data_checksum(config)


def data_checksum(config: Manifest) -> str:
    """Flagger's checksum, which never looks at `binaryData`."""
    return _digest(config.get("data"))


def agrees(config: Manifest, stored: str | None) -> bool:
    """Whether the content has the stored checksum; one that Flagger stored counts too."""
    return stored in (checksum(config), data_checksum(config))


def _digest(content: Mapping[str, object] | None) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.translate(_GO_ESCAPES).encode()).hexdigest()[:16]
