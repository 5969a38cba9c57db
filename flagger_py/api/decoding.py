"""From a manifest to a model, one object at a time: a malformed one gives its problems and never hides the others (api:API-16)."""

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from flagger_py.api.base import ApiModel, ObjectMeta
from flagger_py.api.canary import Canary, CanarySpec
from flagger_py.api.problems import Problem, decoding_problem
from flagger_py.api.status import CanaryStatus

Model = TypeVar("Model", bound=ApiModel)


@dataclass(frozen=True, slots=True)
class Undecodable:
    """An object whose JSON has the wrong shape; there is at least one problem."""

    problems: tuple[Problem, ...]


def decode(model: type[Model], manifest: object) -> Model | Undecodable:
    """The object as a model, or what is wrong with its shape. Raises nothing."""
    try:
        return model.model_validate(manifest)
    except ValidationError as error:
        return Undecodable(tuple(decoding_problem(details) for details in error.errors(include_url=False)))


def parse_canary(manifest: object) -> Canary | Undecodable:
    """A Canary with its status."""
    return decode(Canary, manifest)


def parse_status(manifest: object) -> CanaryStatus | Undecodable:
    """The status of a Canary's manifest alone, which may be readable where the spec is not."""
    return decode(CanaryStatus, (manifest.get("status") if isinstance(manifest, dict) else None) or {})


def parse_readable(manifest: dict[str, Any]) -> Canary:
    """A Canary with as much of it as can be read, for one that is being deleted: that must not wait for its repair (engine:HAZ-07).

    `revertOnDeletion` counts as true where it cannot be read: it was once, or there would be no finalizer to wait for.
    """
    metadata, status = decode(ObjectMeta, manifest["metadata"]), parse_status(manifest)
    return Canary(
        metadata=ObjectMeta(name=manifest["metadata"]["name"]) if isinstance(metadata, Undecodable) else metadata,
        spec=_readable_spec(manifest.get("spec")),
        status=CanaryStatus() if isinstance(status, Undecodable) else status,
    )


def _readable_spec(spec: object) -> CanarySpec:
    if not isinstance(spec, dict):
        return CanarySpec(revert_on_deletion=True)
    readable = {field: value for field, value in spec.items() if not isinstance(decode(CanarySpec, {field: value}), Undecodable)}
    asked = {"revertOnDeletion": True} if "revertOnDeletion" in spec and "revertOnDeletion" not in readable else {}
    return CanarySpec.model_validate(readable | asked)
