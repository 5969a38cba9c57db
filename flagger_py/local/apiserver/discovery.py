"""Discovery: which groups, versions and resources are served, in the old form (one document per version) and the aggregated one."""

from collections.abc import Callable
from typing import Any, Final

from flagger_py.local.apiserver.answers import PAGE_NOT_FOUND, Answer, json_answer, text_answer
from flagger_py.local.apiserver.calls import Call
from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.openapi import OpenApi
from flagger_py.local.apiserver.registry import Registry
from flagger_py.local.apiserver.status import method_not_allowed

VERSION: Final = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.0+flagger-py",
    "gitCommit": "",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "python/any",
}
_AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_STATUS_VERBS: Final = ["get", "patch", "update"]

Document = dict[str, Any]


class Discovery:
    """Answers what lies outside the resources: discovery, version and health."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._open_api = OpenApi(registry)

    def answer(self, call: Call) -> Answer:
        """The document at a path; a path that nothing has is answered 404 as plain text."""
        path = call.path.rstrip("/") or "/"
        if call.method not in {"GET", "HEAD"}:
            raise method_not_allowed()
        if path.startswith("/openapi/"):
            return self._open_api.answer(call)
        fixed: dict[str, Callable[[], Answer]] = {
            "/": lambda: json_answer(
                {"paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]}
            ),
            "/version": lambda: json_answer(VERSION),
            "/healthz": lambda: text_answer("ok"),
            "/livez": lambda: text_answer("ok"),
            "/readyz": lambda: text_answer("ok"),
            "/api": lambda: self._aggregated(core=True) if _wants_aggregated(call) else json_answer(_core_versions()),
            "/apis": lambda: self._aggregated(core=False) if _wants_aggregated(call) else json_answer(self._groups()),
        }
        if path in fixed:
            return fixed[path]()
        return self._below_apis(path.strip("/").split("/"))

    def _below_apis(self, parts: list[str]) -> Answer:
        group, version = (
            ("", parts[1]) if parts[0] == "api" and len(parts) == 2 else (parts[1], parts[2]) if len(parts) == 3 else (parts[-1], "")
        )
        groups = self._registry.groups()
        if parts[0] not in {"api", "apis"} or group not in groups or (version and version not in groups[group]):
            return PAGE_NOT_FOUND
        if not version:
            return json_answer({"kind": "APIGroup", "apiVersion": "v1", **_group(group, groups[group])})
        return json_answer(self._resources(group, version))

    def _groups(self) -> Document:
        groups = [_group(name, versions) for name, versions in self._registry.groups().items() if name]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def _resources(self, group: str, version: str) -> Document:
        resources = [entry for kind in self._registry.in_version(group, version) for entry in _entries(kind)]
        group_version = f"{group}/{version}" if group else version
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}

    def _aggregated(self, *, core: bool) -> Answer:
        items = [
            {"metadata": {"name": group, "creationTimestamp": None}, "versions": [self._aggregated_version(group, one) for one in versions]}
            for group, versions in self._registry.groups().items()
            if core == (not group)
        ]
        document = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}
        answer = json_answer(document)
        return Answer(200, answer.body, _AGGREGATED)

    def _aggregated_version(self, group: str, version: str) -> Document:
        resources = [_aggregated_resource(kind) for kind in self._registry.in_version(group, version)]
        return {"version": version, "resources": resources, "freshness": "Current"}


def _wants_aggregated(call: Call) -> bool:
    return any(
        "as=APIGroupDiscoveryList" in clause and "v=v2" in clause.replace(" ", "").split(";")
        for clause in call.headers.get("accept", "").split(",")
    )


def _core_versions() -> Document:
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}],
    }


def _group(name: str, versions: list[str]) -> Document:
    served = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": served, "preferredVersion": served[0]}


def _entries(kind: Kind) -> list[Document]:
    resource = kind.resource
    main: Document = {"name": resource.plural, "singularName": kind.singular, "namespaced": resource.namespaced, "kind": resource.kind}
    main["verbs"] = list(kind.verbs)
    main |= {"shortNames": list(kind.short_names)} if kind.short_names else {}
    main |= {"categories": list(kind.categories)} if kind.categories else {}
    return [main, *(_subresource_entry(kind, name) for name in _subresources(kind))]


def _subresource_entry(kind: Kind, name: str) -> Document:
    entry: Document = {"name": f"{kind.resource.plural}/{name}", "singularName": "", "namespaced": kind.resource.namespaced}
    if name == "scale":
        return {**entry, "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": _STATUS_VERBS}
    return {**entry, "kind": kind.resource.kind, "verbs": _verbs(name)}


def _aggregated_resource(kind: Kind) -> Document:
    resource = kind.resource
    entry: Document = {
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    entry |= {"shortNames": list(kind.short_names)} if kind.short_names else {}
    entry |= {"categories": list(kind.categories)} if kind.categories else {}
    subresources = [
        {"subresource": name, "responseKind": _response_kind(kind, name), "verbs": _verbs(name)} for name in _subresources(kind)
    ]
    return entry | ({"subresources": subresources} if subresources else {})


def _response_kind(kind: Kind, subresource: str) -> Document:
    if subresource == "scale":
        return {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    return {"group": kind.resource.group, "version": kind.resource.version, "kind": kind.resource.kind}


def _subresources(kind: Kind) -> list[str]:
    found = (["status"] if kind.has_status else []) + (["scale"] if kind.scale else [])
    return [*found, *kind.subresources]


def _verbs(subresource: str) -> list[str]:
    own = {"log": ["get"], "eviction": ["create"], "token": ["create"], "finalize": ["update"]}
    return own.get(subresource, _STATUS_VERBS)
