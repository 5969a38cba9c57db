"""Plug-in point 1: the Router contract, and `ManifestRouter` for backends whose state is Kubernetes objects.

A router is found by its provider name in the entry-point group `flagger_py.routers`. It is given everything it needs
(`Objects`, `RouterSettings`) and fetches nothing by itself.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from flagger_py.api.canary import Canary
from flagger_py.api.capabilities import Capabilities
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import Resource
from flagger_py.rollout.traffic import Pending, Routes, Traffic
from flagger_py.rollout.views import Awaited, Back, Owed


@dataclass(frozen=True, slots=True)
class RouterSettings:
    """The command-line flags that routers read."""

    provider: str
    ingress_class: str = ""
    """Contour's `ingressClassName` (`-ingress-class`)."""
    selector_labels: tuple[str, ...] = ("app", "name", "app.kubernetes.io/name")
    owner_references: bool = True
    """False where routes live in another cluster than the Canaries (engine:ENG-04)."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A resource that the router reads, and the verbs it needs on it: the source of watches and of RBAC rules."""

    resource: Resource
    verbs: tuple[str, ...] = ("get", "list", "watch", "create", "patch")


class RouterError(Exception):
    """The Canary or the routing objects cannot be handled as they are; the message names object, field, value and what is allowed."""


class UnreadableRoutes(RouterError):
    """The objects ask for weights that make no sense: somebody has edited them. Where the weights are known, they are set again."""


class Router(ABC):
    """Moves traffic between `<apex>-primary` and `<apex>-canary`. Every method may be called again at any time.

    All methods may raise `ApiError` and `RouterError`.
    """

    def __init__(self, objects: Objects, settings: RouterSettings) -> None:
        self.objects = objects
        self.settings = settings

    @classmethod
    @abstractmethod
    def resources(cls, provider: str) -> tuple[Watched, ...]:
        """What is watched and what RBAC needs."""

    @classmethod
    @abstractmethod
    def capabilities(cls, provider: str) -> Capabilities:
        """What the backend can do."""

    @abstractmethod
    async def set_routes(self, canary: Canary, traffic: Traffic) -> None:
        """Create the routing objects, or repair them, so that they carry exactly this traffic; writes nothing where they already do.

        There is no other way to write them (it serves both `reconcile` and `set_routes` of routers:§1.1): a repair cannot
        move weights by itself, because the weights to keep are an argument (routers:CTR-18).
        """

    @abstractmethod
    async def get_routes(self, canary: Canary) -> Routes | Pending:
        """The traffic that the objects carry now; `Pending` while there is none or the backend has not accepted it."""

    async def nudge(self, canary: Canary) -> None:  # noqa: B027 - most backends need none
        """Make a backend that has not taken over a change for long look again, once for each change. By default nothing."""

    async def prepare_finalize(self, canary: Canary) -> None:  # noqa: B027 - most backends need none
        """Make known to the backend what `finalize` will lead to, without traffic: called some seconds before. By default nothing."""

    @abstractmethod
    async def finalize(self, canary: Canary) -> None:
        """Put back what was there before; succeeds where nothing is left to do.

        Called when a Canary with `revertOnDeletion` is deleted, before the primary goes, and mostly more than once.
        """

    async def restoration(self, canary: Canary) -> Back | Owed | Awaited:
        """Whether `finalize` has something to do (`Owed`), and whether the backend has taken over what it did (`Awaited`).

        Looked at before and after `finalize`, until all is back. Where it cannot be said, as by default, `finalize` has the last word.
        """
        return Back()
