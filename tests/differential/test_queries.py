"""Our engine and Debian's Prometheus answer the same random questions alike; `make differential` asks more of them."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from differential.duel import Duel, shrunk
from differential.known import DIFFERENCES
from differential.peer import binary
from differential.script import script

pytestmark = pytest.mark.interop
SETS = 8
EACH = 2500


@pytest.fixture(scope="module")
def prometheus() -> str:
    found = binary()
    if found is None and not os.environ.get("CI"):
        pytest.skip("prometheus is not installed")
    assert found, "install Debian's prometheus package"
    return found


@pytest.mark.parametrize("number", range(SETS))
def test_random_questions_get_the_same_answers(prometheus: str, number: int) -> None:
    words: Counter[str] = Counter()
    with Duel(prometheus, f"ci.{number}") as duel:
        for verdict in duel.run(EACH):
            words[verdict.word] += 1
            if verdict.word == "different":
                small = shrunk(duel, verdict)
                pytest.fail(f"{verdict.question.query}\n{script(small, duel.lines)}")
    assert words.keys() <= {"same", "empty", "refused"} | {one.name for one in DIFFERENCES}
    # Questions without an answer prove little, and known differences must stay the exception.
    assert words["same"] > EACH * 0.4
    assert words["same"] + words["empty"] + words["refused"] > EACH * 0.98
