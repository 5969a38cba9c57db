"""The environment of a container, from its pod, ConfigMaps and Secrets."""

import base64
from collections.abc import Mapping
from typing import Any, Protocol

from flagger_py.objects.resource import CONFIG_MAP, SECRET, Manifest, Ref, Resource


class MissingConfig(Exception):
    """A ConfigMap, a Secret or a key in it does not exist; the message is the one of `CreateContainerConfigError`."""


class Reader(Protocol):
    """Reads an object as the server has it now; `None` where it does not exist."""

    async def get(self, ref: Ref) -> Manifest | None: ...


async def environment(pod: Manifest, container: Mapping[str, Any], reader: Reader) -> dict[str, str]:
    """Its variables, `env` over `envFrom`. Raises `MissingConfig`, and `ApiError` where an object cannot be read."""
    variables: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        values = await _all_keys(pod, source, reader)
        variables |= {source.get("prefix", "") + key: value for key, value in values.items()}
    for entry in container.get("env") or ():
        value = await _value(pod, entry, reader)
        if value is not None:
            variables[entry["name"]] = value
    return variables


async def _all_keys(pod: Manifest, source: Mapping[str, Any], reader: Reader) -> Mapping[str, str]:
    for field, resource in (("configMapRef", CONFIG_MAP), ("secretRef", SECRET)):
        if reference := source.get(field):
            return await _data(pod, resource, reference, reader) or {}
    return {}


async def _value(pod: Manifest, entry: Mapping[str, Any], reader: Reader) -> str | None:
    source = entry.get("valueFrom")
    if not source:
        return str(entry.get("value", ""))
    if field := source.get("fieldRef"):
        return _field(pod, field["fieldPath"])
    for name, resource in (("configMapKeyRef", CONFIG_MAP), ("secretKeyRef", SECRET)):
        if reference := source.get(name):
            return await _key(pod, resource, reference, reader)
    return None


def _field(pod: Manifest, path: str) -> str:
    fields = {
        "metadata.name": pod["metadata"]["name"],
        "metadata.namespace": pod["metadata"].get("namespace", ""),
        "metadata.uid": pod["metadata"].get("uid", ""),
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "status.podIP": (pod.get("status") or {}).get("podIP", ""),
    }
    return str(fields.get(path, ""))


async def _key(pod: Manifest, resource: Resource, reference: Mapping[str, Any], reader: Reader) -> str | None:
    data = await _data(pod, resource, reference, reader)
    if data is not None and reference["key"] in data:
        return data[reference["key"]]
    if reference.get("optional"):
        return None
    raise MissingConfig(f"couldn't find key {reference['key']} in {resource.kind} {pod['metadata'].get('namespace')}/{reference['name']}")


async def _data(pod: Manifest, resource: Resource, reference: Mapping[str, Any], reader: Reader) -> dict[str, str] | None:
    found = await reader.get(Ref(resource, pod["metadata"].get("namespace", ""), reference["name"]))
    if found is None:
        if reference.get("optional"):
            return None
        raise MissingConfig(f'{resource.plural[:-1]} "{reference["name"]}" not found')
    data = found.get("data") or {}
    if resource is SECRET:
        return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}
    return dict(data)
