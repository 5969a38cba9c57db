"""Names and ids that are derived, so that a replay of the same step gives the same ones (workloads:GEN-08, design §3)."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from string import ascii_letters
from uuid import UUID

_COOKIE_LENGTH = 10
_FLAGGER_DIGITS = str.maketrans("0123456789", "456789bcdf")


def configs_digest(checksums: Mapping[str, str] | None) -> str:
    """One short value for a set of tracked configs; nothing tracked gives the empty string."""
    if not checksums:
        return ""
    return _digest("configs", json.dumps(dict(checksums), sort_keys=True))[:16]


def promotion_id(canary_uid: str, revision: str, configs: str) -> str:
    """The `flagger-id` of a primary that carries this revision and config digest, in the form of the UUIDv4 that Flagger writes."""
    return str(UUID(bytes=hashlib.sha256("/".join((canary_uid, revision, configs)).encode()).digest()[:16], version=4))


def run_id(canary_uid: str, revision: str, started_at: datetime) -> str:
    """The id of one run of a revision."""
    return _digest("run", canary_uid, revision, started_at.isoformat())[:12]


def cookie_value(canary_uid: str, *step: str | int) -> str:
    """Ten ASCII letters (routers:SA-01), derived from what they stand for instead of drawn, so that a replay pins nobody anew."""
    number = int(_digest("cookie", canary_uid, *map(str, step)), 16)
    letters = []
    for _ in range(_COOKIE_LENGTH):
        number, index = divmod(number, len(ascii_letters))
        letters.append(ascii_letters[index])
    return "".join(letters)


def flagger_hash(revision: str, configs: str) -> str:
    """A hash in Flagger's form, `^[456789bcdf]{1,10}$` (engine:STS-07): `lastAppliedSpec`, `lastPromotedSpec`, a hook's `checksum`."""
    return str(int(_digest("spec", revision, configs)[:8], 16)).translate(_FLAGGER_DIGITS)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
