"""Kubernetes manifests from files, folders and standard input, with the line of each field."""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from flagger_py.objects.resource import Manifest

STANDARD_INPUT = "-"
_SUFFIXES = {".yaml", ".yml", ".json"}
_PATH_PARTS = re.compile(r"\[([^\]]*)\]|([^.\[]+)")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file, or the rest of it, that is no YAML; `line` is 0 where it is not known."""

    source: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReadManifest:
    """One object, and where it stands."""

    source: str
    manifest: Manifest
    node: yaml.Node = field(repr=False, compare=False)

    def line_of(self, path: str) -> int:
        """The line of a field such as `spec.metrics[0].name`, or of the nearest one around it that is there."""
        node, line = self.node, self.node.start_mark.line + 1
        for key, name in _PATH_PARTS.findall(path):
            child = _child(node, key or name)
            if child is None:
                break
            node, line = child[1], child[0].start_mark.line + 1
        return line


def read_manifests(paths: Iterable[str]) -> Iterator[ReadManifest | Unreadable]:
    """Every object in the files, those of `kind: List` one by one. Folders are read whole, hidden files left out."""
    for path in paths:
        for source in _files(path):
            yield from _documents(source)


def _files(path: str) -> Iterator[str]:
    if path == STANDARD_INPUT or not Path(path).is_dir():
        yield path
        return
    for file in sorted(Path(path).rglob("*")):
        if file.suffix in _SUFFIXES and file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts):
            yield str(file)


def _documents(source: str) -> Iterator[ReadManifest | Unreadable]:
    name = "standard input" if source == STANDARD_INPUT else source
    try:
        text = sys.stdin.read() if source == STANDARD_INPUT else Path(source).read_text(encoding="utf-8-sig")
        loader = _Loader(text)
        while loader.check_node() and (node := loader.get_node()) is not None:
            yield from _objects(name, loader.construct_document(node), node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        yield Unreadable(name, mark.line + 1 if mark else 0, error.problem or "is no YAML")
    except yaml.YAMLError as error:
        yield Unreadable(name, 0, str(error).splitlines()[0])
    except OSError as error:
        yield Unreadable(name, 0, error.strerror or str(error))
    except UnicodeDecodeError as error:
        yield Unreadable(name, 0, f"is no UTF-8 text: {error.reason} at byte {error.start}")


def _objects(source: str, document: Any, node: yaml.Node) -> Iterator[ReadManifest | Unreadable]:
    if document is None:
        return
    if not isinstance(document, dict):
        yield Unreadable(source, node.start_mark.line + 1, "is no Kubernetes object")
    elif isinstance(document.get("items"), list) and str(document.get("kind", "")).endswith("List"):
        items = _child(node, "items")
        for item, item_node in zip(document["items"], items[1].value if items else (), strict=True):
            yield from _objects(source, item, item_node)
    else:
        yield ReadManifest(source, document, node)


def _child(node: yaml.Node, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    """The node of a key or of an index, and the node of its value."""
    if isinstance(node, yaml.MappingNode):
        return next(((name, value) for name, value in node.value if name.value == key), None)
    if isinstance(node, yaml.SequenceNode) and key.isdecimal() and int(key) < len(node.value):
        return node.value[int(key)], node.value[int(key)]
    return None


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: a time stays text, and a key that is given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
