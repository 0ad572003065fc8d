"""Both rule testers on the same files, and what to think of what they print."""

from __future__ import annotations

import json
import math
import os
import re  # noqa: TID251 - reads promtool's output
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from bot.errors import ConfigError
from bot.promql.cells import HOLE
from bot.promql.engine import Engine
from bot.promql.store import SeriesStore
from bot.rules.evaluate import GroupState, Surroundings
from bot.rules.record import StoreRecorder
from bot.ruletests import model, report, rulefiles
from bot.ruletests.notation import Series
from bot.ruletests.play import Setting, play

from .answer import close
from .peer import version_of
from .rulefiles import INPUT_SECONDS, ROUNDS, Files, Writer

_BLOCK = re.compile(r"^ {4}(?=(?:alertname|expr|rule|name): )", re.MULTILINE)
_WHY = re.compile(r'"(?:[^"\\]|\\.)*<error expanding template(?:[^"\\]|\\.)*"')
_SAMPLE = re.compile(r'(\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\}) ([-+\w.]+)(?:, |$)')


@dataclass(frozen=True)
class Found:
    """A case that both did not print alike."""

    files: Files
    ours: str
    theirs: str


def promtool_here() -> str | None:
    """PROMTOOL, the one beside PROMETHEUS, or the one that is installed."""
    given = os.environ.get("PROMETHEUS")
    beside = str(Path(given).with_name("promtool")) if given else None
    return os.environ.get("PROMTOOL") or beside or shutil.which("promtool")


def compare(path: str, seed: str) -> list[Found]:
    files = Writer(seed, old=version_of(path) < (3, 0)).files()
    return differences(path, files)


def differences(path: str, files: Files) -> list[Found]:
    mine, theirs = blocks(ours(files)), blocks(promtool(path, files))
    found = []
    for number in range(max(len(mine), len(theirs))):
        one = mine[number] if number < len(mine) else ""
        other = theirs[number] if number < len(theirs) else ""
        if not same(one, other):
            found.append(Found(files, one, other))
    return found


def promtool(path: str, files: Files) -> str:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rules.yaml").write_text(files.rules)
        (Path(folder) / "test.yaml").write_text(files.test)
        done = subprocess.run(
            [path, "test", "rules", "test.yaml"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
    return done.stderr


def ours(files: Files) -> str:
    try:
        suite = model.read(files.test, "test.yaml")
        groups, _ = rulefiles.read(files.rules, "rules.yaml")
    except ConfigError as error:
        return f"  FAILED:\n{error}"
    results = tuple(play(Setting(suite, groups), group) for group in suite.groups)
    return "\n".join(block.text for block in report.blocks(report.FileResult("test.yaml", results)))


# Restarts -------------------------------------------------------------------------------------------------------------

Told = list[tuple[Any, ...]]


def restarted(seed: str) -> list[str]:
    """Where a group that is saved and taken up again between rounds differs from one that goes on. Nothing is lost
    meanwhile but what rules last wrote: Prometheus does not know that either, so rules that read it are left out."""
    chance = Random(seed)
    files = _independent(seed)
    ends = {chance.randrange(1, ROUNDS) for _ in range(3)}
    rounds = zip(_rounds(files, set()), _rounds(files, ends), strict=True)
    return [
        f"round {number}, restarts after {sorted(ends)}\n{files.rules}\n{files.test}\nwithout {one}\nwith    {other}"
        for number, (one, other) in enumerate(rounds)
        if one != other
    ]


def _independent(seed: str) -> Files:
    for number in count():
        files = Writer(f"{seed}.{number}", old=False).files()
        if not re.search("expr: .*(ALERTS|r:)", files.rules):
            return files
    raise AssertionError


def _rounds(files: Files, ends: set[int]) -> Iterator[Told]:
    suite = model.read(files.test, "test.yaml")
    groups, _ = rulefiles.read(files.rules, "rules.yaml")
    store = SeriesStore(1e9)
    around = Surroundings({"site": "here"}, hold_without_data=False)
    engine = Engine(store)
    states = [GroupState(group, engine, StoreRecorder(store), around) for group in groups]
    saved: dict[str, Any] = {}
    for number in range(ROUNDS):
        now = datetime.fromtimestamp(number * 60, UTC)
        _feed(store, suite.groups[0].series, number)
        for state in states:
            saved[state.group.id] = state.evaluate(now).state or saved.get(state.group.id)
        yield sorted(_told(states))
        if number in ends:
            states = [GroupState(group, engine, StoreRecorder(store), around) for group in groups]
            for state in states:
                if saved[state.group.id] is not None:  # None: there was nothing to save yet
                    state.restore(json.loads(json.dumps(saved[state.group.id])), now, now)


def _feed(store: SeriesStore, series: Sequence[Series], number: int) -> None:
    """The samples since the last round."""
    for slot in range(max(0, number * 60 - 59) // INPUT_SECONDS, number * 60 // INPUT_SECONDS + 1):
        at = slot * INPUT_SECONDS
        if number and at <= (number - 1) * 60:
            continue
        ids = np.array([store.intern(one.labels) for one in series], np.int64)
        row = np.array([one.values[slot] if slot < len(one.values) else HOLE for one in series], np.float64)
        store.append("input", at, ids, row)


def _told(states: Sequence[GroupState]) -> Told:
    return [
        (compiled.key, sorted(active.labels.items()), active.phase.value, active.active_at)
        for state in states
        for compiled, rule, _ in state.rules
        if rule is not None
        for active in rule.active.values()
    ]


def blocks(text: str) -> list[str]:
    return [piece.rstrip() for piece in _BLOCK.split(text)[1:]]


def same(one: str, other: str) -> bool:
    one, other = _WHY.sub("failed", one), _WHY.sub("failed", other)  # Go tells why in its own words
    if one == other:
        return True
    if one.startswith("rule: ") and other.startswith("rule: "):
        return one.split(", err: ")[0] == other.split(", err: ")[0]
    if not one.startswith("expr: ") or not other.startswith("expr: "):
        return False
    left, right = samples(one), samples(other)
    return left.keys() == right.keys() and all(close(left[key], right[key]) for key in left)


def samples(block: str) -> dict[str, float]:
    got = block.rsplit("\n        got: ", maxsplit=1)[-1]
    return {labels: math.inf if value == "+Inf" else float(value) for labels, value in _SAMPLE.findall(got)}
