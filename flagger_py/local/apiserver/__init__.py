"""The embedded Kubernetes API server: in memory, on virtual time if need be, or over HTTP on loopback."""

from flagger_py.local.apiserver.server import ADMIN_TOKEN, ApiServer, Settings
from flagger_py.local.apiserver.users import ADMIN, User, service_account

__all__ = ["ADMIN", "ADMIN_TOKEN", "ApiServer", "Settings", "User", "service_account"]
