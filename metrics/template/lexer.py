"""Splits a template into tokens: text, and what stands in actions. Trim markers and comments end here."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from flagger_py.metrics.template.errors import TemplateError

Scalar: TypeAlias = str | int | float | bool | None


class Kind(StrEnum):
    """What a token is; the values are the words of error messages."""

    TEXT = "text"
    LEFT = "{{"
    RIGHT = "}}"
    IDENTIFIER = "name"
    FIELD = "field"
    VARIABLE = "variable"
    CONSTANT = "constant"
    DECLARE = ":="
    ASSIGN = "="
    PIPE = "|"
    OPEN = "("
    CLOSE = ")"
    DOT = "."
    END = "end of the template"


@dataclass(frozen=True, slots=True)
class Token:
    """`value` is what a constant stands for; `is_spaced` says that white space comes before."""

    kind: Kind
    text: str
    position: int
    value: Scalar = None
    is_spaced: bool = False


_SPACES: Final = " \t\r\n"
_TOKENS: Final = re.compile(
    r"""(?P<CONSTANT>"(?:\\.|[^"\\\n])*"|`[^`]*`|'(?:\\.|[^'\\\n])+'
        |[+-]?(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![\w.]))
      |(?P<VARIABLE>\$\w*)|(?P<FIELD>\.[^\W\d]\w*)|(?P<IDENTIFIER>[^\W\d]\w*)
      |(?P<DECLARE>:=)|(?P<ASSIGN>=)|(?P<PIPE>\|)|(?P<OPEN>\()|(?P<CLOSE>\))|(?P<DOT>\.)""",
    re.VERBOSE,
)
_MAX_NUMBER: Final = 30
_NAME_ENDS: Final = re.compile(r"[\s.,|:()=]|\}\}|$")
_ESCAPE: Final = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_ESCAPED: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"'}
_WORDS: Final = {"true": True, "false": False}


def tokens(source: str) -> Iterator[Token]:
    """The tokens in order, closed by one `END`. Raises `TemplateError`."""
    return _Lexer(source).run()


class _Lexer:
    def __init__(self, source: str) -> None:
        self.source = source
        self.position = 0
        self.is_trimming = False
        """The action before ended with `-}}`: the text that follows loses its leading white space."""

    def run(self) -> Iterator[Token]:
        while True:
            start = self.source.find("{{", self.position)
            yield from self._text(len(self.source) if start < 0 else start)
            if start < 0:
                break
            yield from self._action(start)
        yield Token(Kind.END, "", len(self.source))

    def _text(self, end: int) -> Iterator[Token]:
        text = self.source[self.position : end]
        if self.is_trimming:
            text = text.lstrip(_SPACES)
        if self._has_left_trim(end):
            text = text.rstrip(_SPACES)
        if text:
            yield Token(Kind.TEXT, text, self.position)

    def _has_left_trim(self, start: int) -> bool:
        """`{{- `: the white space is part of it, since `{{-3}}` is a number."""
        return self.source.startswith("{{-", start) and self.source[start + 3 : start + 4] in tuple(_SPACES)

    def _action(self, start: int) -> Iterator[Token]:
        self.position = start + (4 if self._has_left_trim(start) else 2)
        if self.source.startswith("/*", self.position):
            self._comment(start)
            return
        yield Token(Kind.LEFT, "{{", start)
        is_spaced = False
        while not (closing := self._closing()):
            if self.position >= len(self.source):
                raise self._error(start, "an action is not closed by }}")
            if self.source[self.position] in _SPACES:
                self.position += 1
                is_spaced = True
                continue
            yield self._token(is_spaced)
            is_spaced = False
        yield Token(Kind.RIGHT, "}}", self.position)
        self.position += len(closing)
        self.is_trimming = "-" in closing

    def _closing(self) -> str:
        """What ends the action here, or the empty string."""
        if self.source.startswith("}}", self.position):
            return "}}"
        if self.source[self.position : self.position + 1] in tuple(_SPACES) and self.source.startswith("-}}", self.position + 1):
            return " -}}"
        return ""

    def _comment(self, start: int) -> None:
        end = self.source.find("*/", self.position)
        if end < 0:
            raise self._error(start, "a comment is not closed")
        self.position = end + 2
        if not (closing := self._closing()):
            raise self._error(self.position, "a comment must end with */}} or */ -}}")
        self.position += len(closing)
        self.is_trimming = "-" in closing

    def _token(self, is_spaced: bool) -> Token:
        match = _TOKENS.match(self.source, self.position)
        if match is None:
            raise self._error(self.position, self._complaint())
        kind, text, begin = Kind[match.lastgroup or ""], match.group(), self.position
        self.position = match.end()
        if kind in {Kind.IDENTIFIER, Kind.FIELD, Kind.VARIABLE} and not _NAME_ENDS.match(self.source, self.position):
            raise self._error(
                self.position, f'{self.source[self.position]!r} cannot stand in a name; for such a key use {{{{ index variables "a-b" }}}}'
            )
        if kind is Kind.IDENTIFIER and text in _WORDS:
            return Token(Kind.CONSTANT, text, begin, _WORDS[text], is_spaced)
        return Token(kind, text, begin, self._constant(text, begin) if kind is Kind.CONSTANT else None, is_spaced)

    def _complaint(self) -> str:
        char = self.source[self.position]
        return "a string is not closed" if char in "\"'`" else f"{char!r} is not understood"

    def _constant(self, text: str, position: int) -> Scalar:
        if text.startswith("`"):
            return text[1:-1].replace("\r", "")
        if text.startswith(('"', "'")):
            return self._quoted(text, position)
        if len(text) > _MAX_NUMBER:
            raise self._error(position, f"a number of more than {_MAX_NUMBER} characters")
        if text.lstrip("+-")[:2] in {"0x", "0X"}:
            return int(text, 16)
        return float(text) if any(char in text for char in ".eE") else int(text)

    def _quoted(self, text: str, position: int) -> Scalar:
        def escape(match: re.Match[str]) -> str:
            code = match.group(1)
            if code[0] in "xuU" and len(code) > 1:
                return chr(min(int(code[1:], 16), 0x10FFFF))
            if len(code) == 3:
                return chr(int(code, 8))
            if code not in _ESCAPED:
                raise self._error(position, f"unknown escape \\{code} in {text}")
            return _ESCAPED[code]

        content = _ESCAPE.sub(escape, text[1:-1])
        if text.startswith('"'):
            return content
        if len(content) != 1:
            raise self._error(position, f"{text} is no single character")
        return ord(content)

    def _error(self, position: int, problem: str) -> TemplateError:
        return TemplateError.at(self.source, position, problem)
