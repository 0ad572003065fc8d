"""Random rule files come to the same alerts, texts and series as in Debian's promtool, at every round."""

from __future__ import annotations

import os

import pytest

from differential.rules import compare, promtool_here, restarted

pytestmark = pytest.mark.interop
FILES = 40


@pytest.fixture(scope="module")
def promtool() -> str:
    found = promtool_here()
    if found is None and not os.environ.get("CI"):
        pytest.skip("promtool is not installed")
    assert found, "install Debian's prometheus package"
    return found


@pytest.mark.parametrize("part", range(2))
def test_random_rule_files_come_to_the_same(promtool: str, part: int) -> None:
    for number in range(part, FILES, 2):
        for found in compare(promtool, f"ci.{number}"):
            pytest.fail(f"{found.files.rules}\n{found.files.test}\nours   {found.ours}\ntheirs {found.theirs}")


@pytest.mark.parametrize("number", range(10))
def test_a_restart_between_two_rounds_changes_no_alert(number: int) -> None:
    assert restarted(f"ci.{number}") == []
