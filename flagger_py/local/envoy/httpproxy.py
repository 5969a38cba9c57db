"""Contour's HTTPProxy: roots, inclusion, and the status that Contour gives. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flagger_py.local.envoy.httpproxy_routes import Conditions, InvalidProxy, conditions_of, cors_of, routes_of
from flagger_py.local.envoy.model import HTTP_PORT, Route, VirtualHost, by_precedence
from flagger_py.local.envoy.translation import (
    HTTP_PROXY,
    Key,
    ObjectStatus,
    RoutingObjects,
    Translation,
    condition,
    generation_of,
    namespace_of,
    oldest_first,
)
from flagger_py.objects.resource import Manifest, Ref

ORPHANED = "this HTTPProxy is not part of a delegation chain from a root HTTPProxy"


@dataclass(slots=True)
class _Chains:
    """What following the inclusions of all roots has found: which proxies are in use, and what is wrong with which."""

    objects: RoutingObjects
    proxies: Mapping[Key, Manifest]
    included: set[Key] = field(default_factory=set)
    errors: dict[Key, list[str]] = field(default_factory=dict)

    def routes(self, key: Key, above: Conditions, chain: tuple[Key, ...]) -> list[Route]:
        """The routes of a proxy and of all that it includes; an error is noted at the proxy that has it, and the others are served."""
        self.included.add(key)
        spec = self.proxies[key]["spec"]
        found: list[Route] = []
        for include in spec.get("includes") or ():
            found += self._include(key, include, above, (*chain, key))
        try:
            routes, problems = routes_of(self.proxies[key], above, self.objects)
        except ValueError as problem:
            self.fail(key, str(problem))
            return found
        for message in problems:
            self.fail(key, message)
        return found + routes

    def _include(self, parent: Key, include: Mapping[str, Any], above: Conditions, chain: tuple[Key, ...]) -> list[Route]:
        key = Key(include.get("namespace") or parent.namespace, include["name"])
        if key in chain:
            self.fail(parent, f"include creates an include cycle: {' -> '.join('/'.join(step) for step in (*chain, key))}")
            return []
        if key not in self.proxies:
            self.fail(parent, f"include {key.namespace}/{key.name} not found")
            return []
        if _fqdn(self.proxies[key]):
            self.fail(parent, f"root httpproxy cannot include another root httpproxy: {key.namespace}/{key.name}")
            return []
        try:
            conditions = above.joined(conditions_of(include.get("conditions") or []))
        except InvalidProxy as problem:
            self.fail(parent, str(problem))
            return []
        return self.routes(key, conditions, chain)

    def fail(self, key: Key, message: str) -> None:
        self.errors.setdefault(key, []).append(message)


def translate(objects: RoutingObjects) -> Translation:
    """Every HTTPProxy of the cluster. A host of several roots is served by none of them, as in Contour."""
    proxies = {Key(namespace_of(proxy), proxy["metadata"]["name"]): proxy for proxy in oldest_first(objects.http_proxies)}
    chains = _Chains(objects, proxies)
    roots: dict[str, list[Key]] = {}
    for key, proxy in proxies.items():
        if fqdn := _fqdn(proxy):
            roots.setdefault(fqdn, []).append(key)
    hosts = [host for fqdn, keys in roots.items() for host in _virtual_hosts(fqdn, keys, chains)]
    statuses = tuple(_status(key, proxy, chains) for key, proxy in proxies.items())
    return Translation((HTTP_PORT,) if proxies else (), tuple(hosts), statuses)


def _virtual_hosts(fqdn: str, keys: list[Key], chains: _Chains) -> list[VirtualHost]:
    if len(keys) > 1:
        names = ", ".join(sorted("/".join(key) for key in keys))
        for key in keys:
            chains.fail(key, f'fqdn "{fqdn}" is used in multiple HTTPProxies: {names}')
        return []
    routes = chains.routes(keys[0], Conditions(), ())
    cors = cors_of(chains.proxies[keys[0]]["spec"]["virtualhost"].get("corsPolicy"))
    ordered = sorted((replace(route, cors=cors) for route in routes), key=by_precedence)
    return [VirtualHost(HTTP_PORT, fqdn, tuple(ordered))]


def _fqdn(proxy: Manifest) -> str:
    return str((proxy["spec"].get("virtualhost") or {}).get("fqdn", ""))


def _status(key: Key, proxy: Manifest, chains: _Chains) -> ObjectStatus:
    generation = generation_of(proxy)
    if errors := chains.errors.get(key):
        current, description = "invalid", "At least one error present, see Errors for details"
        valid = condition("Valid", False, "ErrorPresent", description, generation)
        valid["errors"] = [{"type": "SpecError", "status": "True", "reason": "Invalid", "message": message} for message in errors]
    elif key not in chains.included:
        current, description = "orphaned", ORPHANED
        valid = condition("Valid", False, "Orphaned", description, generation)
        valid["errors"] = [{"type": "Orphaned", "status": "True", "reason": "Orphaned", "message": description}]
    else:
        current, description = "valid", "Valid HTTPProxy"
        valid = condition("Valid", True, "Valid", description, generation)
    status = {"currentStatus": current, "description": description, "conditions": [valid]}
    return ObjectStatus(Ref.of(HTTP_PROXY, proxy), status)
