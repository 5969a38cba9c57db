"""How a router says that it cannot map a field exactly."""

from flagger_py.api.canary import Canary
from flagger_py.api.problems import shown
from flagger_py.routers.base import RouterError


def refusal(canary: Canary, path: str, value: object, allowed: str) -> RouterError:
    """An error that names the Canary, the field, its value and what is allowed."""
    return RouterError(f"{canary}: spec.{path}: {shown(value)}: {allowed}")
