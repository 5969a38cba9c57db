"""Opens the connection to a real cluster."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from flagger_py import __version__
from flagger_py.kube.credentials import ConfigError, choose
from flagger_py.kube.http_transport import HttpTransport

__all__ = ["ConfigError", "open_transport", "user_agent"]


def user_agent(identity: str = "") -> str:
    """Ends with the Lease identity, so that the server's audit log tells replicas apart (design §6)."""
    return f"flagger-py/{__version__} {identity}".strip()


@asynccontextmanager
async def open_transport(
    kubeconfig: str = "", *, context: str | None = None, master: str = "", in_cluster: bool | None = None, identity: str = ""
) -> AsyncIterator[HttpTransport]:
    """A transport with its credentials loaded, closed at the end. Nothing has been sent yet.

    `kubeconfig`: file, or files joined by the path separator; without it as `credentials.choose` says. Raises `ConfigError`.
    """
    transport = HttpTransport(choose(kubeconfig, context=context, master=master, in_cluster=in_cluster), user_agent=user_agent(identity))
    try:
        await transport.open()
        yield transport
    finally:
        await transport.close()
