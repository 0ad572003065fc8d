"""What a rendered runbook says of its age."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from bot.runbooks.rendered import Rendered

AT = datetime(2026, 11, 4, 2, 0, tzinfo=UTC)
MONTH = timedelta(days=30)


@pytest.mark.parametrize(
    ("reviewed", "every", "words"),
    [
        (None, MONTH, ""),
        (date(2026, 11, 4), MONTH, "reviewed today"),
        (date(2026, 11, 5), MONTH, "reviewed today"),  # written where it is tomorrow already
        (date(2026, 10, 5), MONTH, "reviewed 30 d ago"),
        (date(2026, 10, 4), MONTH, "reviewed 31 d ago, due every 30 d"),
        (date(2026, 8, 6), None, "reviewed 90 d ago"),
        (date(2026, 8, 5), None, "reviewed 91 d ago, due every 90 d"),  # rendered by a release that did not say
    ],
)
def test_the_age_of_a_review(reviewed, every, words):
    assert Rendered(reviewed_on=reviewed, review_every=every, rendered_at=AT).review(AT.date()) == words
