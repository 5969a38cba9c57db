"""Google Chat cards (metrics:ALR-GCHAT-01)."""

from html import escape
from typing import Any, Final

from flagger_py.http.client import HttpRequest
from flagger_py.notify.base import Alert, AlertField, Notifier, NotifierConfig, post

_IMAGE: Final = "https://flagger.app/favicon.png"


class GoogleChatNotifier(Notifier):
    """Tells Google Chat. The card does not show the severity."""

    def render(self, alert: Alert, config: NotifierConfig) -> HttpRequest:
        header = {"title": "Flagger", "subtitle": alert.subject, "imageUrl": _IMAGE}
        sections = [_section(_strong(alert.message)), *(_section(_named(field)) for field in alert.fields)]
        return post(config, {"cards": [{"header": header, "sections": sections}]})


def _section(text: str) -> dict[str, Any]:
    return {"widgets": [{"textParagraph": {"text": text}}]}


def _named(field: AlertField) -> str:
    return f"{escape(field.name, quote=False)}<br>{_strong(field.value)}"


def _strong(value: str) -> str:
    """A value as HTML. It is escaped, which Flagger does not do: `<` in a message would end it there."""
    return f"<font color=#848484><strong>{escape(value, quote=False)}</strong></font>"
