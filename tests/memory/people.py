"""What a person sees of a Canary (its conditions and Events), and a second Canary that must not notice anything."""

from collections.abc import Iterable

from flagger_py.objects.resource import CANARY, DEPLOYMENT, EVENT, Manifest
from tests.memory.cluster import NAMESPACE, MemoryCluster, canary, deployment

NEIGHBOUR = "neighbour"


async def conditions(cluster: MemoryCluster, name: str = "web") -> dict[str, Manifest]:
    """The conditions by type."""
    return {condition["type"]: condition for condition in (await cluster.status(name)).get("conditions", [])}


async def messages(cluster: MemoryCluster, name: str = "web") -> list[str]:
    """The texts of the Events on this Canary, Warnings marked as kubectl marks them."""
    events = await cluster.client.find(EVENT, NAMESPACE)
    return [f"{event['type']} {event['message']}" for event in events if event["involvedObject"]["name"] == name]


async def told(cluster: MemoryCluster, type_: str, says: Iterable[str], *, name: str = "web") -> str:
    """Wait for a False condition of this type that says all of this, and for the one Event that says the same; its message."""
    parts = tuple(says)

    def is_told(status: Manifest) -> bool:
        return any(_says(condition, type_, parts) for condition in status.get("conditions", []))

    await cluster.until(is_told, name=name, seconds=60)
    condition = (await conditions(cluster, name))[type_]
    message = str(condition["message"])
    warnings = [text for text in await messages(cluster, name) if text == f"Warning {message[:1024]}"]
    assert len(warnings) == 1, f"{message!r} is not among {await messages(cluster, name)}"
    return message


def _says(condition: Manifest, type_: str, parts: tuple[str, ...]) -> bool:
    return condition["type"] == type_ and condition["status"] == "False" and all(part in condition["message"] for part in parts)


async def until_cleared(cluster: MemoryCluster, type_: str, *, name: str = "web") -> None:
    """Wait until no condition of this type is left: the cause is gone."""
    await cluster.until(lambda status: type_ not in {found["type"] for found in status.get("conditions", [])}, name=name)


async def settle(cluster: MemoryCluster, name: str = "web") -> None:
    """Create an app with its Canary and wait until it is initialised."""
    await cluster.client.create(DEPLOYMENT, deployment(name=name))
    await cluster.client.create(CANARY, canary(name))
    await cluster.until_phase("Initialized", name=name)


async def neighbour_releases(cluster: MemoryCluster, image: str = "web:2") -> None:
    """The neighbour gets a version and promotes it, whatever else is wrong; nobody has warned it of anything."""
    before = await messages(cluster, NEIGHBOUR)
    await cluster.release(image, NEIGHBOUR)
    await cluster.until_phase("Progressing", name=NEIGHBOUR, seconds=5)
    await cluster.until_phase("Succeeded", name=NEIGHBOUR, seconds=120)
    primary = await cluster.get(DEPLOYMENT, f"{NEIGHBOUR}-primary")
    assert primary["spec"]["template"]["spec"]["containers"][0]["image"] == image
    warnings = [text for text in await messages(cluster, NEIGHBOUR) if text.startswith("Warning") and text not in before]
    assert not warnings, warnings
    assert set(await conditions(cluster, NEIGHBOUR)) == {"Promoted"}
