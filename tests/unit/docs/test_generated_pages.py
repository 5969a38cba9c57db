"""Pages that are made from tables in the code are not stale."""

import pytest

from tests.unit.docs.generated import DOCS, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_its_table_says(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "run `python -m tests.unit.docs.generated`"
