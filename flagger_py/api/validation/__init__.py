"""Validation: everything that is wrong with an object, in words for the person who wrote it (api:§11, api:§12)."""

from flagger_py.api.problems import Problem, ProblemSeverity
from flagger_py.api.validation.canaries import validate
from flagger_py.api.validation.context import Context, flagger_capabilities
from flagger_py.api.validation.relations import Neighbours, key_of, relation_problems, rivals
from flagger_py.api.validation.templates import validate_alert_provider, validate_metric_template
from flagger_py.api.validation.unknown_fields import unknown_field_problems

__all__ = [
    "Context",
    "Neighbours",
    "Problem",
    "ProblemSeverity",
    "flagger_capabilities",
    "key_of",
    "relation_problems",
    "rivals",
    "unknown_field_problems",
    "validate",
    "validate_alert_provider",
    "validate_metric_template",
]
