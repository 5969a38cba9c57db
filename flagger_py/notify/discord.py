"""Discord, through its endpoint for Slack's payload (metrics:ALR-DISCORD-01)."""

from urllib.parse import urlsplit

from flagger_py.http.client import HttpRequest
from flagger_py.notify.base import Alert, Notifier, NotifierConfig, post
from flagger_py.notify.slack import color_of, payload


class DiscordNotifier(Notifier):
    """Tells Discord. No token is sent: the address is the credential."""

    def render(self, alert: Alert, config: NotifierConfig) -> HttpRequest:
        return post(config, payload(alert, config, color_of(alert)), url=slack_endpoint(config.address))


def slack_endpoint(address: str) -> str:
    """The address with `/slack` at the end of its path, whether or not it was there; the query stays.

    Flagger looks at the end of the whole address, so that one with a query gets a second `/slack`.
    """
    parts = urlsplit(address)
    path = parts.path.rstrip("/")
    return address if path.endswith("/slack") else parts._replace(path=f"{path}/slack").geturl()
