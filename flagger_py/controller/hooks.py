"""The webhook client: gates, rollout hooks and event hooks (engine:HOOK-01..12, metrics:WH-01..06)."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from flagger_py.api.analysis import HookType, Webhook
from flagger_py.api.durations import parse_duration
from flagger_py.api.effective import DEFAULT_HOOK_TIMEOUT, hook_attempts
from flagger_py.http.client import DIRECT, HttpClient, HttpError, HttpRequest, HttpResponse, Unreachable
from flagger_py.rollout.verdicts import HookResult

GREATEST_PAUSE: Final = timedelta(seconds=30)
_SUCCESS: Final = 202
_MESSAGE_BYTES: Final = 1024
_MAY_SAY_WHEN: Final = (429, 503)


@dataclass(frozen=True, slots=True)
class HookEvent:
    """What an event hook is told; `kind` is `Normal` or `Warning`."""

    message: str
    kind: str
    at: datetime

    def metadata(self) -> dict[str, str]:
        """The three keys that a hook's own metadata cannot override (engine:HOOK-02)."""
        return {"eventMessage": self.message, "eventType": self.kind, "timestamp": str(int(self.at.timestamp() * 1000))}


@dataclass(frozen=True, slots=True, kw_only=True)
class HookPayload:
    """The body of a call without the hook's metadata. `run` to `check_number` are additive: they name the step that asks."""

    name: str
    namespace: str
    phase: str
    checksum: str
    run: str = ""
    revision: str = ""
    step: int = 0
    check_number: int = 0
    event: HookEvent | None = field(default=None)

    def body(self, metadata: Mapping[str, str]) -> bytes:
        """The JSON text; `metadata` is left out where it is empty (engine:HOOK-01)."""
        content: dict[str, Any] = {"name": self.name, "namespace": self.namespace, "phase": self.phase, "checksum": self.checksum}
        if merged := {**metadata, **(self.event.metadata() if self.event else {})}:
            content["metadata"] = merged
        if self.run:
            content |= {"run": self.run, "revision": self.revision, "step": self.step, "checkNumber": self.check_number}
        return orjson.dumps(content)


class HookClient:
    """Calls webhooks. Time passes only in `asyncio.sleep` and in the HTTP client."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def call(self, hook: Webhook, payload: HookPayload) -> HookResult:
        """The answer after all attempts. A hook that cannot be reached or read is a failed one, never an exception."""
        try:
            timeout = attempt_timeout(hook)
        except ValueError as error:
            return HookResult(hook.name, passed=False, message=f"timeout {hook.timeout!r} cannot be read: {error}")
        request = _request(hook, payload, timeout)
        attempts = hook_attempts(hook)
        for attempt in range(attempts):
            outcome = await self._attempt(request)
            if isinstance(outcome, HttpResponse) and outcome.status <= _SUCCESS:
                return HookResult(hook.name, passed=True)
            if not _is_worth_a_retry(outcome):
                return HookResult(hook.name, passed=False, message=_message(outcome))
            if attempt + 1 < attempts:
                await asyncio.sleep(pause_after(attempt, outcome).total_seconds())
        return HookResult(hook.name, passed=False, message=_cut(f"giving up after {attempts} attempt(s): {_reason(outcome)}"))

    async def _attempt(self, request: HttpRequest) -> HttpResponse | HttpError:
        try:
            return await self._http.send(request)
        except HttpError as error:
            return error


def limit(hook: Webhook) -> timedelta:
    """The longest that a call can take: all attempts and the greatest pauses between them; one default attempt if it cannot be read."""
    attempts = hook_attempts(hook)
    try:
        return attempt_timeout(hook) * attempts + GREATEST_PAUSE * (attempts - 1)
    except (ValueError, OverflowError):
        return DEFAULT_HOOK_TIMEOUT


def attempt_timeout(hook: Webhook) -> timedelta:
    """The time-out of one attempt (engine:HOOK-06). Raises `ValueError` for what is no duration, as in `10mm`.

    For hooks other than event hooks a text of one character counts as none; a time-out of zero or less means the default.
    """
    shortest = 1 if hook.type == HookType.EVENT else 2
    if len(hook.timeout) < shortest:
        return DEFAULT_HOOK_TIMEOUT
    given = parse_duration(hook.timeout)
    return given if given > timedelta() else DEFAULT_HOOK_TIMEOUT


def pause_after(attempt: int, outcome: HttpResponse | HttpError, now: datetime | None = None) -> timedelta:
    """1, 2, 4 … 30 s after the attempts 0, 1, 2 …, or what `Retry-After` says, up to 30 s (engine:HOOK-07)."""
    if isinstance(outcome, HttpResponse) and outcome.status in _MAY_SAY_WHEN:
        asked = _retry_after(outcome.headers.get("retry-after", ""), now or datetime.now(UTC))
        if asked is not None:
            return min(max(asked, timedelta()), GREATEST_PAUSE)
    return min(timedelta(seconds=1 << min(attempt, 10)), GREATEST_PAUSE)


def _retry_after(text: str, now: datetime) -> timedelta | None:
    """Seconds or an HTTP date; `None` for anything else."""
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:10]), 3600))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now


def _request(hook: Webhook, payload: HookPayload, timeout: timedelta) -> HttpRequest:
    return HttpRequest(
        "POST",
        hook.url,
        {"Content-Type": "application/json"},
        payload.body(hook.metadata),
        timeout=timeout.total_seconds(),
        verify=not hook.disable_tls,
        proxy=DIRECT if hook.disable_tls else "",  # Flagger's client without verification knows no proxy either (engine:HOOK-08)
    )


def _is_worth_a_retry(outcome: HttpResponse | HttpError) -> bool:
    if isinstance(outcome, HttpError):
        return isinstance(outcome, Unreachable)
    return outcome.status == 429 or (outcome.status >= 500 and outcome.status != 501)


def _message(outcome: HttpResponse | HttpError) -> str:
    """The body is the message of a gate; without one the status stands for it (engine:HOOK-05)."""
    if isinstance(outcome, HttpResponse) and (body := _text(outcome.body)):
        return _cut(body)
    return _cut(_reason(outcome))


def _reason(outcome: HttpResponse | HttpError) -> str:
    if isinstance(outcome, HttpError):
        return str(outcome)
    body = _text(outcome.body)
    return f"HTTP {outcome.status} {outcome.reason}".rstrip() + (f": {body}" if body else "")


def _text(body: bytes) -> str:
    return body[: 2 * _MESSAGE_BYTES].decode("utf-8", errors="replace").strip()


def _cut(message: str) -> str:
    return message.encode()[:_MESSAGE_BYTES].decode("utf-8", errors="ignore")
