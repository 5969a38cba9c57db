"""Validation rules in CEL (`x-kubernetes-validations`), with transition rules and `optionalOldSelf`.

The library evaluates over plain Python values. A rule whose syntax it lacks (`.?`) is not checked, and whoever creates the CRD is warned by
name; a rule that cannot be evaluated for a value (a function that is missing) is a complaint about that value.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import cel
from cel.stdlib import add_stdlib_to_context

from flagger_py.local.apiserver.cel_library import FUNCTIONS, go_duration
from flagger_py.local.apiserver.field_sets import item_key
from flagger_py.local.apiserver.schema import ANYTHING, Node
from flagger_py.local.apiserver.status import FieldError

_REASONS: Final = {
    "FieldValueRequired": "Required value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueInvalid": "Invalid value",
    "FieldValueDuplicate": "Duplicate value",
}
_SELF: Final = re.compile(r"\boldSelf\b")
_NATIVE: Final = frozenset(
    {"all", "contains", "double", "duration", "endsWith", "exists", "exists_one", "filter", "has", "int", "map", "matches", "size"}
    | {"startsWith", "string", "type", "uint"}
)
_RESERVED: Final = frozenset(
    {"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "namespace", "null"}
    | {"package", "return", "true", "var", "void", "while"}
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule of a node."""

    source: str
    program: cel.Program
    needs_library: bool
    message: str
    message_program: cel.Program | None
    reason: str
    field_path: str
    is_transition: bool
    takes_absent_old: bool

    def complaint(self, value: Any, old: Any, field: str) -> FieldError | None:
        """The complaint about a value; `None` where the rule holds. A transition rule is not asked without an old value."""
        if self.is_transition and old is None and not self.takes_absent_old:
            return None
        context = _context(value, old, self)
        try:
            if self.program.execute(context) is True:
                return None
            text = self._text(context)
        except (ValueError, TypeError, RuntimeError, LookupError) as error:
            text = f"rule evaluation error: {self.source}: {error}"
        words = _REASONS.get(self.reason, "Invalid value")
        return FieldError(f"{field}{self.field_path}" if field else self.field_path.removeprefix("."), self.reason, f"{words}: {text}")

    def _text(self, context: cel.Context | dict[str, Any]) -> str:
        if self.message_program is not None:
            text = self.message_program.execute(context)
            if isinstance(text, str) and text.strip() and "\n" not in text:
                return text
        return self.message


class RuleSet:
    """All rules of a schema, compiled once; `errors` walks an object and asks them."""

    def __init__(self, schema: Node) -> None:
        self._rules: dict[int, tuple[Rule, ...]] = {}
        self.unsupported: list[str] = []
        """Rules that are not checked, with the reason."""
        self._has_below: dict[int, bool] = {}
        self._collect(schema)
        self._schema = schema

    def errors(self, new: Any, old: Any) -> list[FieldError]:
        """Complaints about an object; what an update leaves unchanged is not judged again (ratcheting)."""
        return list(self._walk(new, old, self._schema, ""))

    def _collect(self, node: Node) -> bool:
        if id(node) in self._has_below:
            return self._has_below[id(node)]
        self._has_below[id(node)] = False
        self._rules[id(node)] = tuple(self._compiled(node))
        children = [*node.properties.values(), *(one for one in (node.values, node.items) if one is not None)]
        below = [self._collect(child) for child in children]
        self._has_below[id(node)] = bool(self._rules[id(node)]) or any(below)
        return self._has_below[id(node)]

    def _compiled(self, node: Node) -> Iterator[Rule]:
        for raw in node.raw.get("x-kubernetes-validations", ()):
            try:
                yield _compile(raw)
            except ValueError as error:
                self.unsupported.append(f"the embedded API server does not check the rule {raw['rule']!r}: {str(error).splitlines()[0]}")

    def _walk(self, new: Any, old: Any, node: Node, field: str) -> Iterator[FieldError]:
        if new is None or not self._has_below.get(id(node)) or (old is not None and new == old):
            return
        for rule in self._rules[id(node)]:
            if complaint := rule.complaint(_typed(new, node), _typed(old, node) if old is not None else None, field):
                yield complaint
        if isinstance(new, dict):
            yield from self._walk_fields(new, old if isinstance(old, dict) else {}, node, field)
        elif isinstance(new, list) and node.items is not None:
            before = _items_before(old, node)
            for index, item in enumerate(new):
                yield from self._walk(item, before(index, item), node.items, f"{field}[{index}]")

    def _walk_fields(self, new: dict[str, Any], old: dict[str, Any], node: Node, field: str) -> Iterator[FieldError]:
        for name, item in new.items():
            known = node.properties.get(name)
            child = known or node.values
            if child is not None:
                inner = f"{field}.{name}" if field else name
                yield from self._walk(item, old.get(name), child, inner if known else f"{field}[{name}]")


def _items_before(old: Any, node: Node) -> Callable[[int, Any], Any]:
    """Finds the old state of a list's item: by key where the list has keys, else there is none."""
    if not isinstance(old, list):
        return lambda _, __: None
    if node.list_type == "map":
        keyed = {item_key(item, node): item for item in old}
        return lambda _, item: keyed.get(item_key(item, node))
    return lambda _, item: item if item in old else None


def _compile(raw: dict[str, Any]) -> Rule:
    source, expression = raw["rule"].strip(), raw.get("messageExpression")
    program, message_program = cel.compile(source), cel.compile(expression) if expression else None
    programs = [one for one in (program, message_program) if one is not None]
    return Rule(
        source=source,
        program=program,
        needs_library=any(not _is_native(name) for one in programs for name in one.functions()),
        message=raw.get("message") or f"failed rule: {source}",
        message_program=message_program,
        reason=raw.get("reason") or "FieldValueInvalid",
        field_path=raw.get("fieldPath", ""),
        is_transition=bool(_SELF.search(source)),
        takes_absent_old=bool(raw.get("optionalOldSelf")),
    )


def _is_native(name: str) -> bool:
    """Whether the library itself has a function; others are Python and cost more."""
    return not name[0].isalpha() or name in _NATIVE


def _context(value: Any, old: Any, rule: Rule) -> cel.Context | dict[str, Any]:
    variables = {"self": value}
    if rule.takes_absent_old:
        variables["oldSelf"] = cel.OptionalValue.none() if old is None else cel.OptionalValue.of(old)
    elif rule.is_transition:
        variables["oldSelf"] = old
    if not rule.needs_library:
        return variables
    context = cel.Context(variables)
    add_stdlib_to_context(context)
    for name, function in FUNCTIONS.items():
        context.add_function(name, function)
    return context


def _typed(value: Any, node: Node) -> Any:
    """The value as CEL sees it: durations as durations, field names that are CEL words escaped, unknown fields left out."""
    if isinstance(value, dict):
        children = {name: node.properties.get(name) or node.values for name in value}
        return {
            escaped(name) if name in node.properties else name: _typed(item, children[name] or ANYTHING)
            for name, item in value.items()
            if item is not None and (children[name] is not None or node.keeps_unknown)
        }
    if isinstance(value, list):
        return [_typed(item, node.items or ANYTHING) for item in value]
    if isinstance(value, str) and node.raw.get("format") == "duration":
        return go_duration(value) or value
    if node.raw.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def escaped(name: str) -> str:
    """A field's name as rules write it: `x-y` is `x__dash__y`, `namespace` is `__namespace__`."""
    if name in _RESERVED:
        return f"__{name}__"
    return name.replace("__", "__underscores__").replace(".", "__dot__").replace("-", "__dash__").replace("/", "__slash__")
