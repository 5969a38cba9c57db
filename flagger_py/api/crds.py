"""The CustomResourceDefinitions, generated from the models: structural schemas, with CEL rules for what Flagger lets pass.

A schema has no `required` and no `oneOf` that Flagger's has not, because those lock a stored object that lacks them (api:API-36);
what is new is a bound, a pattern or a CEL rule, which Kubernetes 1.30 and later enforce on changed values only.
"""

import ast
import inspect
import textwrap
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Final

import yaml

from flagger_py.api.alert_provider import AlertProvider
from flagger_py.api.base import ApiModel, ApiObject
from flagger_py.api.canary import Canary
from flagger_py.api.metric_template import MetricTemplate
from flagger_py.api.schema import Rule, Schema
from flagger_py.api.shapes import FieldShape, Kind, Shape, fields_of

GROUP = "flagger.app"
VERSION = "v1beta1"
_META_FIELDS = {"apiVersion", "kind", "metadata"}
_SCHEMA_KEYWORDS = {
    "enum": "enum",
    "pattern": "pattern",
    "format": "format",
    "default": "default",
    "minimum": "minimum",
    "maximum": "maximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_items": "minItems",
    "max_items": "maxItems",
    "max_properties": "maxProperties",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`; those of priority 1 are shown by `-o wide` only."""

    name: str
    path: str
    priority: int = 0
    type: str = "string"

    def to_manifest(self) -> dict[str, Any]:
        column: dict[str, Any] = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return {**column, "priority": self.priority} if self.priority else column


@dataclass(frozen=True, slots=True)
class Definition:
    """One CustomResourceDefinition."""

    model: type[ApiObject]
    plural: str
    columns: tuple[Column, ...]

    @property
    def name(self) -> str:
        return f"{self.plural}.{GROUP}"

    def to_manifest(self) -> dict[str, Any]:
        kind = self.model.__name__
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": self.name, "annotations": {"helm.sh/resource-policy": "keep"}},
            "spec": {
                "group": GROUP,
                "names": {
                    "plural": self.plural,
                    "singular": kind.lower(),
                    "kind": kind,
                    "listKind": f"{kind}List",
                    "categories": ["all"],
                },
                "scope": "Namespaced",
                "versions": [self._version()],
            },
        }

    def _version(self) -> dict[str, Any]:
        return {
            "name": VERSION,
            "served": True,
            "storage": True,
            "subresources": {"status": {}},
            "additionalPrinterColumns": [column.to_manifest() for column in self.columns],
            "schema": {"openAPIV3Schema": root_schema(self.model)},
        }


DEFINITIONS: Final = (
    Definition(
        Canary,
        "canaries",
        (
            Column("Status", ".status.phase"),
            Column("Weight", ".status.canaryWeight"),
            Column("Suspended", ".spec.suspend", 1, "boolean"),
            Column("FailedChecks", ".status.failedChecks", 1),
            Column("Interval", ".spec.analysis.interval", 1),
            Column("Mirror", ".spec.analysis.mirror", 1, "boolean"),
            Column("StepWeight", ".spec.analysis.stepWeight", 1),
            Column("StepWeights", ".spec.analysis.stepWeights", 1),
            Column("MaxWeight", ".spec.analysis.maxWeight", 1),
            Column("LastTransitionTime", ".status.lastTransitionTime"),
        ),
    ),
    Definition(MetricTemplate, "metrictemplates", (Column("Provider", ".spec.provider.type"),)),
    Definition(AlertProvider, "alertproviders", (Column("Type", ".spec.type"),)),
)
"""The three definitions, with exactly Flagger's columns (api:§1, api:API-01)."""


def as_yaml(definition: Definition) -> str:
    """The definition as it stands in `deploy/crds/`."""
    return yaml.dump(definition.to_manifest(), Dumper=_Plain, sort_keys=False, width=140, allow_unicode=True)


class _Plain(yaml.SafeDumper):
    """Writes equal parts out each time: anchors and aliases are hard to read."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def root_schema(model: type[ApiObject]) -> dict[str, Any]:
    """The schema of a whole object. The API server knows `metadata` by itself."""
    schema = object_schema(model)
    for name in _META_FIELDS:
        schema["properties"][name] = {"type": "object" if name == "metadata" else "string"}
    return schema


def object_schema(model: type[ApiModel]) -> dict[str, Any]:
    """The structural schema of a model, with everything it refers to written in place."""
    fields = fields_of(model)
    schema: dict[str, Any] = {"type": "object"}
    if description := _description(model):
        schema["description"] = description
    if required := [field.json_name for field in fields if field.shape.schema.required]:
        schema["required"] = required
    schema["properties"] = {field.json_name: _field_schema(model, field) for field in fields}
    return schema | _alternatives(model) | _validations(model.rules)


def value_schema(shape: Shape) -> dict[str, Any]:
    """The structural schema of one value."""
    schema = _base_schema(shape)
    if shape.kind is Kind.OBJECT:
        schema.pop("description", None)
    rules = _validations(shape.schema.rules).get("x-kubernetes-validations", [])
    if rules:
        schema["x-kubernetes-validations"] = schema.get("x-kubernetes-validations", []) + rules
    return schema | _keywords(shape.schema)


def _base_schema(shape: Shape) -> dict[str, Any]:
    if shape.model is not None:
        return object_schema(shape.model)
    if shape.kind is Kind.INT_OR_STRING:
        return {"x-kubernetes-int-or-string": True}
    if shape.element is None:
        return {"type": shape.kind.value}
    element = value_schema(shape.element)
    return {"type": "array", "items": element} if shape.kind is Kind.LIST else {"type": "object", "additionalProperties": element}


def _field_schema(model: type[ApiModel], field: FieldShape) -> dict[str, Any]:
    description = _field_descriptions(model).get(field.name, "") or (_description(field.shape.model) if field.shape.model else "")
    schema = value_schema(field.shape)
    return {"description": description, **schema} if description else schema


def _keywords(schema: Schema) -> dict[str, Any]:
    given = {keyword: getattr(schema, name) for name, keyword in _SCHEMA_KEYWORDS.items()}
    return {
        keyword: [str(choice) for choice in value] if keyword == "enum" else value
        for keyword, value in given.items()
        if value is not None and (keyword == "default" or value not in ((), ""))
    }


def _validations(rules: tuple[Rule, ...]) -> dict[str, Any]:
    return {"x-kubernetes-validations": [_rule(rule) for rule in rules]} if rules else {}


def _rule(rule: Rule) -> dict[str, Any]:
    manifest = {"rule": rule.cel, "message": rule.message}
    return {**manifest, "optionalOldSelf": True} if rule.optional_old_self else manifest


def _alternatives(model: type[ApiModel]) -> dict[str, Any]:
    if model.one_of:
        return {"oneOf": [{"required": list(names)} for names in model.one_of]}
    if model.at_most_one_of:
        each = [{"required": [name]} for name in model.at_most_one_of]
        return {"oneOf": [{"not": {"anyOf": each}}, *each]}
    return {}


def _description(model: type[ApiModel]) -> str:
    return " ".join(inspect.cleandoc(model.__doc__ or "").split())


@cache
def _field_descriptions(model: type[ApiModel]) -> dict[str, str]:
    """The docstring below each field; they exist in the source only."""
    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    statements = body.body if isinstance(body, ast.ClassDef) else []
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(statements)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }
