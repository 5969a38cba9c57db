"""What every API model shares: the pydantic settings, the JSON scalar types, and Kubernetes object metadata."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_serializer, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core.core_schema import SerializerFunctionWrapHandler

from flagger_py.api.schema import Rule, Schema

INT32_MAX = 2**31 - 1
OneOf = tuple[tuple[str, ...], ...]


def _integral(value: object) -> object:
    """Accepts `10` and `10.0`; pydantic alone would take `True` and `"10"` as well."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be an integer")  # noqa: TRY004 - pydantic collects ValueErrors
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("must be a whole number")
    return value


def _int_or_string(value: object) -> object:
    return value if isinstance(value, str) else _integral(value)


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def _is_time(value: object) -> object:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    if isinstance(value, str) and _RFC_3339.fullmatch(value):
        return value
    raise ValueError("must be an RFC 3339 time with a time zone")


def _to_utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


INT32 = Schema(format="int32", minimum=-INT32_MAX - 1, maximum=INT32_MAX)
Int32 = Annotated[int, BeforeValidator(_integral), Field(ge=-INT32_MAX - 1, le=INT32_MAX), INT32]
"""A number that Flagger decodes into an `int` or `int32`; a fraction is refused (api:API-15)."""
UInt32 = Annotated[int, BeforeValidator(_integral), Field(ge=0, le=2**32 - 1), Schema(format="int64", minimum=0, maximum=2**32 - 1)]
"""A number that Flagger decodes into a `uint32` (api:API-15)."""
IntOrString = Annotated[int | str, BeforeValidator(_int_or_string)]
Int64 = Annotated[int, BeforeValidator(_integral), Field(ge=-(2**63), le=2**63 - 1), Schema(format="int64")]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Bool = Annotated[bool, Strict()]
Time = Annotated[datetime, BeforeValidator(_is_time), AfterValidator(_to_utc), Schema(format="date-time")]
"""A moment in UTC; written as RFC 3339 with `Z`, in seconds or, where it has a fraction, in microseconds."""


class ApiModel(BaseModel):
    """Part of an object of the Kubernetes API: immutable, camelCase in JSON, fields that we do not know survive.

    A `null` is the same as an absent field, as it is for Flagger and for the API server.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, serialize_by_alias=True, frozen=True, extra="allow"
    )

    one_of: ClassVar[OneOf] = ()
    """Sets of JSON names: exactly one of the sets must be given whole."""
    at_most_one_of: ClassVar[tuple[str, ...]] = ()
    """JSON names of which one or none may be given."""
    rules: ClassVar[tuple[Rule, ...]] = ()
    """CEL rules on the whole object."""

    @model_validator(mode="before")
    @classmethod
    def _drop_nulls(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data

    def to_manifest(self) -> dict[str, Any]:
        """The JSON form with only what was said: no defaults of ours."""
        return self.model_dump(mode="json", exclude_unset=True, exclude_none=True)

    def has(self, field: str) -> bool:
        """Whether the field was given (CEL's `has`), be it with its zero value."""
        return field in self.model_fields_set and getattr(self, field) is not None


class CompactModel(ApiModel):
    """A part of `status`: optional fields that have their default are left out when it is written."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped: dict[str, Any] = handler(self)
        for name, field in type(self).model_fields.items():
            if not self._is_always_written(name) and getattr(self, name) == field.get_default(call_default_factory=True):
                dumped.pop(field.alias or name, None)
                dumped.pop(name, None)
        return dumped

    @classmethod
    def _is_always_written(cls, name: str) -> bool:
        return cls.model_fields[name].is_required()

    def to_manifest(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


class OwnerReference(ApiModel):
    """Who owns an object; `controller` marks the one that manages it."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: Bool = False
    block_owner_deletion: Bool = False


class ObjectMeta(ApiModel):
    """The fields of `metadata` that we read."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: Int64 = 0
    resource_version: str = ""
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()


class ApiObject(ApiModel):
    """A whole object: kind, version and metadata."""

    api_version: str = "flagger.app/v1beta1"
    kind: str = ""
    metadata: ObjectMeta = ObjectMeta()

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    def __str__(self) -> str:
        """`Kind namespace/name`, as it is written in messages."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    def with_changes(self, **changes: object) -> Self:
        """A copy with other values."""
        return self.model_copy(update=changes)
