"""What `/readyz` shows: one check per thing that the process needs, in the form that kube-apiserver uses."""

from collections.abc import Sequence
from typing import Protocol

from flagger_py.http.server.messages import Response


class Check(Protocol):
    """One thing that must be so before the process does its work."""

    @property
    def name(self) -> str: ...

    @property
    def ready(self) -> bool: ...

    @property
    def message(self) -> str:
        """Why it is not, and what to do about it; never a secret."""

    @property
    def optional(self) -> bool:
        """Shown, but no reason to be unready: a missing optional right, say, or that another replica leads."""


def answer(checks: Sequence[Check], *, verbose: bool) -> Response:
    """200 where every check that is not optional is ready, else 503; the failing ones are listed in any case."""
    failing = [check for check in checks if not (check.ready or check.optional)]
    if not failing and not verbose:
        return Response.text("OK")
    lines = [_line(check) for check in (checks if verbose else failing)]
    lines.append(f"readyz check {'failed' if failing else 'passed'}")
    return Response.text("\n".join(lines) + "\n", 503 if failing else 200)


def _line(check: Check) -> str:
    mark, word = ("+", "ok") if check.ready else ("!", "missing") if check.optional else ("-", "failed")
    return f"[{mark}]{check.name} {word}{': ' if check.message else ''}{check.message}"
