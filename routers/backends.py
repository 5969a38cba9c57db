"""The Services that a Canary's traffic is split between."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flagger_py.api.canary import Canary
from flagger_py.api.service import Service
from flagger_py.objects.resource import Ref, Resource
from flagger_py.routers.base import UnreadableRoutes
from flagger_py.routers.refusal import refusal


def service_of(canary: Canary) -> Service:
    """`spec.service`, which every router of manifests needs. Raises `RouterError`."""
    if canary.spec.service is None:
        raise refusal(canary, "service", None, "is required by this provider")
    return canary.spec.service


@dataclass(frozen=True, slots=True)
class Backends:
    """Names and port of the generated Services (routers:CTR-20)."""

    namespace: str
    apex: str
    port: int

    @classmethod
    def of(cls, canary: Canary) -> "Backends":
        service = service_of(canary)
        return cls(canary.namespace, service.name or canary.spec.target_ref.name, service.port)

    @property
    def primary(self) -> str:
        return f"{self.apex}-primary"

    @property
    def canary(self) -> str:
        return f"{self.apex}-canary"

    @property
    def names(self) -> frozenset[str]:
        """All three: a rule that sends to nothing else is ours to write."""
        return frozenset({self.apex, self.primary, self.canary})

    def route(self, resource: Resource) -> Ref:
        """The routing object, which has the name of the apex Service."""
        return Ref(resource, self.namespace, self.apex)

    def appear_in(self, value: object) -> bool:
        """Whether primary or canary is named anywhere in a part of a manifest."""
        match value:
            case str():
                return value in (self.primary, self.canary)
            case Mapping():
                return any(map(self.appear_in, value.values()))
            case list():
                return any(map(self.appear_in, value))
            case _:
                return False

    def led_to_apex(self, value: Any) -> Any:
        """A part of a manifest with the apex Service in the place of primary and canary, wherever one of them is named."""
        match value:
            case str():
                return self.apex if value in (self.primary, self.canary) else value
            case Mapping():
                return {key: self.led_to_apex(item) for key, item in value.items()}
            case list():
                return [self.led_to_apex(item) for item in value]
            case _:
                return value


def percentages(ref: Ref, path: str, primary: Any, canary: Any) -> tuple[int, int]:
    """Two weights as they stand in an object. Raises `UnreadableRoutes` where they do not sum to 100 (routers:CTR-02)."""
    if not (isinstance(primary, int) and isinstance(canary, int)) or min(primary, canary) < 0 or primary + canary != 100:
        raise UnreadableRoutes(f"{ref}: {path}: weights {primary} (primary) and {canary} (canary): must be 0..100 and sum to 100")
    return primary, canary
