"""`make differential`: as many questions as wanted to both engines; every difference becomes a script in a folder."""

from __future__ import annotations

import argparse
import os
import re  # noqa: TID251 - fixed patterns
import sys
import time
from collections import Counter
from pathlib import Path

from .duel import Duel, Verdict, shrunk
from .known import applying
from .peer import binary, version_of
from .script import script

EACH = 2000  # questions for one set of series


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.differential", description=__doc__)
    parser.add_argument("--seed", default=os.environ.get("SEED") or "1")
    parser.add_argument("--count", type=int, default=int(os.environ.get("COUNT") or 100_000))
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT") or "build/differential"))
    parser.add_argument("--most", type=int, default=50, help="end after so many scripts")
    parser.add_argument("--alike", type=int, default=2, help="scripts for differences that look alike")
    options = parser.parse_args()
    path = binary()
    if path is None:
        sys.exit("there is no prometheus here: install Debian's package or set PROMETHEUS=/path/to/prometheus")
    version = version_of(path)
    print(f"against Prometheus {version[0]}.{version[1]} ({path}); known differences:")
    for one in applying(version):
        print(f"  {one.name} ({one.how}): {one.reason}")
    words: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    begun = time.monotonic()
    for number in range(-(-options.count // EACH)):
        if not _one_set(
            path, f"{options.seed}.{number}", min(EACH, options.count - number * EACH), words, kinds, options
        ):
            break
        shown = ", ".join(f"{word} {count}" for word, count in words.most_common())
        print(f"{words.total()} of {options.count} in {time.monotonic() - begun:.0f} s: {shown}", flush=True)
    print(f"{words['different']} differences; scripts are in {options.out}" if words["different"] else "no difference")
    return 1 if words["different"] else 0


def _one_set(
    path: str, seed: str, count: int, words: Counter[str], kinds: Counter[str], options: argparse.Namespace
) -> bool:
    with Duel(path, seed) as duel:
        for verdict in duel.run(count):
            words[verdict.word] += 1
            if verdict.word != "different":
                continue
            small = shrunk(duel, verdict)
            kind = _kind(small)
            kinds[kind] += 1
            if kinds[kind] > options.alike:
                continue
            options.out.mkdir(parents=True, exist_ok=True)
            file = options.out / f"seed-{seed}-{words['different']:03d}.test"
            file.write_text(f"# found with seed {seed}: {verdict.question.query}\n{script(small, duel.lines)}")
            print(f"{file}: {small.question.query} at {small.question.start_ms / 1000:g}", flush=True)
            if sum(min(count, options.alike) for count in kinds.values()) >= options.most:
                return False
    return True


def _kind(verdict: Verdict) -> str:
    """Alike for differences that look like the same one: functions and operators asked, and how both answered."""
    words = re.findall(
        r"[a-z_0-9]+(?=\s*\()|[-+*/%^<>=!]+|@|offset", re.sub(r"\{.*?\}", "", str(verdict.question.query))
    )
    return f"{sorted(set(words))} {verdict.ours.error} {verdict.theirs.error}"


if __name__ == "__main__":
    sys.exit(main())
