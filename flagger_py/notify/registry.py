"""The notifiers that are installed, by `type` of an AlertProvider."""

from flagger_py.notify.base import Notifier
from flagger_py.objects.plugins import BrokenPlugin, Origin, Plugins, UnknownPlugin

GROUP = "flagger_py.notifiers"


class UnknownNotifier(UnknownPlugin):
    """No installed distribution offers a notifier of this type."""


class BrokenNotifier(BrokenPlugin):
    """The notifier of this type is installed, but cannot be used."""


_NOTIFIERS: Plugins[Notifier] = Plugins(
    GROUP,
    Notifier,  # type: ignore[type-abstract]  # the base that plug-ins are checked against is abstract on purpose
    "alert type",
    unknown=UnknownNotifier,
    broken=BrokenNotifier,
)


def names() -> tuple[str, ...]:
    """The types on offer, sorted."""
    return _NOTIFIERS.names()


def load(alert_type: str) -> type[Notifier]:
    """The class of a type. Raises `UnknownNotifier` or `BrokenNotifier`."""
    return _NOTIFIERS.load(alert_type)


def origin(alert_type: str) -> Origin:
    """The distribution and version that a notifier comes from. Raises `UnknownNotifier` or `BrokenNotifier`."""
    return _NOTIFIERS.origin(alert_type)
