"""docs/api.md lists the paths that are answered, and no others."""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, never a user's
from pathlib import Path

from bot.web.prometheus import ASKED, ASKED_BY_FORM

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def test_every_path_has_its_row_and_every_row_its_path():
    rows = re.findall(r"^\| `([^`]+)` \| (GET(?:, POST)?) \|", PAGE, re.MULTILINE)
    plain = [path.replace("{name}", "<name>") for path in ASKED]
    expected = dict.fromkeys(ASKED_BY_FORM, "GET, POST") | dict.fromkeys(plain, "GET")
    assert dict(rows) == expected
    assert len(rows) == len(expected)
