"""People are told once of what a pass repeats."""

from flagger_py.controller.told import REMEMBERED, Told
from flagger_py.rollout.notices import Notice, Severity


def notice(key: str, message: str = "halt") -> Notice:
    return Notice(Severity.NORMAL, message, key)


def test_a_repeated_notice_is_no_news_and_another_key_or_text_is() -> None:
    told = Told()
    assert told.news([notice("a"), notice("a")]) == (notice("a"),)
    assert told.news([notice("a"), notice("b"), notice("a", "other")]) == (notice("b"), notice("a", "other"))


def test_the_memory_is_bounded() -> None:
    told = Told()
    told.news(notice(str(number)) for number in range(REMEMBERED + 1))
    assert told.news([notice("0")]) == (notice("0"),)
    assert told.news([notice(str(REMEMBERED))]) == ()
