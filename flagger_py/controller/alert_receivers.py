"""Who takes alerts: an AlertProvider with its Secret, or the global notifier of the flags (metrics:ALR-01..07, ALR-G-*).

An address is a credential: messages name objects and hosts only.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

import structlog

from flagger_py.api import effective
from flagger_py.api.alert_provider import AlertProvider, AlertProviderSpec
from flagger_py.api.analysis import Alert
from flagger_py.api.canary import Canary
from flagger_py.api.decoding import Undecodable, decode
from flagger_py.controller.flags import ControllerFlags
from flagger_py.notify.base import NotifierConfig
from flagger_py.objects.errors import ApiError
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import ALERT_PROVIDER, SECRET, Ref

DEFAULT_CHANNEL: Final = "general"
DEFAULT_USERNAME: Final = "flagger"

log = structlog.get_logger(__name__)


class NotSent(Exception):
    """A receiver was not told; the message says why. `pause` is how long it asks to be left alone."""

    def __init__(self, message: str, pause: timedelta = timedelta()) -> None:
        super().__init__(message)
        self.pause = pause


@dataclass(frozen=True, slots=True)
class Receiver:
    """One place that takes alerts; `source` is what says so, for messages. An empty address means: nobody is to be told (ALR-07)."""

    type: str
    config: NotifierConfig
    source: str

    @property
    def host(self) -> str:
        """The part of the address that may be shown; empty where the address is no absolute http(s) URL."""
        try:
            parts = urlsplit(self.config.address)
        except ValueError:
            return ""
        return (parts.hostname or "") if parts.scheme.lower() in {"http", "https"} else ""


@dataclass(frozen=True, slots=True)
class GlobalNotifier:
    """The receiver for Canaries without alerts of their own, and why there is none although flags ask for it."""

    receiver: Receiver | None = None
    problem: str = ""

    def announce(self) -> None:
        """Log what became of the flags; never the URL (ALR-G-03)."""
        if self.problem:
            log.error("global_notifier_off", reason=self.problem)
        elif self.receiver:
            log.info("global_notifier", type=self.receiver.type, host=self.receiver.host)


def global_notifier(flags: ControllerFlags) -> GlobalNotifier:
    """Teams where its URL is set, whatever is set for Slack (ALR-G-02). A wrong setting switches it off, and stops nothing (ALR-G-03)."""
    if flags.msteams_url:
        config = NotifierConfig(address=flags.msteams_url, proxy=flags.msteams_proxy_url)
        return _checked(Receiver("msteams", config, "-msteams-url"))
    if not flags.slack_url:
        return GlobalNotifier()
    for name, value in (("-slack-user", flags.slack_user), ("-slack-channel", flags.slack_channel)):
        if not value:
            return GlobalNotifier(problem=f"-slack-url is set without {name}: nobody is told")
    config = NotifierConfig(
        address=flags.slack_url,
        channel=flags.slack_channel,
        username=flags.slack_user,
        proxy=flags.slack_proxy_url,
        credentials={"token": flags.slack_token},
    )
    return _checked(Receiver("slack", config, "-slack-url"))


def _checked(receiver: Receiver) -> GlobalNotifier:
    if not receiver.host:
        return GlobalNotifier(problem=f"{receiver.source} is no absolute http or https URL: nobody is told")
    return GlobalNotifier(receiver)


async def look_up(alert: Alert, canary: Canary, objects: Objects, *, cross_namespace_refs: bool) -> Receiver:
    """The AlertProvider of a Canary's alert, with its Secret as it is now (ALR-06). Raises `NotSent`."""
    place = Ref(ALERT_PROVIDER, effective.namespace_of(alert.provider_ref, canary), alert.provider_ref.name)
    if place.namespace != canary.namespace and not cross_namespace_refs:
        raise NotSent(f"{place}: references to other namespaces are switched off (-no-cross-namespace-refs)")
    try:
        return await _look_up(place, objects)
    except ApiError as error:
        raise NotSent(f"{place} or its Secret cannot be read: {error}") from error


async def _look_up(place: Ref, objects: Objects) -> Receiver:
    manifest = await objects.read(place)
    if manifest is None:
        raise NotSent(f"{place} does not exist")
    provider = decode(AlertProvider, manifest)
    if isinstance(provider, Undecodable):
        raise NotSent(f"{place}: {'; '.join(map(str, provider.problems))}")
    receiver = _receiver(place, provider.spec, await _secret(place, provider.spec, objects))
    if receiver.config.address and not receiver.host:
        raise NotSent(f"{place}: its address is no absolute http or https URL")
    return receiver


def _receiver(place: Ref, spec: AlertProviderSpec, secret: Mapping[str, str]) -> Receiver:
    """The Secret's address counts, and the one of the spec where the Secret has none."""
    if spec.secret_ref is not None and "address" not in secret and not spec.address:
        raise NotSent(f"{Ref(SECRET, place.namespace, spec.secret_ref.name)} of {place} has no key address")
    config = NotifierConfig(
        address=secret.get("address", spec.address),
        channel=spec.channel or DEFAULT_CHANNEL,
        username=spec.username or DEFAULT_USERNAME,
        proxy=spec.proxy,
        credentials={key: value for key, value in secret.items() if key != "address"},
    )
    return Receiver(spec.type, config, str(place))


async def _secret(place: Ref, spec: AlertProviderSpec, objects: Objects) -> Mapping[str, str]:
    """The values of the Secret in the provider's namespace, read live."""
    if spec.secret_ref is None:
        return {}
    secret = Ref(SECRET, place.namespace, spec.secret_ref.name)
    manifest = await objects.get(secret)
    if manifest is None:
        raise NotSent(f"{secret} of {place} does not exist")
    return {key: _decoded(secret, key, value) for key, value in (manifest.get("data") or {}).items()}


def _decoded(secret: Ref, key: str, value: str) -> str:
    """Without the line break that editors leave at the end (PRV-07)."""
    try:
        return base64.b64decode(value, validate=True).decode().strip()
    except (binascii.Error, UnicodeDecodeError):
        raise NotSent(f"{secret}: the value of {key} is no text") from None  # a cause would show the value
