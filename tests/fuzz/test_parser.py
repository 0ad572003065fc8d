"""Whatever is given to the parser front: an expression or a QueryError, never anything else, never the end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bot.errors import QueryError
from bot.promql.parse import Expr, parse
from fuzz.hostile import broken_queries, profile, query, towers

HERE = Path(__file__).parent


def judged(text: str) -> Expr | None:
    try:
        return parse(text, experimental=True)
    except QueryError:
        return None


@profile
@given(st.text(max_size=200))
def test_any_text_parses_or_is_refused(text: str) -> None:
    judged(text)


@profile
@given(broken_queries())
def test_a_broken_query_parses_or_is_refused(text: str) -> None:
    judged(text)


@profile
@given(st.integers(0, 1 << 30))
def test_every_beginning_of_a_query_parses_or_is_refused(seed: int) -> None:
    text = query(seed)
    for end in range(0, len(text), 3):
        judged(text[:end])


@profile
@given(st.integers(0, 1 << 30))
def test_what_was_written_means_the_same_when_written_again(seed: int) -> None:
    expr = judged(query(seed))
    if expr is not None:
        again = parse(f" ( {expr.text} ) ", experimental=True)
        assert again.canonical == expr.canonical


def test_no_tower_ends_a_process_with_a_small_stack() -> None:
    texts = towers()
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    done = subprocess.run(
        [sys.executable, str(HERE / "small_stack.py")],
        input=lines,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=HERE.parents[1],
    )
    verdicts = done.stdout.split()
    assert done.returncode == 0, f"{texts[len(verdicts)][:80]}\n{done.stderr[-2000:]}"
    assert len(verdicts) == len(texts)
    assert set(verdicts) == {"refused", "answered"}
