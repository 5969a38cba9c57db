"""The weights that a route object asks for over time, and whether real answers fit them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from math import comb
from typing import Any, Final

from flagger_py.local.envoy.translation import HTTP_PROXY, HTTP_ROUTE, VIRTUAL_SERVICE
from flagger_py.local.traffic import Answer
from flagger_py.objects.resource import Manifest, Resource

POLL: Final = 0.1
TAKEN_AFTER: Final = 0.5
"""Seconds after a change of the route in which Envoy may still use the weights before it; it mostly needs a tenth of them."""
CHANCE: Final = 1e-6
"""How unlikely a count must be before it is called wrong: two-sided, by the binomial distribution."""

ROUTES: Final = {
    "gatewayapi:v1": HTTP_ROUTE,
    "gatewayapi:v1beta1": Resource("gateway.networking.k8s.io", "v1beta1", "httproutes", "HTTPRoute"),
    "istio": VIRTUAL_SERVICE,
    "contour": HTTP_PROXY,
    "example-route": HTTP_ROUTE,
}


@dataclass
class Stay:
    """A weight of the canary, the version that the primary is given, and the time for which both were seen."""

    weight: int
    primary: str
    since: float
    until: float

    def covers(self, answer: Answer) -> bool:
        """Whether the whole request fell into the time in which Envoy is sure to have used the weight."""
        return answer.at - answer.latency >= self.since + TAKEN_AFTER and answer.at <= self.until


class WeightLog:
    """Follows the canary weight of one app's route."""

    def __init__(
        self, provider: str, read: Callable[[Resource], Awaitable[Manifest | None]], primary: Callable[[], Awaitable[str]]
    ) -> None:
        self.stays: list[Stay] = []
        self._resource = ROUTES[provider]
        self._read = read
        self._primary = primary

    @property
    def latest(self) -> int | None:
        return self.stays[-1].weight if self.stays else None

    @property
    def weights(self) -> list[int]:
        """The weights that the route went through."""
        return [weight for weight, _ in groupby(stay.weight for stay in self.stays)]

    def forget(self) -> None:
        """Forget what was before the weight that holds now."""
        del self.stays[:-1]

    def end_of(self, version: str) -> float:
        """Until when the canary, and nobody else, was seen to have this version and traffic."""
        return max(stay.until for stay in self.stays if stay.weight and stay.primary != version)

    async def follow(self) -> None:
        """Until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            asked, route = clock(), await self._read(self._resource)
            if route is not None:
                self._note(canary_weight(route), await self._primary(), asked, clock())
            await asyncio.sleep(POLL)

    def _note(self, weight: int, primary: str, asked: float, answered: float) -> None:
        if not self.stays or (self.stays[-1].weight, self.stays[-1].primary) != (weight, primary):
            self.stays.append(Stay(weight, primary, answered, answered))
        self.stays[-1].until = max(asked, self.stays[-1].since)

    def assert_measured(self, version: str, answers: tuple[Answer, ...], *, at_least: int = 0) -> None:
        """The answers of the canary's version fit each weight, of at least so many; once the primary is given it too, nobody can tell."""
        for stay in (stay for stay in self.stays if stay.primary != version):
            covered = [answer.version == version for answer in answers if stay.covers(answer)]
            text = f"{sum(covered)} of {len(covered)} answers by {version} at weight {stay.weight} beside primary {stay.primary}"
            assert len(covered) >= at_least or not stay.weight, text
            assert is_plausible(sum(covered), len(covered), stay.weight), text


def canary_weight(route: Manifest) -> int:
    """The weight of the canary's backend, in whichever kind of route.

    Rules for the holders of cookies come before the one that splits; in an HTTPProxy those who do not match come last.
    """
    weights = [weight for name, weight in _weights(route["spec"]) if name.endswith("-canary")] or [0]
    return weights[0 if route["kind"] == HTTP_PROXY.kind else -1]


def _weights(node: Any) -> Iterator[tuple[str, int]]:
    if isinstance(node, list):
        for entry in node:
            yield from _weights(entry)
    elif isinstance(node, dict):
        if "weight" in node:
            yield str(node.get("name") or node.get("destination", {}).get("host", "")), int(node["weight"])
        for value in node.values():
            yield from _weights(value)


def is_plausible(found: int, total: int, percent: int) -> bool:
    """Whether a count is one that chance gives for this percentage."""
    if percent in (0, 100):
        return found == total * percent // 100
    return min(_at_most(found, total, percent / 100), _at_most(total - found, total, 1 - percent / 100)) > CHANCE / 2


def _at_most(found: int, total: int, share: float) -> float:
    return sum(comb(total, count) * share**count * (1 - share) ** (total - count) for count in range(found + 1))
