"""Conditions on requests: string matches, HTTP matches of routes, and the matches that select A/B users."""

from typing import Annotated, ClassVar

from flagger_py.api.base import ApiModel, Bool, OneOf, UInt32
from flagger_py.api.schema import Schema


class StringMatch(ApiModel):
    """At most one of the ways to compare a string."""

    at_most_one_of: ClassVar[tuple[str, ...]] = ("exact", "prefix", "regex")

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class HeaderMatch(ApiModel):
    """Exactly one of the ways to compare a header; only here is there a `suffix` (api:API-21)."""

    one_of: ClassVar[OneOf] = (("exact",), ("prefix",), ("suffix",), ("regex",))

    exact: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    regex: str | None = None


class OriginMatch(ApiModel):
    """Exactly one of the ways to compare an origin."""

    one_of: ClassVar[OneOf] = (("exact",), ("prefix",), ("regex",))

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class HttpMatch(ApiModel):
    """Which requests the generated route takes (`service.match`)."""

    name: str = ""
    uri: StringMatch | None = None
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: dict[str, StringMatch] | None = None
    query_params: dict[str, StringMatch] | None = None
    without_headers: dict[str, StringMatch] | None = None
    port: UInt32 = 0
    source_labels: dict[str, str] | None = None
    gateways: tuple[str, ...] = ()
    ignore_uri_case: Bool = False
    source_namespace: str = ""


class UserMatch(ApiModel):
    """Which users see the new version in an A/B test (`analysis.match`)."""

    headers: Annotated[dict[str, HeaderMatch] | None, Schema(max_properties=32)] = None
    query_params: Annotated[dict[str, StringMatch] | None, Schema(max_properties=32)] = None
    source_labels: dict[str, str] | None = None
