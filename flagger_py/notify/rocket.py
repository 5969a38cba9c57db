"""Rocket.Chat: Slack's payload with other colours (metrics:ALR-ROCKET-01)."""

from typing import Final

from flagger_py.http.client import HttpRequest
from flagger_py.notify.base import Alert, Notifier, NotifierConfig, post
from flagger_py.notify.slack import payload

BLUE: Final = "#0076D7"
RED: Final = "#FF0000"


class RocketNotifier(Notifier):
    """Tells Rocket.Chat."""

    def render(self, alert: Alert, config: NotifierConfig) -> HttpRequest:
        return post(config, payload(alert, config, RED if alert.is_error else BLUE))
