"""The Notifier contract. Found by `type` of an AlertProvider in the entry-point group `flagger_py.notifiers`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from flagger_py.api.analysis import Severity
from flagger_py.http.client import HttpRequest, HttpResponse

TIMEOUT_SECONDS: Final = 5.0
"""Of one attempt, body included (metrics:ALR-08)."""
JSON: Final[Mapping[str, str]] = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class AlertField:
    """A named fact that is shown below the message (metrics:ALR-10)."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing that people are told about a Canary."""

    id: str
    """The same in every attempt, so that a receiver can tell a repeat."""
    name: str
    namespace: str
    phase: str
    severity: Severity
    message: str
    fields: tuple[AlertField, ...] = ()
    at: datetime

    @property
    def subject(self) -> str:
        """The Canary's own name, not its target's (metrics:ALR-09)."""
        return f"{self.name}.{self.namespace}"

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierConfig:
    """Where and how to send, from an AlertProvider and its Secret or from flags. `address` is an absolute http(s) URL and a secret."""

    address: str = field(repr=False)
    channel: str = "general"
    username: str = "flagger"
    proxy: str = field(default="", repr=False)
    """Empty: from the environment."""
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The decoded values of the Secret; `token` where there is one."""


class Notifier(ABC):
    """Renders alerts for one service. It holds no state and does no I/O, so that it can be golden-tested."""

    @abstractmethod
    def render(self, alert: Alert, config: NotifierConfig) -> HttpRequest:
        """The request that tells this alert. Raises `ValueError`, without showing a secret, where the config cannot do."""

    def refusal(self, response: HttpResponse) -> str:
        """Why the service did not take the alert; empty where it did. Never quotes the body, which may repeat the secret URL."""
        return "" if 200 <= response.status < 300 else f"HTTP {response.status} {response.reason}".rstrip()


def post(config: NotifierConfig, body: Mapping[str, Any], *, url: str = "", headers: Mapping[str, str] | None = None) -> HttpRequest:
    """A JSON body for the config's address, or for a `url` made from it; `headers` come on top of the content type."""
    return post_bytes(config, orjson.dumps(body), url=url, headers=headers)


def post_bytes(config: NotifierConfig, body: bytes, *, url: str = "", headers: Mapping[str, str] | None = None) -> HttpRequest:
    """The same for a body that is text already."""
    return HttpRequest("POST", url or config.address, {**JSON, **(headers or {})}, body, timeout=TIMEOUT_SECONDS, proxy=config.proxy)
