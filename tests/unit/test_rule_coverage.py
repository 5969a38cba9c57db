"""Every rule that names a defect of Flagger is held by a test, or there is nothing yet that it could be held on."""

from tests.rules import citations, missing, not_applicable, rules, sources


def test_no_rule_is_missing() -> None:
    """`python -m tests.rules` prints the table."""
    assert missing(citations(sources()), not_applicable()) == []


def test_every_reason_is_about_a_rule_and_says_something() -> None:
    known = {str(rule) for rule in rules()}
    assert not not_applicable().keys() - known
    assert all(len(reason) > 10 for reason in not_applicable().values())
