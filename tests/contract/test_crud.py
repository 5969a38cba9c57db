"""What create, get, update, patch and delete answer, for good requests and bad ones."""

from .conftest import Server

CONFIG_MAP = {"metadata": {"name": "a"}, "data": {"key": "value"}}


async def test_a_created_object_has_an_identity_and_is_found_again(server: Server) -> None:
    created = await server.created(server.path("configmaps"), CONFIG_MAP)
    assert created["kind"] == "ConfigMap"
    assert {"uid", "creationTimestamp", "resourceVersion", "namespace"} <= set(created["metadata"])
    assert (await server.get(server.path("configmaps", "a"))).body == created
