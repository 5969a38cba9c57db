"""The one error of templates, with its place."""


class TemplateError(Exception):
    """A template cannot be parsed or rendered; the message ends with the place."""

    def __init__(self, problem: str, line: int, column: int) -> None:
        super().__init__(f"{problem} (line {line}, column {column})")
        self.problem = problem
        self.line = line
        self.column = column

    @classmethod
    def at(cls, source: str, position: int, problem: str) -> "TemplateError":
        """The error at a character of the source; lines and columns count from 1."""
        before = source[:position]
        return cls(problem, before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)
