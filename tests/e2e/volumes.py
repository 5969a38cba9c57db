"""The volumes of a pod that runs as a real process: files made from ConfigMaps, Secrets, service-account tokens and the pod itself."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from flagger_py.kube.client import Client
from flagger_py.kube.transport import Request, Transport
from flagger_py.objects.resource import CONFIG_MAP, SECRET, Manifest, Ref, Resource
from flagger_py.objects.status_errors import error_from

DEFAULT_TOKEN_SECONDS: Final = 3607


class Volumes:
    """Reads what a pod mounts as the kubelet does, with the rights of a node."""

    def __init__(self, client: Client, transport: Transport) -> None:
        self._client = client
        self._transport = transport

    async def files(self, pod: Manifest) -> dict[str, dict[str, bytes]]:
        """Each volume by name, with its files. Raises `ApiError` where something that is mounted does not exist."""
        return {volume["name"]: await self._volume(pod, volume) for volume in pod["spec"].get("volumes") or ()}

    async def _volume(self, pod: Manifest, volume: Mapping[str, Any]) -> dict[str, bytes]:
        if "projected" in volume:
            files: dict[str, bytes] = {}
            for source in volume["projected"]["sources"]:
                files |= await self._source(pod, source)
            return files
        if "configMap" in volume:
            return await self._keys(pod, CONFIG_MAP, volume["configMap"]["name"])
        if "secret" in volume:
            return await self._keys(pod, SECRET, volume["secret"]["secretName"])
        return {}

    async def _source(self, pod: Manifest, source: Mapping[str, Any]) -> dict[str, bytes]:
        if token := source.get("serviceAccountToken"):
            return {token["path"]: await self._token(pod, token)}
        if downward := source.get("downwardAPI"):
            return {
                item["path"]: str(pod["metadata"][item["fieldRef"]["fieldPath"].removeprefix("metadata.")]).encode()
                for item in downward["items"]
            }
        resource, reference = (CONFIG_MAP, source["configMap"]) if "configMap" in source else (SECRET, source["secret"])
        files = await self._keys(pod, resource, reference["name"])
        items = reference.get("items")
        return {item["path"]: files[item["key"]] for item in items} if items else files

    async def _keys(self, pod: Manifest, resource: Resource, name: str) -> dict[str, bytes]:
        data = (await self._client.get(Ref(resource, pod["metadata"]["namespace"], name))).get("data") or {}
        return {key: base64.b64decode(value) if resource is SECRET else value.encode() for key, value in data.items()}

    async def _token(self, pod: Manifest, wanted: Mapping[str, Any]) -> bytes:
        """A token that is bound to the pod: it dies with it."""
        metadata = pod["metadata"]
        spec: dict[str, Any] = {
            "expirationSeconds": wanted.get("expirationSeconds", DEFAULT_TOKEN_SECONDS),
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]},
        }
        if "audience" in wanted:
            spec["audiences"] = [wanted["audience"]]
        account = pod["spec"].get("serviceAccountName", "default")
        path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
        body = orjson.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
        response = await self._transport.request(Request("POST", path, headers={"content-type": "application/json"}, body=body))
        if response.status >= 400:
            raise error_from(response.status, response.body, response.headers, subject=f"token of service account {account}")
        return str(orjson.loads(response.body)["status"]["token"]).encode()


def write(files: Mapping[str, Mapping[str, bytes]], folder: Path) -> None:
    """Each volume as a folder; a file is replaced at once, so that nobody reads half of it."""
    for volume, contents in files.items():
        (folder / volume).mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            unfinished = folder / volume / f"..{name}"
            unfinished.write_bytes(content)
            unfinished.rename(folder / volume / name)
