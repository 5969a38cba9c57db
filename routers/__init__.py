"""Plug-in point 1: how traffic is split between the primary and the canary. What plug-ins may import stands in `__all__`."""

from flagger_py.routers.backends import Backends, percentages, service_of
from flagger_py.routers.base import Router, RouterError, RouterSettings, Watched
from flagger_py.routers.branches import Branch, branches
from flagger_py.routers.manifest import Live, ManifestRouter
from flagger_py.routers.ownership import draft, set_apex_metadata
from flagger_py.routers.refusal import refusal

__all__ = [
    "Backends",
    "Branch",
    "Live",
    "ManifestRouter",
    "Router",
    "RouterError",
    "RouterSettings",
    "Watched",
    "branches",
    "draft",
    "percentages",
    "refusal",
    "service_of",
    "set_apex_metadata",
]
