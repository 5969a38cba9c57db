"""The HTTP server of our processes: the controller's endpoints and the load tester."""

from flagger_py.http.server.connection import Limits
from flagger_py.http.server.messages import Handler, Request, Response
from flagger_py.http.server.serving import CannotListen, serve

__all__ = ["CannotListen", "Handler", "Limits", "Request", "Response", "serve"]
