"""Which kinds are served: the built-in ones, and those that CustomResourceDefinitions add and take away."""

from collections.abc import Iterable

from flagger_py.local.apiserver.kinds import Kind
from flagger_py.local.apiserver.schema import Node


class Registry:
    """Kinds by group, version and plural. A change makes a new `generation`, so that discovery documents can be kept."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._kinds = {_key(kind): kind for kind in kinds}
        self._custom: dict[tuple[str, str], list[Kind]] = {}
        self.generation = 0

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        return self._kinds.get((group, version, plural))

    def by_kind(self, group: str, kind: str) -> Kind | None:
        """Any served version of a kind; the stored one where it is served."""
        found = [one for one in self._kinds.values() if one.resource.group == group and one.resource.kind == kind]
        return next((one for one in found if one.is_stored_version), found[0] if found else None)

    def stored(self, group: str, plural: str) -> Kind | None:
        """The kind of a collection: the stored version where it is served, else any."""
        found = [one for one in self._kinds.values() if (one.resource.group, one.resource.plural) == (group, plural)]
        return next((one for one in found if one.is_stored_version), found[0] if found else None)

    def kinds(self) -> list[Kind]:
        """All kinds, built-in ones first, in the order of their registration."""
        return list(self._kinds.values())

    def has_built_in_version(self, group: str, version: str) -> bool:
        """Whether a group and version are compiled in: their unknown resources are answered by a Status, others by plain text."""
        return any(not kind.is_custom for kind in self.in_version(group, version))

    def has_built_in_group(self, group: str) -> bool:
        return any(kind.resource.group == group and not kind.is_custom for kind in self._kinds.values())

    def in_version(self, group: str, version: str) -> list[Kind]:
        return [kind for (of, served, _), kind in self._kinds.items() if (of, served) == (group, version)]

    def groups(self) -> dict[str, list[str]]:
        """Versions by group, the preferred one first."""
        groups: dict[str, list[str]] = {}
        for kind in self._kinds.values():
            versions = groups.setdefault(kind.resource.group, [])
            if kind.resource.version not in versions:
                versions.append(kind.resource.version)
        return {group: sorted(versions, key=version_priority, reverse=True) for group, versions in groups.items()}

    def set_custom(self, group: str, plural: str, kinds: list[Kind]) -> None:
        """Serve exactly these versions of a custom resource; an empty list takes it away."""
        for old in self._custom.pop((group, plural), []):
            del self._kinds[_key(old)]
        if kinds:
            self._custom[group, plural] = kinds
            self._kinds |= {_key(kind): kind for kind in kinds}
        self.generation += 1

    def schema(self, kind: Kind) -> Node:
        """The schema under which a kind's objects are stored."""
        stored = self.find(kind.resource.group, kind.storage_version, kind.resource.plural)
        return (stored or kind).schema


def version_priority(version: str) -> tuple[int, int, int]:
    """Sorts versions as Kubernetes prefers them: v2, v1, v1beta2, v1beta1, v1alpha1."""
    body = version.removeprefix("v")
    for rank, word in ((2, "beta"), (1, "alpha")):
        major, found, minor = body.partition(word)
        if found and major.isdigit():
            return rank, int(major), int(minor or 0)
    return (3, int(body), 0) if body.isdigit() else (0, 0, 0)


def _key(kind: Kind) -> tuple[str, str, str]:
    return kind.resource.group, kind.resource.version, kind.resource.plural
