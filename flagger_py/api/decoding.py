"""From a manifest to a model, one object at a time: a malformed one gives its problems and never hides the others (api:API-16)."""

from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from flagger_py.api.base import ApiModel
from flagger_py.api.canary import Canary
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
