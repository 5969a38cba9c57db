"""What the server is: its version, and whether our CustomResourceDefinition is the one that is installed (design §5)."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from flagger_py.kube.client import Client
from flagger_py.objects.errors import NotFound, NotServed, ServerError
from flagger_py.objects.resource import CANARY


class CanarySchema(Enum):
    """What the installed definition of Canary does with our part of the status."""

    KEEPS_ROLLOUT = "status.rollout is kept"
    PRUNES_ROLLOUT = "status.rollout is dropped silently: the definition is Flagger's, or an older one"
    MISSING = "Canary is not defined"


@dataclass(frozen=True, slots=True, order=True)
class ServerVersion:
    """Major and minor version of the API server."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


OLDEST_SUPPORTED: Final = ServerVersion(1, 30)
"""CEL rules of a CRD leave unchanged parts of stored objects alone from there (design §5)."""


async def read_canary_schema(client: Client) -> CanarySchema:
    """Look at the schema that the server publishes; every account may. It lags a few seconds behind a change of the definition."""
    try:
        document = await client.get_path(f"/openapi/v3/apis/{CANARY.group}/{CANARY.version}")
    except (NotServed, NotFound):
        return CanarySchema.MISSING
    schemas = ((document.get("components") or {}).get("schemas") or {}).values()
    canary = next((schema for schema in schemas if _is_canary(schema)), None)
    if canary is None:
        return CanarySchema.MISSING
    return CanarySchema.KEEPS_ROLLOUT if _keeps(canary, "status", "rollout") else CanarySchema.PRUNES_ROLLOUT


async def read_server_version(client: Client) -> ServerVersion:
    """What `/version` says. Raises `ServerError` where that cannot be read."""
    answer = await client.get_path("/version")
    numbers = [re.match(r"\d+", str(answer.get(part, ""))) for part in ("major", "minor")]  # some clouds say "30+"
    if not (numbers[0] and numbers[1]):
        raise ServerError(f"get /version: major and minor must be numbers, got {answer.get('major')!r} and {answer.get('minor')!r}")
    return ServerVersion(int(numbers[0].group()), int(numbers[1].group()))


def _is_canary(schema: Any) -> bool:
    kinds = schema.get("x-kubernetes-group-version-kind") or ()
    return any((kind.get("group"), kind.get("version"), kind.get("kind")) == (CANARY.group, CANARY.version, CANARY.kind) for kind in kinds)


def _keeps(schema: Any, *path: str) -> bool:
    """Whether the field at the path is defined, or stands in a part where nothing is pruned."""
    for name in path:
        if schema.get("x-kubernetes-preserve-unknown-fields"):
            return True
        schema = (schema.get("properties") or {}).get(name)
        if schema is None:
            return False
    return True
