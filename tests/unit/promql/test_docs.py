"""The page on PromQL names everything that is answered, and nothing else among what it says is answered."""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern
from pathlib import Path

from bot.promql.guard import MAX_BACKSLASHES, MAX_NESTING, MAX_OPERATORS
from bot.promql.signatures import AGGREGATIONS, FUNCTIONS

PAGE = (Path(__file__).parents[3] / "docs" / "promql.md").read_text()


def test_the_page_names_what_is_answered():
    answered = PAGE.split("## Answered")[1].split("## Not answered")[0].split("Aggregations,")[1]
    words = set(re.findall(r"`([a-z_0-9]+)`", answered)) - {"by", "without"}
    assert words == {*FUNCTIONS, *AGGREGATIONS}


def test_the_page_gives_the_limits_in_force():
    assert f"{MAX_NESTING} brackets" in PAGE
    assert f"{MAX_OPERATORS} operators" in PAGE
    assert f"{MAX_BACKSLASHES} backslashes" in PAGE
