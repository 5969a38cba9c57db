"""Plug-ins found through entry points: routers, metric providers, notifiers. Built-in ones register the same way as others.

PluginError
├── UnknownPlugin   no installed distribution offers the name: the Canary or the installation must change
└── BrokenPlugin    it is offered, but cannot be used (import failure, wrong type, offered twice): its distribution must change
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

Base = TypeVar("Base")


class PluginError(Exception):
    """A plug-in cannot be had; the message names it, its distribution where there is one, and the names that do work."""


class UnknownPlugin(PluginError):
    """Nothing installed offers this name."""


class BrokenPlugin(PluginError):
    """What offers this name cannot be used."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The distribution that a plug-in came with."""

    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".rstrip()


class Plugins(Generic[Base]):
    """The plug-ins of one entry-point group: read once, each imported when first asked for.

    `noun` is the word for one of them in messages, `unknown` and `broken` are the errors to raise.
    """

    def __init__(
        self,
        group: str,
        base: type[Base],
        noun: str,
        *,
        unknown: type[UnknownPlugin] = UnknownPlugin,
        broken: type[BrokenPlugin] = BrokenPlugin,
    ) -> None:
        self.group = group
        self.base = base
        self.noun = noun
        self._unknown = unknown
        self._broken = broken
        self._loaded: dict[str, type[Base]] = {}

    def names(self) -> tuple[str, ...]:
        """Every name on offer, sorted; whether it works shows when it is loaded."""
        return tuple(sorted(self._offers))

    def load(self, name: str) -> type[Base]:
        """The class behind a name. Raises `UnknownPlugin` or `BrokenPlugin`; a failure is tried again at the next call."""
        if name not in self._loaded:
            offer = self._offer(name)
            try:
                self._loaded[name] = self._import(offer)
            except (ImportError, TypeError) as error:
                raise self._refusal(offer, error) from error
        return self._loaded[name]

    def origin(self, name: str) -> Origin:
        """Where a name comes from. Raises `UnknownPlugin`, and `BrokenPlugin` where two distributions offer it."""
        return _origin(self._offer(name))

    def working(self) -> tuple[str, ...]:
        """The names that load; imports all of them."""
        return tuple(name for name in self.names() if self._works(name))

    @cached_property
    def _offers(self) -> Mapping[str, Sequence[EntryPoint]]:
        offers: dict[str, list[EntryPoint]] = {}
        for entry_point in entry_points(group=self.group):
            offers.setdefault(entry_point.name, []).append(entry_point)
        return offers

    def _offer(self, name: str) -> EntryPoint:
        offers = self._offers.get(name, ())
        if not offers:
            raise self._unknown(f"unknown {self.noun} {name!r}; known are: {', '.join(self.names()) or 'none'}")
        if len(offers) > 1:
            origins = " and ".join(sorted(str(_origin(offer)) for offer in offers))
            raise self._broken(f"{self.noun} {name!r} is offered by {origins}; uninstall all but one")
        return offers[0]

    def _import(self, offer: EntryPoint) -> type[Base]:
        """The class that an entry point names. Raises `ImportError` or `TypeError`, whatever the module itself raised."""
        try:
            found = offer.load()
        except (Exception, SystemExit) as error:  # a stranger's module may raise anything while it is imported
            raise ImportError(f"cannot be imported: {type(error).__name__}: {error}") from error
        if not (inspect.isclass(found) and issubclass(found, self.base)):
            raise TypeError(f"is no subclass of {self.base.__name__}")
        if missing := getattr(found, "__abstractmethods__", None):
            raise TypeError(f"does not define {', '.join(sorted(missing))}")
        return found

    def _refusal(self, offer: EntryPoint, reason: Exception) -> BrokenPlugin:
        working = ", ".join(name for name in self.names() if name != offer.name and self._works(name)) or "none"
        return self._broken(f"{self.noun} {offer.name!r} ({offer.value} of {_origin(offer)}) {reason}; these work: {working}")

    def _works(self, name: str) -> bool:
        offers = self._offers[name]
        try:
            return len(offers) == 1 and bool(self._import(offers[0]))
        except (ImportError, TypeError):  # reported by `load` of that name
            return False


def _origin(offer: EntryPoint) -> Origin:
    return Origin(offer.dist.name, offer.dist.version) if offer.dist else Origin("unknown", "")
