"""Nothing that a stored object may hold makes decoding, validation or the derived values raise (api:API-16, api:API-36)."""

import inspect
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flagger_py.api import effective
from flagger_py.api.base import ApiModel
from flagger_py.api.canary import Canary, CanarySpec
from flagger_py.api.decoding import Undecodable, parse_canary
from flagger_py.api.problems import Problem
from flagger_py.api.shapes import Kind, Shape, fields_of
from flagger_py.api.validation import Context, unknown_field_problems, validate
from tests.unit.api.admission import refusals
from tests.unit.api.test_admission import SCHEMA

TEXTS = st.one_of(
    st.sampled_from(["", "1m", "0s", "-1s", "istio", "gatewayapi:v1", "Deployment", "a.b", "(", "http://a", "None"]), st.text(max_size=8)
)
SCALARS = {
    Kind.TEXT: TEXTS,
    Kind.BOOLEAN: st.booleans(),
    Kind.INTEGER: st.integers(-3, 120),
    Kind.NUMBER: st.floats(-1, 101) | st.integers(-1, 101),
    Kind.INT_OR_STRING: TEXTS | st.integers(-1, 70000),
}


def values_of(shape: Shape) -> st.SearchStrategy[Any]:
    if shape.model:
        return manifests_of(shape.model)
    if shape.kind is Kind.LIST and shape.element:
        return st.lists(values_of(shape.element), max_size=3)
    if shape.kind is Kind.MAP and shape.element:
        return st.dictionaries(st.text("abc", min_size=1, max_size=2), values_of(shape.element), max_size=2)
    if shape.schema.enum:
        return st.sampled_from(shape.schema.enum) | TEXTS
    return SCALARS[shape.kind]


def manifests_of(model: type[ApiModel]) -> st.SearchStrategy[dict[str, Any]]:
    """Any manifest of the right JSON types, each field there or not."""
    return st.fixed_dictionaries({}, optional={field.json_name: values_of(field.shape) for field in fields_of(model)})


def everything_derived(canary: Canary) -> None:
    for name, function in inspect.getmembers(effective, inspect.isfunction):
        parameters = list(inspect.signature(function).parameters.values())
        if not name.startswith("_") and parameters and parameters[0].annotation is Canary and len(parameters) == 1:
            function(canary)
    effective.weight_steps(effective.analysis_of(canary))


SPECS = manifests_of(CanarySpec)


@settings(max_examples=150, deadline=None)
@given(SPECS)
def test_a_spec_of_the_right_types_is_judged_and_survives(spec: dict[str, Any]) -> None:
    canary = parse_canary({"kind": "Canary", "spec": spec})
    if isinstance(canary, Undecodable):
        assert canary.problems
        return
    problems = validate(canary, Context(provider="contour"))
    assert all(isinstance(problem, Problem) and problem.path and problem.message for problem in problems)
    assert list(unknown_field_problems(canary.spec, ("spec",))) == []
    everything_derived(canary)
    assert parse_canary(canary.to_manifest()) == canary


@settings(max_examples=150, deadline=None)
@given(SPECS)
def test_what_the_crd_refuses_the_controller_refuses(spec: dict[str, Any]) -> None:
    """api:§12: a stored object that breaks a rule is reported, whichever CRD let it in."""
    manifest = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "a"}, "spec": spec}
    parsed = parse_canary(manifest)
    found = parsed.problems if isinstance(parsed, Undecodable) else validate(parsed, Context())
    if refused := refusals(manifest, SCHEMA):
        assert found, refused


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["spec", "status", "analysis", "metrics", "x"]), inner),
    max_leaves=12,
)


@given(JUNK)
def test_junk_gives_problems_and_never_an_exception(junk: object) -> None:
    parsed = parse_canary(junk)
    if isinstance(parsed, Canary):
        validate(parsed, Context())
    else:
        assert all(problem.message for problem in parsed.problems)
