"""Writes that the server makes on its own behalf: as an administrator, through the same pipeline as everybody's."""

from dataclasses import dataclass
from typing import Any

import orjson

from flagger_py.kube.transport import Request
from flagger_py.local.apiserver.calls import Call, understand
from flagger_py.local.apiserver.deleting import DeleteOptions, Deleter
from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.state import State
from flagger_py.local.apiserver.store import Key, Record
from flagger_py.local.apiserver.users import MASTERS, User
from flagger_py.local.apiserver.writing import Writer
from flagger_py.objects.resource import Manifest

_USER = User("system:kube-controller-manager", (MASTERS,))


@dataclass(frozen=True, slots=True)
class Internal:
    """Creates, changes and deletes objects for the controllers inside the server. Raises `Refused` like any write."""

    state: State
    agent: str = "kube-controller-manager"

    def create(self, kind: Kind, manifest: Manifest) -> Record:
        namespace = manifest["metadata"].get("namespace", "")
        call = self._call("POST", kind, (namespace, ""))
        return Writer(self.state, call, kind).create_from(manifest)

    def update(self, kind: Kind, key: Key, manifest: Manifest, *, subresource: str = "") -> Record:
        """Replace an object that exists."""
        call = self._call("PUT", kind, key, subresource)
        return Writer(self.state, call, kind).replace(self.state.record(kind, key), manifest)

    def delete(self, kind: Kind, key: Key, record: Record, policy: str = "Background") -> None:
        Deleter(self.state, self._call("DELETE", kind, key), kind).remove(key, record, DeleteOptions(policy))

    def _call(self, method: str, kind: Kind, key: Key, subresource: str = "", body: Any = None) -> Call:
        path = kind.resource.path(key[0], key[1], subresource)
        headers = {"user-agent": self.agent}
        return understand(Request(method, path, body=orjson.dumps(body) if body is not None else None), headers, _USER)
