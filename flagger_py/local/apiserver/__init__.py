"""The embedded Kubernetes API server: in memory, on virtual time if need be, or over HTTP on loopback (`http.serve`)."""

from flagger_py.local.apiserver.faults import CutWatch, DropConnection, Fault, Faults, LoseReply, Match, NoAnswer, Refuse, Slow
from flagger_py.local.apiserver.http import Serving, serve
from flagger_py.local.apiserver.pods import LogRequest, PodLogs
from flagger_py.local.apiserver.request_log import LoggedRequest, RequestLog
from flagger_py.local.apiserver.server import ADMIN_TOKEN, ApiServer, Settings
from flagger_py.local.apiserver.users import ADMIN, User, service_account

__all__ = [
    "ADMIN",
    "ADMIN_TOKEN",
    "ApiServer",
    "CutWatch",
    "DropConnection",
    "Fault",
    "Faults",
    "LogRequest",
    "LoggedRequest",
    "LoseReply",
    "Match",
    "NoAnswer",
    "PodLogs",
    "Refuse",
    "RequestLog",
    "Serving",
    "Settings",
    "Slow",
    "User",
    "serve",
    "service_account",
]
