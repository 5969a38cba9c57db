"""Optional rights: asked once at start, so that a missing one is known by the feature that it costs (design §5)."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from flagger_py.kube.client import Client
from flagger_py.objects.errors import ApiError
from flagger_py.objects.resource import CONTROLLER_REVISION, Resource

REVIEW = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OptionalRight:
    """A right, and what is missing without it."""

    resource: Resource
    verb: str
    feature: str


OPTIONAL_RIGHTS = (
    OptionalRight(
        CONTROLLER_REVISION,
        "create",
        "a deleted primary can be restored: without the right to controllerrevisions.apps it is only reported",
    ),
)


async def missing_rights(client: Client, namespace: str) -> Sequence[OptionalRight]:
    """The optional rights that this account lacks; those that cannot be asked about count as there."""
    return [right for right in OPTIONAL_RIGHTS if not await _is_granted(client, right, namespace)]


async def _is_granted(client: Client, right: OptionalRight, namespace: str) -> bool:
    attributes = {"group": right.resource.group, "resource": right.resource.plural, "verb": right.verb, "namespace": namespace}
    try:
        reply = await client.create(REVIEW, {"spec": {"resourceAttributes": attributes}})
    except ApiError as error:
        log.warning("right_not_asked", resource=str(right.resource), reason=error.message)
        return True
    return bool((reply.get("status") or {}).get("allowed"))
