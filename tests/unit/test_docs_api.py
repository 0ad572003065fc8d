"""docs/api.md lists the paths that are answered, and no others."""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, never a user's
from pathlib import Path
from typing import cast

from bot.settings import ApiScope
from bot.web.api import Backend, described
from bot.web.operation import Operation
from bot.web.prometheus import ASKED, ASKED_BY_FORM

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def test_every_path_has_its_row_and_every_row_its_path():
    rows = re.findall(r"^\| `([^`]+)` \| (GET(?:, POST)?) \|", PAGE, re.MULTILINE)
    plain = [path.replace("{name}", "<name>") for path in ASKED]
    expected = dict.fromkeys(ASKED_BY_FORM, "GET, POST") | dict.fromkeys(plain, "GET")
    assert dict(rows) == expected
    assert len(rows) == len(expected)


def test_every_path_of_ours_has_its_row_with_its_scope():
    rows = set(re.findall(r"^\| `(\w+ [^` ]+)` \| `(\w+)` \| (.+) \|$", PAGE, re.MULTILINE))
    assert rows == {
        (f"{one.method} {path_of(one)}", str(one.needs), one.about) for one in described(cast("Backend", None))
    }


def path_of(one: Operation) -> str:
    return one.path.removeprefix("/api/pager/").replace(":path", "").replace("{", "<").replace("}", ">")


def test_every_scope_has_its_row():
    assert set(re.findall(r"^\| `(\w+)` \| (?!GET)", PAGE.split("### Scopes")[1].split("###")[0], re.MULTILINE)) == set(
        ApiScope
    )
