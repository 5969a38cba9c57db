"""Microsoft Teams, in both generations: connectors take a MessageCard, workflows an Adaptive Card (metrics:ALR-TEAMS-01).

The address tells which one it is. Connectors are retired by Microsoft; an address of neither kind (a proxy of one's own, say) gets what
Flagger sends, the MessageCard.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from flagger_py.http.client import HttpRequest, HttpResponse
from flagger_py.notify.base import Alert, Notifier, NotifierConfig, post

_WORKFLOW_DOMAINS: Final = (
    "logic.azure.com",
    "logic.azure.us",
    "logic.azure.cn",
    "api.powerplatform.com",
    "api.powerplatform.us",
    "api.powerautomate.com",
    "flow.microsoft.com",
)
"""Where Power Automate takes requests; a region or an environment stands before it."""
_WORKFLOW_PATH: Final = "/powerautomate/"
_NOT_DELIVERED: Final = b"Webhook message delivery failed"
"""What a connector answers, with status 200, when Teams itself has refused the message."""


class TeamsNotifier(Notifier):
    """Tells Teams. Username and channel mean nothing there: the address stands for the channel."""

    def render(self, alert: Alert, config: NotifierConfig) -> HttpRequest:
        return post(config, adaptive_card(alert) if is_workflow(config.address) else message_card(alert))

    def refusal(self, response: HttpResponse) -> str:
        return super().refusal(response) or ("Teams did not deliver it" if _NOT_DELIVERED in response.body else "")


def is_workflow(address: str) -> bool:
    """Whether the address is one of a Power Automate workflow."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    is_known_host = any(host == domain or host.endswith(f".{domain}") for domain in _WORKFLOW_DOMAINS)
    return is_known_host or _WORKFLOW_PATH in parts.path.lower()


def message_card(alert: Alert) -> Mapping[str, Any]:
    """The card of Office 365 connectors, as Flagger sends it."""
    return {
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "themeColor": "FF0000" if alert.is_error else "0076D7",
        "summary": alert.subject,
        "sections": [
            {
                "activityTitle": alert.message,
                "activitySubtitle": alert.subject,
                "facts": [{"name": field.name, "value": field.value} for field in alert.fields],
            }
        ],
    }


def adaptive_card(alert: Alert) -> Mapping[str, Any]:
    """The message that the workflow "post to a channel when a webhook request is received" expects."""
    color = "Attention" if alert.is_error else "Accent"
    body: list[Mapping[str, Any]] = [
        {"type": "TextBlock", "text": alert.subject, "weight": "Bolder", "color": color, "wrap": True},
        {"type": "TextBlock", "text": alert.message, "wrap": True},
    ]
    if alert.fields:
        body.append({"type": "FactSet", "facts": [{"title": field.name, "value": field.value} for field in alert.fields]})
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body,
    }
    return {"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": content}]}
