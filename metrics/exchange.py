"""One request to a metric provider over HTTP, with the HTTP errors and codes sorted into `MetricError`s."""

from typing import Any

import orjson

from flagger_py.http.client import BadUrl, Denied, HttpClient, HttpError, HttpRequest, HttpResponse, Untrusted
from flagger_py.metrics.base import InvalidQuery, MetricError, Refused, Unavailable

_SHOWN = 512
"""Characters of an answer that a message quotes."""


async def fetch_json(http: HttpClient, request: HttpRequest, provider: str) -> Any:
    """The decoded answer. `provider` begins every message. Raises `MetricError`."""
    try:
        response = await http.send(request)
    except HttpError as error:
        raise _kind(error)(f"{provider}: {_without_host(str(error), provider)}") from error
    if response.status >= 400:
        said = ": ".join(part for part in (f"HTTP {response.status} {response.reason}".rstrip(), _excerpt(response)) if part)
        raise _status_kind(response.status)(f"{provider}: {said}")
    try:
        return orjson.loads(response.body)
    except orjson.JSONDecodeError as error:
        raise Unavailable(f"{provider}: the answer is no JSON but {_content_type(response)}: {_excerpt(response)}") from error


def _without_host(text: str, provider: str) -> str:
    """An HTTP error begins with the host, which mostly stands in the provider's name already."""
    host, _, reason = text.partition(": ")
    return reason if reason and provider.endswith(f" {host}") else text


def _kind(error: HttpError) -> type[MetricError]:
    match error:
        case Untrusted() | Denied():
            return Refused
        case BadUrl():
            return InvalidQuery
        case _:
            return Unavailable


def _status_kind(status: int) -> type[MetricError]:
    if status in {401, 403, 407}:
        return Refused
    return Unavailable if status in {408, 425, 429} or status >= 500 else InvalidQuery


def _content_type(response: HttpResponse) -> str:
    return response.headers.get("content-type", "").partition(";")[0] or "something else"


def _excerpt(response: HttpResponse) -> str:
    text = " ".join(response.body[: 4 * _SHOWN].decode("utf-8", errors="replace").split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
