"""Carries out a parsed template."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from flagger_py.metrics.template.errors import TemplateError
from flagger_py.metrics.template.functions import FUNCTIONS, VALUES, BadArguments, Value, is_true, shown
from flagger_py.metrics.template.nodes import (
    Call,
    Command,
    Constant,
    Fields,
    If,
    Node,
    Nodes,
    Operand,
    Paren,
    Pipeline,
    Template,
    Text,
    Variable,
)

_MAX_OUTPUT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TemplateValues:
    """What a query can insert (TPL-10)."""

    name: str
    """Of the Canary."""
    namespace: str
    target: str
    service: str
    ingress: str
    route: str
    interval: str
    """The metric's interval, as it is written there."""
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Piped:
    """The result of the command before, if there is one."""

    values: tuple[Value, ...] = ()


def evaluate(template: Template, values: TemplateValues) -> str:
    """The text of a template. Raises `TemplateError`."""
    run = _Run(template.source, values)
    run.carry_out(template.nodes)
    return "".join(run.output)


class _Run:
    def __init__(self, source: str, values: TemplateValues) -> None:
        self.source = source
        self.values = values
        self.variables: list[tuple[str, Value]] = []
        self.output: list[str] = []
        self.length = 0

    def carry_out(self, nodes: Nodes) -> None:
        known = len(self.variables)
        for node in nodes:
            self._node(node)
        del self.variables[known:]

    def _node(self, node: Node) -> None:
        match node:
            case Text(text):
                self._write(text)
            case Pipeline():
                value = self._pipeline(node)
                if not node.variable:
                    self._write(shown(value))
            case If(condition, then, otherwise):
                known = len(self.variables)
                self.carry_out(then if is_true(self._pipeline(condition)) else otherwise)
                del self.variables[known:]
            case _:
                assert_never(node)

    def _write(self, text: str) -> None:
        self.length += len(text)
        if self.length > _MAX_OUTPUT:
            raise TemplateError.at(self.source, 0, "the text becomes longer than 1 MiB")
        self.output.append(text)

    def _pipeline(self, pipeline: Pipeline) -> Value:
        piped = _Piped()
        for command in pipeline.commands:
            piped = _Piped((self._command(command, piped),))
        (value,) = piped.values
        if pipeline.is_declaration:
            self.variables.append((pipeline.variable, value))
        elif pipeline.variable:
            latest = max(place for place, (name, _) in enumerate(self.variables) if name == pipeline.variable)
            self.variables[latest] = (pipeline.variable, value)
        return value

    def _command(self, command: Command, piped: _Piped) -> Value:
        first, *arguments = command.operands
        if isinstance(first, Call):
            return self._call(first, arguments, piped)
        return self._operand(first)

    def _operand(self, operand: Operand) -> Value:
        match operand:
            case Constant(value):
                return value
            case Call():
                return self._call(operand, [], _Piped())
            case Variable(name):
                return next(value for known, value in reversed(self.variables) if known == name)
            case Paren(pipeline):
                return self._pipeline(pipeline)
            case Fields(base, names):
                return self._fields(operand, self._operand(base), names)
            case _:
                assert_never(operand)

    def _fields(self, operand: Fields, value: Value, names: tuple[str, ...]) -> Value:
        for name in names:
            if not isinstance(value, Mapping):
                raise self._error(operand, f"a text has no field {name}")
            if name not in value:
                known = ", ".join(sorted(value)) or "none"
                raise self._error(operand, f"the metric's templateVariables have no {name!r}; there are: {known}")
            value = value[name]
        return value

    def _call(self, call: Call, arguments: list[Operand], piped: _Piped) -> Value:
        if call.name in VALUES:
            if arguments or piped.values:
                raise self._error(call, f"{call.name} takes no arguments")
            return self._value(call.name)
        function = FUNCTIONS[call.name]
        if function is None:
            return self._until_decided(call, arguments, piped)
        values = [*map(self._operand, arguments), *piped.values]
        try:
            return function(values)
        except BadArguments as error:
            raise self._error(call, f"{call.name}: {error}") from error

    def _until_decided(self, call: Call, arguments: list[Operand], piped: _Piped) -> Value:
        """`and` gives its first false value, `or` its first true one, else the last; what comes after is not looked at."""
        if not arguments and not piped.values:
            raise self._error(call, f"{call.name} takes at least 1 argument(s), not 0")
        value: Value = None
        for argument in arguments:
            value = self._operand(argument)
            if is_true(value) == (call.name == "or"):
                return value
        return piped.values[0] if piped.values else value

    def _value(self, name: str) -> Value:
        value: Value = getattr(self.values, name)
        return value

    def _error(self, operand: Operand, problem: str) -> TemplateError:
        return TemplateError.at(self.source, operand.position, problem)
