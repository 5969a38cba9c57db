"""What each service is sent: one golden payload for each generation, and the rules around it (metrics:§4.2)."""

import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from flagger_py.api.analysis import Severity
from flagger_py.http.client import HttpRequest, HttpResponse
from flagger_py.notify import registry
from flagger_py.notify.base import Alert, AlertField, NotifierConfig

FIELDS = (AlertField("Cluster", "prod"), AlertField("Target", "Deployment/web.shop"))
INFO = Alert(
    id="7f3a-promoted-1",
    name="web",
    namespace="shop",
    phase="Succeeded",
    severity=Severity.INFO,
    message="Canary analysis completed successfully, promotion finished.",
    at=datetime(2026, 1, 2, 3, 4, 5, 678000, UTC),
)
ERROR = replace(INFO, phase="Failed", severity=Severity.ERROR, message="Rolling back: success rate 50% < 99% & more", fields=FIELDS)

CONNECTOR = "https://acme.webhook.office.com/webhookb2/KEY"
WORKFLOW = "https://prod-12.westeurope.logic.azure.com:443/workflows/KEY/triggers/manual/paths/invoke?sig=KEY"


def slack(color: str, text: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    attachment = {"color": color, "author_name": "web.shop", "text": text, "mrkdwn_in": ["text"], "fields": fields}
    return {"channel": "general", "username": "flagger", "icon_url": "", "icon_emoji": ":rocket:", "attachments": [attachment]}


SLACK_FIELDS = [
    {"title": "Cluster", "value": "prod", "short": False},
    {"title": "Target", "value": "Deployment/web.shop", "short": False},
]
FACTS = [{"name": "Cluster", "value": "prod"}, {"name": "Target", "value": "Deployment/web.shop"}]


def message_card(color: str, message: str, facts: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "themeColor": color,
        "summary": "web.shop",
        "sections": [{"activityTitle": message, "activitySubtitle": "web.shop", "facts": facts}],
    }


def adaptive_card(*body: dict[str, Any]) -> dict[str, Any]:
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": list(body),
    }
    return {"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": content}]}


def chat_card(*texts: str) -> dict[str, Any]:
    header = {"title": "Flagger", "subtitle": "web.shop", "imageUrl": "https://flagger.app/favicon.png"}
    return {"cards": [{"header": header, "sections": [{"widgets": [{"textParagraph": {"text": text}}]} for text in texts]}]}


GOLDEN: dict[str, tuple[str, str, Alert, dict[str, Any]]] = {
    "slack info": ("slack", "https://hooks.slack.example/KEY", INFO, slack("good", INFO.message, [])),
    "slack error": (
        "slack",
        "https://hooks.slack.example/KEY",
        ERROR,
        slack("danger", "Rolling back: success rate 50% &lt; 99% &amp; more", SLACK_FIELDS),
    ),
    "rocket info": ("rocket", "https://chat.example/hooks/KEY", INFO, slack("#0076D7", INFO.message, [])),
    "rocket error": ("rocket", "https://chat.example/hooks/KEY", ERROR, slack("#FF0000", ERROR.message, SLACK_FIELDS)),
    "discord error": ("discord", "https://discord.example/api/webhooks/1/KEY", ERROR, slack("danger", ERROR.message, SLACK_FIELDS)),
    "msteams connector info": ("msteams", CONNECTOR, INFO, message_card("0076D7", INFO.message, [])),
    "msteams connector error": ("msteams", CONNECTOR, ERROR, message_card("FF0000", ERROR.message, FACTS)),
    "msteams workflow info": (
        "msteams",
        WORKFLOW,
        INFO,
        adaptive_card(
            {"type": "TextBlock", "text": "web.shop", "weight": "Bolder", "color": "Accent", "wrap": True},
            {"type": "TextBlock", "text": INFO.message, "wrap": True},
        ),
    ),
    "msteams workflow error": (
        "msteams",
        WORKFLOW,
        ERROR,
        adaptive_card(
            {"type": "TextBlock", "text": "web.shop", "weight": "Bolder", "color": "Attention", "wrap": True},
            {"type": "TextBlock", "text": ERROR.message, "wrap": True},
            {"type": "FactSet", "facts": [{"title": "Cluster", "value": "prod"}, {"title": "Target", "value": "Deployment/web.shop"}]},
        ),
    ),
    "gchat info": (
        "gchat",
        "https://chat.googleapis.example/v1/spaces/A/messages?key=KEY",
        INFO,
        chat_card(f"<font color=#848484><strong>{INFO.message}</strong></font>"),
    ),
    "gchat error": (
        "gchat",
        "https://chat.googleapis.example/v1/spaces/A/messages?key=KEY",
        ERROR,
        chat_card(
            "<font color=#848484><strong>Rolling back: success rate 50% &lt; 99% &amp; more</strong></font>",
            "Cluster<br><font color=#848484><strong>prod</strong></font>",
            "Target<br><font color=#848484><strong>Deployment/web.shop</strong></font>",
        ),
    ),
    "generic error": (
        "generic",
        "https://alerts.example/flagger",
        ERROR,
        {
            "name": "web",
            "namespace": "shop",
            "phase": "Failed",
            "message": ERROR.message,
            "severity": "error",
            "fields": {"Cluster": "prod", "Target": "Deployment/web.shop"},
            "id": "7f3a-promoted-1",
            "timestamp": "2026-01-02T03:04:05Z",
        },
    ),
}


def render(kind: str, alert: Alert = INFO, address: str = "https://example.com/KEY", **config: Any) -> HttpRequest:
    return registry.load(kind)().render(alert, NotifierConfig(address=address, **config))


def refusal(kind: str, status: int, body: bytes = b"") -> str:
    return registry.load(kind)().refusal(HttpResponse(status, "Reason", {}, body))


@pytest.mark.parametrize(("kind", "address", "alert", "body"), GOLDEN.values(), ids=GOLDEN)
def test_the_payload_is(kind: str, address: str, alert: Alert, body: dict[str, Any]) -> None:
    """metrics:ALR-SLACK-01, metrics:ALR-ROCKET-01, metrics:ALR-TEAMS-01, metrics:ALR-GCHAT-01, metrics:ALR-GEN-01"""
    assert orjson.loads(render(kind, alert, address).body or b"") == body


@pytest.mark.parametrize("kind", registry.names())
def test_every_type_is_a_json_post_within_5_seconds(kind: str) -> None:
    """metrics:ALR-08"""
    request = render(kind, proxy="http://proxy:3128")
    assert (request.method, request.headers["Content-Type"], request.timeout) == ("POST", "application/json", 5.0)
    assert request.proxy == "http://proxy:3128"
    assert request.url.startswith("https://example.com/KEY")


def test_the_registry_offers_flaggers_types_and_ours() -> None:
    """metrics:ALR-01"""
    assert registry.names() == ("discord", "gchat", "generic", "msteams", "rocket", "slack")


@pytest.mark.parametrize("kind", registry.names())
def test_only_slack_and_our_own_type_send_the_token(kind: str) -> None:
    """metrics:ALR-08, metrics:ALR-SLACK-02"""
    headers = render(kind, credentials={"token": "xoxb"}).headers
    assert headers.get("Authorization") == ("Bearer xoxb" if kind in {"slack", "generic"} else None)
    assert "Authorization" not in render(kind).headers


@pytest.mark.parametrize("kind", ["slack", "discord", "rocket"])
def test_channel_and_username_are_sent(kind: str) -> None:
    """metrics:ALR-SLACK-01"""
    body = orjson.loads(render(kind, channel="#releases", username="bot").body or b"")
    assert (body["channel"], body["username"]) == ("#releases", "bot")


def test_a_warning_is_not_red() -> None:
    """metrics:ALR-SLACK-01: only errors are `danger`"""
    alert = replace(INFO, severity=Severity.WARN)
    assert orjson.loads(render("slack", alert).body or b"")["attachments"][0]["color"] == "good"


def test_a_hooks_answer_cannot_mention_a_whole_channel() -> None:
    alert = replace(INFO, message="hook said <!channel>", fields=(AlertField("Target", "<@U1>"),))
    attachment = orjson.loads(render("slack", alert).body or b"")["attachments"][0]
    assert attachment["text"] == "hook said &lt;!channel&gt;"
    assert attachment["fields"][0]["value"] == "&lt;@U1&gt;"


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://discord.com/api/webhooks/1/tok", "https://discord.com/api/webhooks/1/tok/slack"),
        ("https://discord.com/api/webhooks/1/tok/", "https://discord.com/api/webhooks/1/tok/slack"),
        ("https://discord.com/api/webhooks/1/tok?thread_id=5", "https://discord.com/api/webhooks/1/tok/slack?thread_id=5"),
        ("https://discord.com/api/webhooks/1/tok/slack", "https://discord.com/api/webhooks/1/tok/slack"),
        ("https://discord.com/api/webhooks/1/tok/slack?x=1", "https://discord.com/api/webhooks/1/tok/slack?x=1"),
        ("https://discord.com/api/webhooks/1/tok?to=/slack", "https://discord.com/api/webhooks/1/tok/slack?to=/slack"),
    ],
)
def test_discord_is_asked_at_its_slack_endpoint(address: str, url: str) -> None:
    """metrics:ALR-DISCORD-01: the path is tested, not the whole address"""
    assert render("discord", address=address).url == url


@pytest.mark.parametrize(
    ("address", "is_adaptive"),
    [
        (CONNECTOR, False),
        ("https://outlook.office.com/webhook/KEY", False),
        ("https://teams-proxy.example/KEY", False),
        ("https://logic.azure.com.evil.example/KEY", False),
        (WORKFLOW, True),
        ("https://default1.ab.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/KEY", True),
        ("https://API.powerautomate.com/webhook/KEY", True),
        ("https://proxy.example/powerautomate/automations/KEY", True),
    ],
)
def test_teams_gets_the_card_that_its_address_takes(address: str, is_adaptive: bool) -> None:
    """metrics:ALR-TEAMS-01"""
    body = orjson.loads(render("msteams", address=address).body or b"")
    assert ("attachments" in body) is is_adaptive
    assert ("@type" in body) is not is_adaptive


def test_a_generic_body_is_signed() -> None:
    """metrics:ALR-GEN-01"""
    request = render("generic", credentials={"hmacKey": "s3cret"})
    digest = hmac.new(b"s3cret", request.body or b"", hashlib.sha256).hexdigest()
    assert request.headers["X-Signature"] == f"sha256={digest}"
    assert "X-Signature" not in render("generic").headers


@pytest.mark.parametrize("kind", registry.names())
@pytest.mark.parametrize(
    ("status", "is_taken"), [(200, True), (202, True), (204, True), (299, True), (302, False), (404, False), (500, False)]
)
def test_2xx_means_taken(kind: str, status: int, is_taken: bool) -> None:
    """metrics:ALR-08, metrics:ALR-TEAMS-01"""
    assert refusal(kind, status) == ("" if is_taken else f"HTTP {status} Reason")


def test_the_body_of_a_refusal_is_not_quoted() -> None:
    """It may repeat the address, which is a secret."""
    assert "KEY" not in refusal("generic", 404, b"Cannot POST /services/KEY")


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("slack", b"ok", ""),
        ("slack", b'{"ok": true}', ""),
        ("slack", b"[]", ""),
        ("slack", b'{"ok": false, "error": "channel_not_found"}', "Slack refused it: channel_not_found"),
        ("slack", b'{"ok": false, "error": "https://hooks/KEY"}', "Slack refused it: no reason given"),
        ("slack", b'{"ok": false}', "Slack refused it: no reason given"),
        ("msteams", b"1", ""),
        ("msteams", b"Webhook message delivery failed with error: HTTP 429", "Teams did not deliver it"),
    ],
)
def test_a_refusal_with_status_200_is_one(kind: str, body: bytes, said: str) -> None:
    """metrics:ALR-08"""
    assert refusal(kind, 200, body) == said


def test_secrets_stay_out_of_the_repr() -> None:
    config = NotifierConfig(address="https://hooks/KEY", proxy="http://u:KEY@proxy", credentials={"token": "KEY"})
    assert "KEY" not in repr(config)
