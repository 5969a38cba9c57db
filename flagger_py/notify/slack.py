"""Slack, by incoming webhook or by the Web API with a token (metrics:ALR-SLACK-01, ALR-SLACK-02), and what reads the same payload."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from flagger_py.http.client import HttpRequest, HttpResponse
from flagger_py.notify.base import Alert, Notifier, NotifierConfig, post

_ERROR_CODE: Final = re.compile(r"[a-z0-9_]{1,64}")


def as_is(text: str) -> str:
    """Text for a service that has no markup of its own in this payload."""
    return text


def payload(alert: Alert, config: NotifierConfig, color: str, escape: Callable[[str], str] = as_is) -> Mapping[str, Any]:
    """One attachment. An empty `fields` is sent as `[]`, an empty top-level `text` is left out."""
    fields = [{"title": field.name, "value": escape(field.value), "short": False} for field in alert.fields]
    attachment = {
        "color": color,
        "author_name": alert.subject,
        "text": escape(alert.message),
        "mrkdwn_in": ["text"],
        "fields": fields,
    }
    return {
        "channel": config.channel,
        "username": config.username,
        "icon_url": "",
        "icon_emoji": ":rocket:",
        "attachments": [attachment],
    }


def color_of(alert: Alert) -> str:
    """A warning is `good`, as in Flagger."""
    return "danger" if alert.is_error else "good"


class SlackNotifier(Notifier):
    """Tells Slack. A token is sent as a bearer token."""

    def render(self, alert: Alert, config: NotifierConfig) -> HttpRequest:
        token = config.credentials.get("token", "")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return post(config, payload(alert, config, color_of(alert), _escaped), headers=headers)

    def refusal(self, response: HttpResponse) -> str:
        """The Web API says no with status 200 and `{"ok": false}` (metrics:ALR-08)."""
        return super().refusal(response) or _web_api_error(response.body)


def _escaped(text: str) -> str:
    """Slack's three control characters: a hook's answer or a comparison must not become a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _web_api_error(body: bytes) -> str:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""  # an incoming webhook answers with the text `ok`
    if not isinstance(answer, dict) or answer.get("ok") is not False:
        return ""
    code = str(answer.get("error", ""))
    return f"Slack refused it: {code if _ERROR_CODE.fullmatch(code) else 'no reason given'}"
