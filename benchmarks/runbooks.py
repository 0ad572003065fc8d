"""`agentpager check` and `agentpager runbook lint` over a directory of runbooks, as an author waits for them.

    python -m benchmarks.runbooks [--count 500] [--times 5] [--most 2.0]

No text but a condition is in two of them, so that nothing is answered from a cache. Ends with exit code 1 when `check`
took longer than --most seconds at the median, or found something.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.machine import describe

_RUNBOOK = """\
schema: runbook/v1
id: slow-{n}
title: Answers are slow, case {n}
owner: team:storage
applies_to: ['alertname="Slow{n}", severity="critical"', 'alertname="Slow{n}", env="env-{n}"']
reviewed_on: 2026-11-20
severity_hint: {{critical: Customers of {n} wait., warning: Retries hide case {n}.}}
summary: More than a fifth of the calls of {{{{ agent.title }}}} to {{{{ alert.labels.tool }}}} are slow, case {n}.
impact: "{{{{ agent.title }}}} cannot finish tasks of kind {n}."
steps:
  - id: slow
    kind: check
    title: Time to answer {n}
    query: histogram_quantile(0.95, sum by (le) (rate(latency_bucket{{agent="{{{{ agent.id }}}}", kind="{n}"}}[5m])))
    expect: "< {n}"
    unit: s
    on_fail: which
  - id: errors
    kind: check
    title: Calls to {{{{ alert.labels.tool }}}} that fail, case {n}
    query: sum(rate(calls_total{{kind="{n}", outcome!="ok"}}[5m])) / sum(rate(calls_total{{kind="{n}"}}[5m]))
    expect: "< 0.0{n}"
    unit: ratio
  - id: which
    kind: decision
    title: Which is it, {n}?
    ask: What does the log of {{{{ agent.id }}}} say, case {n}?
    choose:
      - {{label: The credential {n}, goto: rotate, when: checks.errors.failed}}
      - {{label: Nothing {n}, goto: up}}
  - id: rotate
    kind: command
    title: Rotate the token {n}
    run_on: laptop {n}
    text: agentctl secret rotate crm-{n} --agent {{{{ agent.id }}}}
    verify: errors
  - id: tell
    kind: manual
    title: Tell the owner of {n}
    text: "Since {{{{ alert.starts_at | ago }}}}: give {{{{ owner }}}} the time and the error of case {n}."
  - {{id: status, kind: link, title: Status {n}, url: "https://status.example.com/{n}"}}
  - {{id: up, kind: escalate, title: Wake the next level {n}, to: "level:2", after: 20m}}
  - {{id: hand, kind: handoff, title: Hand over {n}, ask: [what changed in {n}, what is still wrong in {n}]}}
links:
  - {{title: Dashboard {n}, url: "https://grafana.example/d/{n}?var-agent={{{{ agent.id | urlencode }}}}"}}
"""
_ONCALL = """\
people: {ana: {name: Ana Ruiz, slack: U02ABCDEF}}
teams: {storage: {members: [ana]}}
fallback: "person:ana"
"""


def write(directory: Path, count: int) -> None:
    (directory / "runbooks").mkdir()
    (directory / "oncall").mkdir()
    (directory / "agentpager.yaml").write_text(
        "runbooks: {files: [runbooks/*.yaml]}\noncall: {files: [oncall/*.yaml]}\n"
    )
    (directory / "oncall" / "all.yaml").write_text(_ONCALL)
    for n in range(1, count + 1):
        (directory / "runbooks" / f"slow-{n}.yaml").write_text(_RUNBOOK.format(n=n))


def measure(directory: Path, *command: str) -> tuple[float, float]:
    """Wall and processor seconds of one run. Raises RuntimeError when it finds something."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    ran = subprocess.run(
        [sys.executable, "-m", "bot", *command], cwd=directory, capture_output=True, text=True, check=False, env=_env()
    )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command)} found something:\n{(ran.stdout + ran.stderr)[:2000]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--most", type=float, default=2.0)
    given = parser.parse_args()
    slow = False
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        write(directory, given.count)
        print(f"{given.count} runbooks, {given.times} times; {describe()}")
        print("| command | wall s, median | min | max | processor s, median |\n| --- | --- | --- | --- | --- |")
        for command in (("check",), ("runbook", "lint", "--today", "2026-11-21")):
            measure(directory, *command)  # files and bytecode warm
            runs = [measure(directory, *command) for _ in range(given.times)]
            walls, busy = [wall for wall, _ in runs], [seconds for _, seconds in runs]
            middle = statistics.median(walls)
            figures = (middle, min(walls), max(walls), statistics.median(busy))
            print(f"| `agentpager {' '.join(command[:2])}` | " + " | ".join(f"{value:.2f}" for value in figures) + " |")
            slow = slow or (command == ("check",) and middle > given.most)
    sys.exit(1 if slow else 0)


if __name__ == "__main__":
    main()
