"""How a router says that it cannot map a field exactly."""

from flagger_py.api.base import ApiModel
from flagger_py.api.canary import Canary
from flagger_py.api.problems import Problem, shown
from flagger_py.routers.base import RouterError


def refusal(canary: Canary, path: str, value: object, allowed: str) -> RouterError:
    """An error that names the Canary, the field, its value and what is allowed."""
    said = value.to_manifest() if isinstance(value, ApiModel) else value
    return RouterError(f"{canary}: {Problem(path=f'spec.{path}', value=shown(said), message=allowed)}")
