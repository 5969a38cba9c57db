"""The environment of a container."""

import base64
from typing import Any

import pytest

from flagger_py.local.node.environment import MissingConfig, environment
from flagger_py.local.node.runtime import image_name
from flagger_py.objects.resource import Manifest, Ref

POD: Manifest = {
    "metadata": {"name": "web-1", "namespace": "test", "uid": "u"},
    "spec": {"nodeName": "n"},
    "status": {"podIP": "127.64.0.1"},
}
OBJECTS = {
    ("ConfigMap", "config"): {"data": {"a": "1", "b": "2"}},
    ("Secret", "secret"): {"data": {"c": base64.b64encode(b"3").decode()}},
}


class Reader:
    async def get(self, ref: Ref) -> Manifest | None:
        return OBJECTS.get((ref.resource.kind, ref.name))


async def found(**container: Any) -> dict[str, str]:
    return await environment(POD, container, Reader())


async def test_values_of_all_sources() -> None:
    env = [
        {"name": "PLAIN", "value": "x"},
        {"name": "EMPTY"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "config", "key": "a"}}},
        {"name": "C", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "c"}}},
        {"name": "GONE", "valueFrom": {"configMapKeyRef": {"name": "config", "key": "z", "optional": True}}},
    ]
    assert await found(env=env) == {"PLAIN": "x", "EMPTY": "", "POD": "web-1", "A": "1", "C": "3"}


async def test_env_wins_over_env_from() -> None:
    sources = [{"prefix": "P_", "configMapRef": {"name": "config"}}, {"secretRef": {"name": "gone", "optional": True}}]
    assert await found(envFrom=sources, env=[{"name": "P_a", "value": "x"}]) == {"P_a": "x", "P_b": "2"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "gone", "key": "a"}}, 'configmap "gone" not found'),
        ({"secretKeyRef": {"name": "secret", "key": "z"}}, "couldn't find key z in Secret test/secret"),
    ],
)
async def test_what_is_missing_is_named(source: dict[str, Any], message: str) -> None:
    with pytest.raises(MissingConfig, match=message):
        await found(env=[{"name": "X", "valueFrom": source}])


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("web", ("web", "latest")),
        ("web:1.2", ("web", "1.2")),
        ("ghcr.io:443/team/web:2", ("web", "2")),
        ("ghcr.io/team/web:2@sha256:abc", ("web", "2")),
    ],
)
def test_the_version_of_an_image_is_its_tag(image: str, expected: tuple[str, str]) -> None:
    assert image_name(image) == expected
