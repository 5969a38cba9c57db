"""The phases in which a rollout can be met, and how it is made to stay there for a while."""

from typing import Final

from flagger_py.objects.resource import CANARY
from tests.memory.cluster import MemoryCluster

PHASES: Final = ("Initialized", "Waiting", "Progressing", "WaitingPromotion", "Promoting", "Finalising", "Succeeded", "Failed")
_GATES: Final = {"Waiting": "confirm-rollout", "WaitingPromotion": "confirm-promotion"}


async def stop_at(cluster: MemoryCluster, phase: str) -> None:
    """Before a release: close the gate of the phase, or let the promotion take two stages."""
    analysis: dict[str, object] = {"stepWeightPromotion": 20}
    if gate := _GATES.get(phase):
        analysis["webhooks"] = [{"name": "no", "type": gate, "url": "http://no/"}]
        cluster.web.hook_status = 403
    await cluster.patch(CANARY, "web", {"spec": {"analysis": analysis}})
