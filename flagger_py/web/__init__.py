"""What the process shows over HTTP: health, readiness, its metrics, and the log level."""

from flagger_py.web.endpoints import Endpoints, LogLevel
from flagger_py.web.readiness import Check
from flagger_py.web.server import CannotListen, Limits, serve

__all__ = ["CannotListen", "Check", "Endpoints", "Limits", "LogLevel", "serve"]
