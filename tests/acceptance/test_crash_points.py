"""`kill -9` at named points of a page's whole life. A few of them here; `make reliability` goes through all of them."""

from __future__ import annotations

import pytest
from reliability import crashes


@pytest.mark.parametrize(
    ("point", "occurrence"),
    [
        ("after claim", 1),  # the row says sending, nothing has left
        ("after slack.post", 2),  # Slack has it, nobody has written that down
        ("before the commit of act", 1),  # the click is not answered, so it is pressed again
        ("after escalate", 1),
    ],
)
async def test_a_kill_loses_nothing_and_repeats_one_page_at_the_most(tmp_path, point, occurrence):
    result = await crashes.run(tmp_path, point, occurrence)
    assert result.killed, "the point was never passed"
    assert result.lost == ()
    assert len(result.duplicates) <= 1
