"""Validation: everything that is wrong with an object, in words for the person who wrote it (api:§11, api:§12)."""

from flagger_py.api.problems import Problem, ProblemSeverity
from flagger_py.api.validation.canaries import validate
from flagger_py.api.validation.context import Context, flagger_capabilities
from flagger_py.api.validation.templates import validate_alert_provider, validate_metric_template

__all__ = [
    "Context",
    "Problem",
    "ProblemSeverity",
    "flagger_capabilities",
    "validate",
    "validate_alert_provider",
    "validate_metric_template",
]
