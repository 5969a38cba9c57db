"""Plug-in point 2: the MetricProvider contract. Found by `provider.type` in the entry-point group `flagger_py.metrics`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from flagger_py.http.client import HttpClient
from flagger_py.rollout.sample import Sample


class MetricError(Exception):
    """A query could not be answered. The class says what it means; the message names the provider's address and never a credential.

    MetricError
    ├── Unavailable    the provider cannot be reached, timed out, or failed (5xx, 429): try again
    ├── Refused        the provider refuses us (401, 403, TLS, missing credential): someone must act
    └── InvalidQuery   the provider does not accept the query, or its answer is no single number: the template must change
    """


class Unavailable(MetricError):
    """No usable answer came."""


class Refused(MetricError):
    """The provider refuses the credentials, or one is missing."""


class InvalidQuery(MetricError):
    """The query or its result is of the wrong kind."""


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """One provider as a MetricTemplate or a flag describes it; `credentials` are the decoded values of its Secret."""

    address: str = ""
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    region: str = ""
    insecure_skip_verify: bool = False


class MetricProvider(ABC):
    """Answers queries. Construction does no I/O and raises `Refused` or `InvalidQuery` for a config that can never work."""

    def __init__(self, config: ProviderConfig, http: HttpClient) -> None:
        self.config = config
        self.http = http

    @abstractmethod
    async def query(self, query: str, window: timedelta) -> Sample:
        """The value of a rendered query over the window that ends now. Raises `MetricError`."""

    @abstractmethod
    async def ping(self) -> None:
        """Return if the provider can be asked. Raises `MetricError`."""
