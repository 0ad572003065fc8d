"""`make reliability`: SIGKILL at every point of a page's life, then the fault table. Exits 1 when a row fails.

`--only TEXT` plays only points that contain it; `--jobs N` plays N lives at once; `--no-faults` leaves out the table.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "acceptance"), str(ROOT)]

from reliability import crashes  # noqa: E402 - found only now
from reliability.matrix import MATRIX, Row  # noqa: E402


async def main(only: str, jobs: int) -> list[crashes.Result]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        calm = await crashes.run(_made(folder / "calm"), "", 0)
        assert calm.good, calm
        passed = crashes.points_passed(folder / "calm")
        plan = [(point, n) for point in sorted(passed) if only in point for n in range(1, passed[point] + 1)]
        print(f"{len(plan)} kills at {len({point for point, _ in plan})} points; one calm life: {calm.seconds:.0f} s\n")
        print(f"{'point':<34}{'time':>5}{'lost':>6}{'twice':>7}{'ready again':>13}{'whole life':>12}")
        gate = asyncio.Semaphore(jobs)

        async def one(number: int, point: str, occurrence: int) -> crashes.Result:
            async with gate:
                try:
                    result = await crashes.run(_made(folder / str(number)), point, occurrence)
                except AssertionError as error:  # a life that does not come to its end has lost what was in it
                    why = str(error).splitlines()[0]
                    result = crashes.Result(point, occurrence, True, (why,), (), 0.0, 0.0)
            _print(result)
            return result

        return list(await asyncio.gather(*(one(number, *each) for number, each in enumerate(plan))))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _print(result: crashes.Result) -> None:
    note = "" if result.killed else "  never passed"
    note += "" if result.good else f"  FAILED {result.lost} {result.duplicates}"
    ready = f"{result.recovery:.1f} s" if result.killed else "-"
    print(
        f"{result.point:<34}{result.occurrence:>5}{len(result.lost):>6}{len(result.duplicates):>7}{ready:>13}"
        f"{result.seconds:>10.1f} s{note}",
        flush=True,
    )


def faults() -> dict[str, str]:
    """Each test of the table with its verdict."""
    wanted = sorted({test for row in MATRIX for test in row.tests})
    with tempfile.TemporaryDirectory() as name:
        report = Path(name) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", f"--junit-xml={report}"]
        subprocess.run([*command, *wanted], cwd=ROOT, check=False)
        return dict(_verdicts(report))


def _verdicts(report: Path) -> Iterable[tuple[str, str]]:
    for case in ET.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        verdict = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        yield f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}", verdict


def verdict_of(row: Row, verdicts: dict[str, str]) -> tuple[str, int]:
    """In one word, and how many tests it stands on."""
    found = [verdict for test, verdict in verdicts.items() if any(_within(test, name) for name in row.tests)]
    if not found:
        return "NOT PROVED", 0
    return ("FAILED" if "failed" in found else "passed"), found.count("passed")


def _within(test: str, name: str) -> bool:
    return test == name or test.startswith((f"{name}::", f"{name}/", f"{name}["))


def table(verdicts: dict[str, str]) -> bool:
    print(f"\n{'row':<5}{'fault':<44}{'verdict':<12}{'tests':>6}  what is not shown")
    verdict_of_all = [(row, *verdict_of(row, verdicts)) for row in MATRIX]
    for row, verdict, count in verdict_of_all:
        print(f"{row.number:<5}{row.fault:<44}{verdict:<12}{count:>6}  {row.gap}")
    return all(verdict != "FAILED" for _, verdict, _ in verdict_of_all)


def summary(results: Sequence[crashes.Result], seconds: float) -> bool:
    killed = [result for result in results if result.killed]
    lost = sum(len(result.lost) for result in results)
    twice = sum(len(result.duplicates) for result in results)
    slowest = max((result.recovery for result in killed), default=0.0)
    print(
        f"\n{len(results)} lives, {len(killed)} kills, {lost} pages lost, {twice} sent twice, "
        f"ready again after {slowest:.1f} s at the latest; {seconds:.0f} s in all"
    )
    return all(result.good for result in results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--no-faults", action="store_true")
    asked = parser.parse_args()
    begun = time.monotonic()
    lives = asyncio.run(main(asked.only, asked.jobs))
    good = summary(lives, time.monotonic() - begun)
    if not asked.no_faults:
        good = table(faults()) and good
    sys.exit(not good)
