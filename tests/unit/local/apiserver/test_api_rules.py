"""Rules in CEL: transitions, optional old values, names that need escaping, and what the library lacks."""

from typing import Any

import pytest

from flagger_py.local.apiserver.cel_library import go_duration
from flagger_py.local.apiserver.cel_rules import RuleSet
from flagger_py.local.apiserver.schema import custom


def _rules(schema: dict[str, Any], *rules: dict[str, Any]) -> RuleSet:
    spec = {"type": "object", **schema, "x-kubernetes-validations": list(rules)}
    return RuleSet(custom({"type": "object", "properties": {"spec": spec}}))


@pytest.mark.parametrize(
    ("schema", "rule", "good", "bad"),
    [
        pytest.param({"properties": {"a": {"type": "integer"}}}, "self.a > 1", {"a": 2}, {"a": 1}, id="comparison"),
        pytest.param({"properties": {"a": {"type": "string"}}}, "!has(self.a) || self.a.startsWith('x')", {}, {"a": "y"}, id="has"),
        pytest.param(
            {"properties": {"l": {"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}},
            "self.l.all(x, has(x.n)) && self.l.filter(x, x.n == 'a').size() <= 1",
            {"l": [{"n": "a"}]},
            {"l": [{"n": "a"}, {"n": "a"}]},
            id="macros",
        ),
        pytest.param(
            {"properties": {"namespace": {"type": "string"}, "a-b": {"type": "string"}}},
            "self.__namespace__ == self.a__dash__b",
            {"namespace": "x", "a-b": "x"},
            {"namespace": "x", "a-b": "y"},
            id="escaped names",
        ),
        pytest.param(
            {"properties": {"d": {"type": "string", "format": "duration"}}},
            "self.d <= duration('1m')",
            {"d": "30s"},
            {"d": "90s"},
            id="durations",
        ),
        pytest.param(
            {"properties": {"s": {"type": "string"}}}, "self.s.split(',').all(x, x.size() == 1)", {"s": "a,b"}, {"s": "aa"}, id="library"
        ),
        pytest.param({"properties": {"u": {"type": "string"}}}, "isURL(self.u)", {"u": "http://a.b/c"}, {"u": "nonsense"}, id="isURL"),
        pytest.param(
            {"properties": {"q": {"type": "string"}}}, "quantity(self.q) > quantity('1')", {"q": "2"}, {"q": "500m"}, id="quantities"
        ),
    ],
)
def test_rules_hold_or_complain(schema: dict[str, Any], rule: str, good: Any, bad: Any) -> None:
    rules = _rules(schema, {"rule": rule, "message": "no"})
    assert rules.errors({"spec": good}, None) == []
    assert [str(error) for error in rules.errors({"spec": bad}, None)] == ["spec: Invalid value: no"]


def test_a_transition_rule_is_asked_on_updates_only() -> None:
    rules = _rules({"properties": {"a": {"type": "integer"}}}, {"rule": "self.a >= oldSelf.a"})
    assert rules.errors({"spec": {"a": 1}}, None) == []
    assert rules.errors({"spec": {"a": 2}}, {"spec": {"a": 1}}) == []
    assert str(rules.errors({"spec": {"a": 1}}, {"spec": {"a": 2}})[0]) == "spec: Invalid value: failed rule: self.a >= oldSelf.a"


def test_an_optional_old_value_is_asked_always() -> None:
    schema = {"properties": {"a": {"type": "integer"}}}
    rules = _rules(schema, {"rule": "oldSelf.hasValue() || self.a == 1", "optionalOldSelf": True})
    assert rules.errors({"spec": {"a": 1}}, None) == []
    assert rules.errors({"spec": {"a": 2}}, None)
    assert rules.errors({"spec": {"a": 3}}, {"spec": {"a": 2}}) == []


def test_unchanged_values_are_not_judged_again() -> None:
    rules = _rules({"properties": {"a": {"type": "integer"}}}, {"rule": "self.a < 5"})
    assert rules.errors({"spec": {"a": 9}, "status": {"x": 1}}, {"spec": {"a": 9}}) == []


def test_messages_reasons_and_fields_can_be_chosen() -> None:
    rule = {"rule": "false", "messageExpression": "'got ' + string(self.a)", "reason": "FieldValueForbidden", "fieldPath": ".a"}
    (error,) = _rules({"properties": {"a": {"type": "integer"}}}, rule).errors({"spec": {"a": 7}}, None)
    assert (error.field, error.reason, error.message) == ("spec.a", "FieldValueForbidden", "Forbidden: got 7")


def test_a_rule_that_cannot_be_evaluated_complains() -> None:
    (error,) = _rules({"properties": {"a": {"type": "integer"}}}, {"rule": "self.b == 1"}).errors({"spec": {"a": 1}}, None)
    assert "rule evaluation error" in error.message


def test_a_rule_that_the_library_cannot_read_is_named() -> None:
    rules = _rules({"properties": {"a": {"type": "integer"}}}, {"rule": "self.?a.hasValue()"})
    assert rules.errors({"spec": {}}, None) == []
    assert "self.?a.hasValue()" in rules.unsupported[0]


@pytest.mark.parametrize(("text", "seconds"), [("1h30m", 5400), ("1.5s", 1.5), ("100ms", 0.1), ("-1s", -1), ("1d", None), ("", None)])
def test_go_durations(text: str, seconds: float | None) -> None:
    found = go_duration(text)
    assert (found.total_seconds() if found is not None else None) == seconds
