"""Metric providers for checks: from a flag or a MetricTemplate and its Secret, kept while these stay the same, asked in turn.

`CannotCheck` is the one error that leaves this module: whatever a template, a Secret, a provider or a stranger's plug-in does
wrong becomes a failed check of the Canaries that use it.
"""

import asyncio
import base64
import binascii
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar
from weakref import WeakValueDictionary

import structlog

from flagger_py.api.canary import Canary
from flagger_py.api.decoding import Undecodable, decode
from flagger_py.api.metric_template import MetricTemplate
from flagger_py.api.references import ObjectRef
from flagger_py.api.rollout_record import CheckOutcome
from flagger_py.http.client import HttpClient
from flagger_py.metrics import registry
from flagger_py.metrics.base import InvalidQuery, MetricError, MetricProvider, ProviderConfig, Refused, Unavailable
from flagger_py.metrics.prometheus import PrometheusProvider
from flagger_py.objects.errors import ApiError
from flagger_py.objects.plugins import PluginError
from flagger_py.objects.protocol import Objects
from flagger_py.objects.resource import METRIC_TEMPLATE, SECRET, Ref
from flagger_py.rollout.sample import Sample

QUERIES_AT_A_TIME: Final = 8
"""Per provider address (design §3)."""
CALL_LIMIT_SECONDS: Final = 60.0
"""For a plug-in that has no time-out of its own; the built-in ones have shorter ones. Waiting for one's turn does not count."""

_KEPT_PROVIDERS: Final = 500
_WORDS: Final[Mapping[type[MetricError], str]] = {
    Unavailable: "the provider gave no usable answer",
    Refused: "the provider refuses",
    InvalidQuery: "the query cannot be answered",
}

T = TypeVar("T")

log = structlog.get_logger(__name__)


class CannotCheck(Exception):
    """A check has no value to judge; the message names the object or provider and what is wrong with it."""

    def __init__(self, message: str, outcome: CheckOutcome = CheckOutcome.ERROR) -> None:
        super().__init__(message)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class MetricSettings:
    """What the flags say about metrics."""

    mesh_provider: str = "istio"
    metrics_server: str = "http://prometheus:9090"
    cross_namespace_refs: bool = True
    """False with `-no-cross-namespace-refs`."""


class MetricProviders:
    """One for the whole process. Providers share the HTTP client; a slow one delays only who asks the same address."""

    def __init__(self, http: HttpClient, settings: MetricSettings) -> None:
        self._http = http
        self._settings = settings
        self._kept: OrderedDict[str, tuple[str, MetricProvider]] = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        """By address; one that nobody waits at goes by itself."""

    def prometheus(self, canary: Canary) -> MetricProvider:
        """The server of the built-in checks and of inline queries (metrics:OBS-SEL-06). Raises `CannotCheck`."""
        address = canary.spec.metrics_server or self._settings.metrics_server
        return self._provider(f"address {address}", "", PrometheusProvider, ProviderConfig(address))

    async def template(self, canary: Canary, ref: ObjectRef, objects: Objects) -> MetricTemplate:
        """The MetricTemplate of a metric, where the Canary may refer to it (engine:NS-02, NS-04). Raises `CannotCheck`."""
        place = Ref(METRIC_TEMPLATE, ref.namespace or canary.namespace, ref.name)
        if place.namespace != canary.namespace and not self._settings.cross_namespace_refs:
            raise CannotCheck(f"{place}: references to other namespaces are switched off (-no-cross-namespace-refs)")
        manifest = await _asked_for(place, objects.read(place))
        if manifest is None:
            raise CannotCheck(f"{place} does not exist")
        template = decode(MetricTemplate, manifest)
        if isinstance(template, Undecodable):
            raise CannotCheck(f"{place}: {'; '.join(map(str, template.problems))}")
        return template

    async def of_template(self, template: MetricTemplate, objects: Objects) -> MetricProvider:
        """The provider of a template, with the Secret as it is now (metrics:TPL-04, TPL-05). Raises `CannotCheck`."""
        spec = template.spec.provider
        credentials, secret_version = await self._credentials(template, objects)
        try:
            kind = registry.load(spec.type)
        except PluginError as error:
            raise CannotCheck(f"{_name(template)}: {error}") from error
        config = ProviderConfig(
            address=spec.address,
            headers=spec.headers,
            credentials=credentials,
            region=spec.region,
            insecure_skip_verify=spec.insecure_skip_verify,
        )
        version = f"{template.metadata.resource_version}/{secret_version}"
        return self._provider(f"template {template.metadata.uid}", version, kind, config)

    async def query(self, provider: MetricProvider, text: str, window: timedelta) -> Sample:
        """The provider's answer. Raises `CannotCheck`."""
        return await self._in_turn(provider, partial(provider.query, text, window))

    async def ping(self, provider: MetricProvider) -> None:
        """Return if the provider can be asked. Raises `CannotCheck`."""
        await self._in_turn(provider, provider.ping)

    async def _credentials(self, template: MetricTemplate, objects: Objects) -> tuple[Mapping[str, str], str]:
        """The Secret's values and its version, read live from the template's namespace."""
        reference = template.spec.provider.secret_ref
        if reference is None:
            return {}, ""
        place = Ref(SECRET, template.namespace, reference.name)
        manifest = await _asked_for(place, objects.get(place))
        if manifest is None:
            raise CannotCheck(f"{place} of {_name(template)} does not exist")
        data = manifest.get("data") or {}
        if not data:
            raise CannotCheck(f"{place} of {_name(template)} holds no data")
        return {key: _decoded(place, key, value) for key, value in data.items()}, manifest["metadata"].get("resourceVersion", "")

    def _provider(self, key: str, version: str, kind: type[MetricProvider], config: ProviderConfig) -> MetricProvider:
        """The kept one if nothing has changed, else a new one."""
        known = self._kept.get(key)
        if known is None or known[0] != version or not isinstance(known[1], kind):
            known = (version, self._construct(kind, config))
        self._kept[key] = known
        self._kept.move_to_end(key)
        if len(self._kept) > _KEPT_PROVIDERS:
            self._kept.popitem(last=False)
        return known[1]

    def _construct(self, kind: type[MetricProvider], config: ProviderConfig) -> MetricProvider:
        try:
            return kind(config, self._http)
        except MetricError as error:
            raise CannotCheck(str(error)) from error
        except Exception as error:  # a stranger's plug-in may raise anything, and hurts only who uses it
            log.exception("metric_provider_failed", provider=kind.__qualname__)
            raise CannotCheck(f"the provider {kind.__qualname__} failed: {type(error).__name__}") from error

    async def _in_turn(self, provider: MetricProvider, call: Callable[[], Awaitable[T]]) -> T:
        turns = self._turns.setdefault(provider.config.address or type(provider).__qualname__, asyncio.Semaphore(QUERIES_AT_A_TIME))
        async with turns:
            return await _guarded(provider, call)


async def _guarded(provider: MetricProvider, call: Callable[[], Awaitable[T]]) -> T:
    name = type(provider).__qualname__
    try:
        async with asyncio.timeout(CALL_LIMIT_SECONDS):
            return await call()
    except MetricError as error:
        outcome = CheckOutcome.UNREACHABLE if isinstance(error, Unavailable) else CheckOutcome.ERROR
        raise CannotCheck(f"{_word(error)}: {error}", outcome) from error
    except TimeoutError as error:
        raise CannotCheck(f"the provider {name} gave no answer within {CALL_LIMIT_SECONDS:g} s", CheckOutcome.UNREACHABLE) from error
    except Exception as error:  # a stranger's plug-in may raise anything, and hurts only who uses it
        log.exception("metric_provider_failed", provider=name)
        raise CannotCheck(f"the provider {name} failed: {type(error).__name__}") from error


async def _asked_for(place: Ref, call: Awaitable[T]) -> T:
    try:
        return await call
    except ApiError as error:
        raise CannotCheck(f"{place} cannot be read: {error}") from error


def _word(error: MetricError) -> str:
    return next((word for kind, word in _WORDS.items() if isinstance(error, kind)), "the provider failed")


def _name(template: MetricTemplate) -> Ref:
    return Ref(METRIC_TEMPLATE, template.namespace, template.metadata.name)


def _decoded(place: Ref, key: str, value: object) -> str:
    try:
        return base64.b64decode(str(value), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        # Without a cause: it would show the value.
        raise CannotCheck(f"{place}: the value of {key} is no text") from None
