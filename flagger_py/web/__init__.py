"""What the process shows over HTTP: health, readiness, its metrics, and the log level."""

from flagger_py.web.endpoints import Endpoints, LogLevel
from flagger_py.web.readiness import Check

__all__ = ["Check", "Endpoints", "LogLevel"]
