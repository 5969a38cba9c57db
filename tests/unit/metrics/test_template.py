"""The template language, held against what Go's `text/template` made of the same templates (recorded by running Go 1.26)."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flagger_py.metrics.template import TemplateError, TemplateValues, check, render

FIXTURES = Path(__file__).parents[2] / "fixtures" / "metrics"
VECTORS = json.loads((FIXTURES / "go_templates.json").read_text())

VALUES = TemplateValues(
    name="web",
    namespace="prod",
    target="web",
    service="web-svc",
    ingress="web-ing",
    route="web-route",
    interval="1m",
    variables={"key": "value", "a-b": "dash", "empty": "", "q": "a b&c", "n": "5"},
)

REFUSED = {
    '{{ printf "%s" }}': "has no value for '%s'",
    '{{ printf "x" 1 }}': "1 value(s) more than its format takes",
    '{{ printf "%d" "x" }}': "cannot write a text as %d",
    "{{ index name 0 }}": "cannot look up 0 in a text",
    "{{ .  }}": "there is no data",
    "{{ 1_000 }}": "'1' is not understood",
    "{{ name | }}": "a value is missing before '}}'",
}
"""What Go marks inside the text, prints as `<no value>` or lets pass, and we refuse (TPL-12: a clear error)."""


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["template"][:60])
def test_a_template_gives_what_go_gives_or_fails_where_go_fails(vector: dict[str, str | None]) -> None:
    """metrics:TPL-10, TPL-11, TPL-12, TPL-13"""
    template, text = str(vector["template"]), vector["text"]
    if text is None or template in REFUSED:
        with pytest.raises(TemplateError, match=r"\(line \d+, column \d+\)$"):
            render(template, VALUES)
    else:
        assert render(template, VALUES) == text


@pytest.mark.parametrize(("template", "message"), REFUSED.items())
def test_what_go_would_only_mark_is_refused_with_a_reason(template: str, message: str) -> None:
    """metrics:TPL-12"""
    with pytest.raises(TemplateError) as refused:
        render(template, VALUES)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ range variables }}{{ end }}", "range is not supported in queries"),
        ("{{ unknown }}", "unknown function unknown; known are name, namespace"),
        ("{{ variables.nope }}", "the metric's templateVariables have no 'nope'; there are: a-b, empty, key, n, q"),
        ("{{ variables.a-b }}", "'-' cannot stand in a name"),
        ("{{ $v }}", "unknown variable $v"),
        ("{{ name namespace }}", "name takes no arguments"),
        ("{{ name", "an action is not closed by }}"),
        ("{{ if name }}x", "an if without its end"),
        ('{{ "a" }}{{ "b }}', "a string is not closed"),
        ("{{ .X }}", "there is no data"),
        ("{{ variables.key.more }}", "a text has no field more"),
        ('{{ printf "%99999d" 1 }}', "at most 1000 characters"),
        ("{{ " + "9" * 5000 + " }}", "a number of more than 30 characters"),
    ],
)
def test_an_error_says_what_is_wrong(template: str, message: str) -> None:
    """metrics:TPL-11, TPL-12"""
    with pytest.raises(TemplateError) as refused:
        render(template, VALUES)
    assert message in str(refused.value)


def test_an_error_names_its_line_and_column() -> None:
    with pytest.raises(TemplateError) as refused:
        check("sum(rate(\n  x[{{ nope }}]))")
    assert (refused.value.line, refused.value.column) == (2, 8)


def test_a_missing_variable_shows_when_rendered_and_not_when_checked() -> None:
    check("{{ variables.nope }}")
    with pytest.raises(TemplateError):
        render("{{ variables.nope }}", VALUES)


def test_deep_nesting_is_refused_instead_of_exhausting_the_stack() -> None:
    for template in ("{{ " + "(" * 5000 + "name" + ")" * 5000 + " }}", "{{ if name }}" * 5000 + "{{ end }}" * 5000):
        with pytest.raises(TemplateError, match="levels deep"):
            check(template)


def test_a_chain_of_else_if_is_limited_too() -> None:
    with pytest.raises(TemplateError, match="levels deep"):
        check("{{ if name }}" + "{{ else if name }}" * 5000 + "{{ end }}")


def test_output_is_limited() -> None:
    with pytest.raises(TemplateError, match="longer than 1 MiB"):
        render('{{ printf "%1000s" name }}' * 2000, VALUES)


PIECES = st.sampled_from(
    ["{{", "}}", "{{-", "-}}", " ", "name", "variables", ".key", "$v", ":=", "=", "|", "(", ")", '"s"', "3", "2.5", "printf", "%v", "if",
     "else", "end", "eq", "and", "or", "not", "index", "len", "text", "/*", "*/", "\n", ".", "`", "'", "\\"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=14).map("".join))
def test_any_text_is_rendered_or_refused_with_a_template_error(template: str) -> None:
    with contextlib.suppress(TemplateError):
        render(template, VALUES)


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_actions_stays_as_it_is(text: str) -> None:
    """metrics:TPL-13: `{%`, `{#`, `${` and a lone `}}` are text"""
    assert render(text, VALUES) == text


@given(st.text())
def test_a_value_is_inserted_as_it_is(value: str) -> None:
    """metrics:TPL-14"""
    values = TemplateValues(value, value, value, value, value, value, value, {"key": value})
    assert render("{{ name }}|{{ variables.key }}|{{ interval }}", values) == f"{value}|{value}|{value}"
