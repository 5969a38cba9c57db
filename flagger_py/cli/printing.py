"""Changes of objects as YAML or as a unified diff."""

import difflib
from collections.abc import Iterable
from typing import Any, Final

import yaml

from flagger_py.cli.file_objects import Change
from flagger_py.objects.resource import Manifest

HIDDEN: Final = "***"
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_CONTEXT_LINES = 3
_ENDLESS = 1 << 30


def as_yaml(changes: Iterable[Change], *, show_secrets: bool) -> str:
    """One document for each object that exists afterwards, under a comment that says what happens to it."""
    return "---\n".join(_document(change, show_secrets=show_secrets) for change in changes)


def as_diff(changes: Iterable[Change], *, show_secrets: bool) -> str:
    """A unified diff for each object, from its file to what it would be."""
    return "".join(_diff(change, show_secrets=show_secrets) for change in changes)


def _document(change: Change, *, show_secrets: bool) -> str:
    if change.after is None:
        return f"# delete {change.name}\n"
    verb = "create" if change.before is None else "change"
    return f"# {verb} {change.name}\n{_dump(change.after if show_secrets else _without_secrets(change.after, None))}"


def _diff(change: Change, *, show_secrets: bool) -> str:
    before, after = change.before, change.after
    if not show_secrets:
        before, after = _without_secrets(change.before, change.after, "before"), _without_secrets(change.after, change.before, "after")
    lines = difflib.unified_diff(
        _lines(before),
        _lines(_in_order_of(before, after)),
        fromfile=change.source or "/dev/null",
        tofile=change.name if after is not None else "/dev/null",
        n=_CONTEXT_LINES,
    )
    return "".join(lines)


def _lines(manifest: Manifest | None) -> list[str]:
    return [] if manifest is None else _dump(manifest).splitlines(keepends=True)


def _in_order_of(model: Any, value: Any) -> Any:
    """The value with the fields of its maps in the order of the model's, so that a diff shows no mere change of order."""
    if isinstance(value, dict) and isinstance(model, dict):
        names = [*(name for name in model if name in value), *(name for name in value if name not in model)]
        return {name: _in_order_of(model.get(name), value[name]) for name in names}
    if isinstance(value, list) and isinstance(model, list):
        models = [*model, *([None] * len(value))]
        return [_in_order_of(old, new) for old, new in zip(models, value, strict=False)]
    return value


def _without_secrets(manifest: Manifest | None, other: Manifest | None, word: str = "") -> Any:
    """A Secret without its values; where one differs from `other`, `word` says so. Everything else as it is."""
    if manifest is None or manifest["kind"] != "Secret" or manifest["apiVersion"] != "v1":
        return manifest
    old = (other or manifest).get("data") or {}
    data = {
        name: HIDDEN if name not in old or old[name] == value else f"{HIDDEN} ({word})"
        for name, value in (manifest.get("data") or {}).items()
    }
    hidden = manifest | ({"data": data} if data else {})
    annotations = manifest["metadata"].get("annotations") or {}
    if _LAST_APPLIED in annotations:
        hidden["metadata"] = manifest["metadata"] | {"annotations": annotations | {_LAST_APPLIED: HIDDEN}}
    return hidden


class _Dumper(yaml.SafeDumper):
    """YAML as people write manifests: no aliases, no wrapped lines, texts of several lines as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def _dump(manifest: Manifest) -> str:
    text: str = yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=_ENDLESS, allow_unicode=True)
    return text
