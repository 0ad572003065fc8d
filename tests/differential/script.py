"""A difference as text, in the manner of the scripts under tests/unit/promql/scripts."""

from __future__ import annotations

import math
import re  # noqa: TID251 - fixed pattern

from .answer import Answer, Key
from .data import GRID_MS, STALE, Line
from .duel import Verdict, exactly
from .generator import spelled


def script(verdict: Verdict, lines: list[Line]) -> str:
    question = verdict.question
    text = str(question.query)
    last = max(question.times[-1], *_pinned(text), 0) // GRID_MS + 121
    rest = text
    for line in lines:
        rest = rest.replace(exactly(line), "")
    shown = [line for line in lines if exactly(line) in text or _named(rest, line)]
    out = [f"# {remark}" for remark in _remarks(verdict)]
    out.append(f"load {spelled(GRID_MS)}")
    out += [f"  {_metric(tuple(sorted(line.labels.items())))} {_samples(line, last)}" for line in shown]
    out += ["", *_asked(verdict, text)]
    return "\n".join(out) + "\n"


def _pinned(text: str) -> list[int]:
    return [round(float(at) * 1000) for at in re.findall(r"@ ([\d.]+)", text)]


def _named(text: str, line: Line) -> bool:
    return (
        "__name__" in text
        or re.search(rf"\b{re.escape(line.labels['__name__'])}\b", text) is not None
        or re.search(r"(?:^|[(\s])\{[a-z]", text) is not None
    )


def _remarks(verdict: Verdict) -> list[str]:
    ours, theirs = verdict.ours, verdict.theirs
    if ours.error or theirs.error:
        return [
            f"ours: {ours.error or 'an answer'} {ours.message}",
            f"theirs: {theirs.error or 'an answer'} {theirs.message}",
        ]
    found = [f"ours: {line}" for line in _rows(ours, verdict)]
    extra = [f"ours remarks: {text}" for text in sorted(ours.notes - theirs.notes)]
    return found + extra + [f"theirs remarks: {text}" for text in sorted(theirs.notes - ours.notes)]


def _asked(verdict: Verdict, text: str) -> list[str]:
    question = verdict.question
    if question.step_ms:
        when = f"range from {spelled(question.start_ms)} to {spelled(question.end_ms)} step {spelled(question.step_ms)}"
    else:
        when = f"instant at {spelled(question.start_ms)}"
    if verdict.theirs.error:
        return [f"eval_fail {when} {text}", f"  {verdict.theirs.message}"]
    return [f"eval {when} {text}", *(f"  {row}" for row in _rows(verdict.theirs, verdict))]


def _rows(answer: Answer, verdict: Verdict) -> list[str]:
    times = verdict.question.times if verdict.question.step_ms else None
    rows = []
    for key, points in answer.rows:
        there = dict(points)
        values = [there.get(at) for at in times] if times else [value for _, value in points]
        rows.append(f"{_metric(key)} {' '.join('_' if value is None else _number(value) for value in values)}")
    return rows


def _metric(key: Key) -> str:
    labels = dict(key)
    name = labels.pop("__name__", "")
    plain = re.fullmatch(r"[a-zA-Z_:][\w:]*|", name)
    inside = [] if plain else [_quoted(name)]
    inside += [
        f"{label if label.isascii() and label.isidentifier() else _quoted(label)}={_quoted(value)}"
        for label, value in labels.items()
    ]
    if inside or not name:
        return f"{name if plain else ''}{{{','.join(inside)}}}"
    return name


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _samples(line: Line, last: int) -> str:
    return " ".join("_" if value is None else _number(value) for value in line.samples[:last])


def _number(value: float | str) -> str:
    if value == STALE or isinstance(value, str):
        return STALE
    if math.isnan(value):
        return "NaN"
    return f"{'-' if value < 0 else ''}Inf" if math.isinf(value) else repr(value).removesuffix(".0")
