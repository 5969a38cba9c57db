"""Builds the tree of a template, and refuses by name what queries cannot use."""

from dataclasses import dataclass, field

from flagger_py.metrics.template.errors import TemplateError
from flagger_py.metrics.template.functions import FUNCTIONS, VALUES
from flagger_py.metrics.template.lexer import Kind, Token, tokens
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

_UNSUPPORTED = {"range", "with", "define", "template", "block", "break", "continue", "html", "js", "call", "slice"}
_KEYWORDS = {"if", "else", "end"}
_MAX_DEPTH = 50
"""Of nested `if` and parentheses: beyond it the reader of the tree would exhaust Python's stack."""


def parse(source: str) -> Template:
    """The tree of a template. Raises `TemplateError`."""
    parser = _Parser(source, list(tokens(source)))
    return Template(source, parser.nodes(depth=0))


@dataclass
class _Parser:
    source: str
    tokens: list[Token]
    index: int = 0
    scope: list[str] = field(default_factory=list)
    """The variables known here, innermost last."""

    @property
    def current(self) -> Token:
        return self.tokens[self.index]

    def nodes(self, depth: int) -> Nodes:
        """What stands up to the `else` or `end` of an `if`, or to the end."""
        found: list[Node] = []
        while self.current.kind is not Kind.END and not (depth and self._is_keyword("else", "end")):
            found.append(self._node(depth))
        return tuple(found)

    def _node(self, depth: int) -> Node:
        token = self._take()
        if token.kind is Kind.TEXT:
            return Text(token.text)
        if self.current.kind is Kind.IDENTIFIER and self.current.text in _KEYWORDS:
            keyword = self._take()
            if keyword.text != "if":
                raise self._error(keyword, f"{keyword.text} without an if")
            return self._if(keyword, depth + 1)
        pipeline = self._pipeline(depth)
        self._expect(Kind.RIGHT)
        return pipeline

    def _if(self, keyword: Token, depth: int) -> If:
        self._limit(keyword, depth)
        known = len(self.scope)
        condition = self._pipeline(depth)
        self._expect(Kind.RIGHT)
        then = self._branch(depth)
        otherwise = self._else(depth)
        del self.scope[known:]
        return If(condition, then, otherwise)

    def _branch(self, depth: int) -> Nodes:
        known = len(self.scope)
        nodes = self.nodes(depth)
        del self.scope[known:]
        return nodes

    def _else(self, depth: int) -> Nodes:
        if self.current.kind is Kind.END:
            raise self._error(self.current, "an if without its end")
        self._take()
        if self._take().text == "end":
            self._expect(Kind.RIGHT)
            return ()
        if self.current.kind is Kind.IDENTIFIER and self.current.text == "if":
            return (self._if(self._take(), depth + 1),)
        self._expect(Kind.RIGHT)
        nodes = self._branch(depth)
        if not self._is_keyword("end"):
            raise self._error(self.current, "an else without its end")
        self.index += 2
        self._expect(Kind.RIGHT)
        return nodes

    def _pipeline(self, depth: int) -> Pipeline:
        variable, is_declaration = self._target()
        commands = [self._command(depth)]
        while self.current.kind is Kind.PIPE:
            self._take()
            commands.append(self._command(depth))
        for command in commands[1:]:
            if not isinstance(command.operands[0], Call):
                raise self._error_at(command.operands[0].position, "only a function can follow |")
        if is_declaration:
            self.scope.append(variable)
        return Pipeline(tuple(commands), variable, is_declaration)

    def _target(self) -> tuple[str, bool]:
        """The variable of `$v := …` or `$v = …`, if there is one."""
        after = self.tokens[self.index + 1].kind if self.current.kind is Kind.VARIABLE else None
        if after not in {Kind.DECLARE, Kind.ASSIGN}:
            return "", False
        variable = self._take()
        if self._take().kind is Kind.ASSIGN:
            self._known(variable)
        return variable.text, after is Kind.DECLARE

    def _command(self, depth: int) -> Command:
        operands: list[Operand] = []
        while self.current.kind not in {Kind.RIGHT, Kind.PIPE, Kind.CLOSE}:
            if operands and not self.current.is_spaced:
                raise self._error(self.current, f"white space is missing before {self.current.text!r}")
            operands.append(self._operand(depth))
        if not operands:
            raise self._error(self.current, f"a value is missing before {self.current.text!r}")
        if len(operands) > 1 and not isinstance(operands[0], Call):
            raise self._error_at(operands[0].position, "only a function can have arguments")
        return Command(tuple(operands))

    def _operand(self, depth: int) -> Operand:
        base = self._term(depth)
        names: list[str] = []
        while self.current.kind is Kind.FIELD and not self.current.is_spaced:
            names.append(self._take().text[1:])
        if names and isinstance(base, Constant):
            raise self._error_at(base.position, "a constant has no fields")
        return Fields(base, tuple(names), base.position) if names else base

    def _term(self, depth: int) -> Operand:
        token = self._take()
        match token.kind:
            case Kind.CONSTANT:
                return Constant(token.value, token.position)
            case Kind.VARIABLE:
                return self._known(token)
            case Kind.IDENTIFIER:
                return self._function(token)
            case Kind.OPEN:
                self._limit(token, depth + 1)
                pipeline = self._pipeline(depth + 1)
                self._expect(Kind.CLOSE)
                return Paren(pipeline, token.position)
            case Kind.FIELD | Kind.DOT:
                raise self._error(token, f"{token.text} has no meaning: there is no data; the values are {', '.join(VALUES)}")
            case _:
                raise self._error(token, f"{token.text or token.kind!s} is not expected here")

    def _function(self, token: Token) -> Call:
        if token.text in _UNSUPPORTED:
            raise self._error(token, f"{token.text} is not supported in queries")
        if token.text not in VALUES and token.text not in FUNCTIONS:
            raise self._error(token, f"unknown function {token.text}; known are {', '.join((*VALUES, *sorted(FUNCTIONS)))}")
        return Call(token.text, token.position)

    def _known(self, token: Token) -> Variable:
        if token.text not in self.scope:
            raise self._error(token, f"unknown variable {token.text}")
        return Variable(token.text, token.position)

    def _is_keyword(self, *words: str) -> bool:
        if self.current.kind is not Kind.LEFT:
            return False
        following = self.tokens[self.index + 1]
        return following.kind is Kind.IDENTIFIER and following.text in words

    def _take(self) -> Token:
        token = self.current
        self.index = min(self.index + 1, len(self.tokens) - 1)
        return token

    def _expect(self, kind: Kind) -> None:
        token = self._take()
        if token.kind is not kind:
            raise self._error(token, f"{token.text or token.kind!s} stands where {kind} is expected")

    def _limit(self, token: Token, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise self._error(token, f"more than {_MAX_DEPTH} levels deep")

    def _error(self, token: Token, problem: str) -> TemplateError:
        return self._error_at(token.position, problem)

    def _error_at(self, position: int, problem: str) -> TemplateError:
        return TemplateError.at(self.source, position, problem)
