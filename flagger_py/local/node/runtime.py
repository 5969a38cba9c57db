"""What runs a container. The embedded cluster runs the demo app in its own process; another runtime may start real ones."""

import socket
from collections.abc import Mapping
from typing import Any, Protocol

from flagger_py.local.demo_app import AppSettings, DemoApp
from flagger_py.objects.resource import Manifest

MISSING = "missing"
"""An image of this name or with this tag cannot be pulled."""


class PullFailed(Exception):
    """The image does not exist."""


class Process(Protocol):
    """A container that was created and not started yet."""

    async def run(self, sockets: list[socket.socket]) -> int:
        """Serve on these sockets until the end; the exit code. Cancelling it is a kill."""

    def terminate(self) -> None:
        """Ask it to drain and end."""


class Runtime(Protocol):
    """Runs containers."""

    async def pull(self, image: str) -> None:
        """Raises `PullFailed`."""

    def create(self, pod: Manifest, container: Mapping[str, Any], environment: Mapping[str, str]) -> Process:
        """Raises `ValueError` where the app refuses its environment."""


class DemoRuntime:
    """Runs the demo app for every image; its version is the image's tag."""

    async def pull(self, image: str) -> None:
        if MISSING in image_name(image):
            raise PullFailed(f'failed to pull image "{image}": no image is named or tagged {MISSING!r} here')

    def create(self, pod: Manifest, container: Mapping[str, Any], environment: Mapping[str, str]) -> Process:
        _, tag = image_name(container["image"])
        return DemoApp(AppSettings.of(tag, pod["metadata"]["name"], environment))


def image_name(image: str) -> tuple[str, str]:
    """The last part of an image's name, and its tag: `latest` where it has none, whatever its digest."""
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    return name, tag or "latest"
