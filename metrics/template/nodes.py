"""What a parsed template is made of. `position` is the character in the source, for error messages."""

from dataclasses import dataclass
from typing import TypeAlias

from flagger_py.metrics.template.lexer import Scalar


@dataclass(frozen=True, slots=True)
class Constant:
    value: Scalar
    position: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function by name; arguments are given where it is the first operand of a command."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Paren:
    """A pipeline in parentheses."""

    pipeline: "Pipeline"
    position: int


@dataclass(frozen=True, slots=True)
class Fields:
    """`base.a.b`: keys looked up one after the other."""

    base: "Operand"
    names: tuple[str, ...]
    position: int


Operand: TypeAlias = Constant | Call | Variable | Paren | Fields


@dataclass(frozen=True, slots=True)
class Command:
    """A function with arguments, or one value."""

    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each of which gets the result of the one before as its last argument; `variable` takes the result."""

    commands: tuple[Command, ...]
    variable: str = ""
    is_declaration: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class If:
    """`then` or `otherwise`; the condition's variable is known in both."""

    condition: Pipeline
    then: "Nodes"
    otherwise: "Nodes"


Node: TypeAlias = Text | Pipeline | If
Nodes: TypeAlias = tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Template:
    source: str
    nodes: Nodes
