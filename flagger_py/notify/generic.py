"""A JSON body of our own for any HTTP receiver, which Flagger lacks (metrics:ALR-GEN-01)."""

import hashlib
import hmac
from datetime import UTC

import orjson

from flagger_py.http.client import HttpRequest
from flagger_py.notify.base import Alert, Notifier, NotifierConfig, post_bytes


class GenericNotifier(Notifier):
    """Tells anything that takes a POST.

    Keys of the Secret: `token` is sent as a bearer token; with `hmacKey` the header `X-Signature: sha256=<hex>` carries the
    HMAC-SHA256 of the body, so that the receiver knows who wrote it. The body holds `id` and `timestamp` against replays.
    """

    def render(self, alert: Alert, config: NotifierConfig) -> HttpRequest:
        body = orjson.dumps(
            {
                "name": alert.name,
                "namespace": alert.namespace,
                "phase": alert.phase,
                "message": alert.message,
                "severity": alert.severity.value,
                "fields": {field.name: field.value for field in alert.fields},
                "id": alert.id,
                "timestamp": alert.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )
        return post_bytes(config, body, headers=_headers(body, config))


def _headers(body: bytes, config: NotifierConfig) -> dict[str, str]:
    headers = {}
    if token := config.credentials.get("token"):
        headers["Authorization"] = f"Bearer {token}"
    if key := config.credentials.get("hmacKey"):
        headers["X-Signature"] = f"sha256={hmac.new(key.encode(), body, hashlib.sha256).hexdigest()}"
    return headers
