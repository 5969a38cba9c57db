"""Rules about conditions on requests: what the provider can compare, and regular expressions that do not compile."""

import re
import warnings
from collections.abc import Iterator, Mapping

from flagger_py.api import effective
from flagger_py.api.canary import Canary
from flagger_py.api.capabilities import Capabilities, MatchKind
from flagger_py.api.matches import HeaderMatch, HttpMatch, OriginMatch, StringMatch, UserMatch
from flagger_py.api.problems import Problem, invalid, warning
from flagger_py.api.providers import KUBERNETES
from flagger_py.api.validation.context import Context

AnyMatch = HeaderMatch | StringMatch | OriginMatch
_SINGLE_CONDITION: dict[str, set[str]] = {"nginx": {"cookie"}, "appmesh": set(), "appmesh:v1beta2": set()}
"""Providers that can compare one header only (api:GAP-12), and headers that do not count: nginx has an annotation for a cookie."""


def match_problems(canary: Canary, context: Context) -> Iterator[Problem]:
    """Everything that is wrong with `analysis.match`, and with regular expressions in `service`."""
    analysis = effective.analysis_of(canary)
    provider = effective.provider(canary, context.provider)
    can = context.capabilities(provider)
    if analysis.match and provider and can and provider != KUBERNETES:
        yield from _ability_problems(analysis.match, can, provider, is_ab_test=analysis.iterations > 0)
    for index, match in enumerate(analysis.match):
        path = f"spec.analysis.match[{index}]"
        if not (match.headers or match.query_params or match.source_labels):
            yield warning(path, None, "has no condition: everybody matches", "GAP-10")
        yield from _regex_problems(match.headers, f"{path}.headers")
        yield from _regex_problems(match.query_params, f"{path}.queryParams")
    if canary.spec.service:
        for index, route in enumerate(canary.spec.service.match):
            yield from _route_problems(route, f"spec.service.match[{index}]")
        cors = canary.spec.service.cors_policy
        for index, origin in enumerate(cors.allow_origins if cors else ()):
            yield from _one_regex(origin, f"spec.service.corsPolicy.allowOrigins[{index}]")


def _ability_problems(matches: tuple[UserMatch, ...], can: Capabilities, provider: str, *, is_ab_test: bool) -> Iterator[Problem]:
    if not (can.header_match or can.query_match or can.source_label_match):
        if is_ab_test:
            yield invalid("spec.analysis.match", None, f"provider {provider} cannot route by request: everybody would match", "GAP-12")
        return
    for index, match in enumerate(matches):
        path = f"spec.analysis.match[{index}]"
        yield from _kind_problems(match.headers, can.header_match, provider, f"{path}.headers")
        yield from _kind_problems(match.query_params, can.query_match, provider, f"{path}.queryParams")
        if match.source_labels and not can.source_label_match:
            yield invalid(f"{path}.sourceLabels", dict(match.source_labels), f"provider {provider} cannot compare source labels", "GAP-11")
    if provider in _SINGLE_CONDITION:
        yield from _single_header_problems(matches, provider)


def _single_header_problems(matches: tuple[UserMatch, ...], provider: str) -> Iterator[Problem]:
    names = [name for match in matches for name in match.headers or () if name.lower() not in _SINGLE_CONDITION[provider]]
    if len(names) > 1:
        yield invalid("spec.analysis.match", names, f"provider {provider} can compare one header", "GAP-12")


def _kind_problems(matches: Mapping[str, AnyMatch] | None, kinds: frozenset[MatchKind], provider: str, path: str) -> Iterator[Problem]:
    for name, match in (matches or {}).items():
        for kind in MatchKind:
            if getattr(match, kind, None) is not None and kind not in kinds:
                allowed = ", ".join(other for other in MatchKind if other in kinds)
                what = path.rpartition(".")[2]
                message = f"cannot compare by {kind}; it can by {allowed}" if allowed else f"cannot compare {what}"
                message = f"provider {provider} {message}"
                yield invalid(f"{path}[{name}].{kind}", getattr(match, kind), message, "GAP-11" if "gatewayapi" in provider else "GAP-12")


def _route_problems(route: HttpMatch, path: str) -> Iterator[Problem]:
    for name in ("uri", "scheme", "method", "authority"):
        yield from _one_regex(getattr(route, name), f"{path}.{name}")
    yield from _regex_problems(route.headers, f"{path}.headers")
    yield from _regex_problems(route.query_params, f"{path}.queryParams")
    yield from _regex_problems(route.without_headers, f"{path}.withoutHeaders")


def _regex_problems(matches: Mapping[str, AnyMatch] | None, path: str) -> Iterator[Problem]:
    for name, match in (matches or {}).items():
        yield from _one_regex(match, f"{path}[{name}]")


def _one_regex(match: AnyMatch | None, path: str) -> Iterator[Problem]:
    if match is not None and match.regex is not None and (reason := why_no_regex(match.regex)):
        yield invalid(f"{path}.regex", match.regex, f"is no regular expression: {reason}", "")


_RE2_ONLY = re.compile(
    r"""
      \\Q(?P<quoted>.*?)(?:\\E|\Z)               # literal text
    | \[:\^?[a-z]+:\]                            # a POSIX class, as in [[:alpha:]]
    | \\[pP](?:\{\^?\w+\}|[A-Z])                 # a Unicode class
    | \\x\{[0-9a-fA-F]+\}                        # a code point
    | (?P<group>\(\?)(?P<flags>[imsU]*(?:-[imsU]+)?)(?P<end>[:)])
    | (?P<name>\(\?<)(?=[A-Za-z_])
    | \\z | \\C
    | \\.                                        # any other escape stays as it is
    """,
    re.VERBOSE | re.DOTALL,
)


def why_no_regex(pattern: str) -> str:
    """Why neither RE2 (Envoy, Istio) nor a Perl-like engine compiles the pattern; empty where one does.

    RE2 is not at hand, so its own syntax is put into Python's words first; what is left over is wrong everywhere.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(_RE2_ONLY.sub(_in_python, pattern))
    except (re.error, OverflowError, RecursionError) as error:
        return str(error) or type(error).__name__
    return ""


def _in_python(found: re.Match[str]) -> str:
    text = found[0]
    if found["quoted"] is not None:
        return re.escape(found["quoted"])
    if found["group"]:
        return "(?:" if found["end"] == ":" else ""
    if found["name"]:
        return "(?P<"
    if text.startswith("[:"):
        return "a-z"
    if text[:2] in {r"\p", r"\P", r"\C"} or text.startswith(r"\x{"):
        return "a"
    return r"\Z" if text == r"\z" else text
