"""What agentpager takes: on disk, from the command to ready, and for `agentpager --help`. Ends with 1 beyond a bound.

    python -m benchmarks.footprint [--starts N] [--venv DIRECTORY] [--into PAGE]

Builds the wheel from this checkout and installs it, without extras, into a new virtual environment with the versions of
constraints.txt; all that follows runs from there, so a dependency that nobody declared is found as well. Then:

- install size: every file of that environment but pip's and setuptools' own, without byte code, which pip writes here
  but need not (`--no-compile`); it is told beside. Bound: 135 MB (10^6 bytes).
- start to ready: from the start of `agentpager serve` to the first answer of `GET /-/ready` that is 200, which takes a
  database, a watcher that has its configuration, and a Slack that takes the token and has a connection for clicks. The
  configuration is what `agentpager init` writes, with all shipped rules and runbooks; the database is new, so its
  tables are made as well; Slack is a stand-in on this machine that answers at once. Bound: 2 s.
- `agentpager --help`: the whole process. Bound: 200 ms.

Byte code is there, as after any install. The best of several runs counts: what is asked is how much work there is to
do, and whatever else runs on the machine only adds to that. The bounds of time are those of the machine named in
docs/performance.md: on a slower one they grow by what two processes that count side by side take longer there, and a
tenth is left to chance.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from aiohttp import ClientError, ClientSession

from benchmarks.processes import end, spawn
from benchmarks.report import Report, add_option
from tests.fake_slack import APP_TOKEN, BOT_TOKEN, FakeSlack
from tests.ports import free_port

ROOT = Path(__file__).parents[1]
MOST_BYTES, MOST_READY, MOST_HELP = 135e6, 2.0, 0.2
_BROUGHT_BY_VENV = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence.pth")
_PATIENCE = 60.0
_LOOK = 0.01
_WORK = "sum(number * number for number in range(5_000_000))"
_WORK_SECONDS = 0.5  # two of them at once, on the machine that the bounds are for
_HELP_SECONDS = 0.06  # there, of the smallest start: a machine may be slow at files and imports alone
_CHANCE = 1.1


@dataclass(frozen=True)
class Size:
    files: int
    byte_code: int


def install(directory: Path) -> Path:
    """The new environment, by what a user would type; the wheel is built of what git holds."""
    source, wheels, venv = directory / "source", directory / "wheels", directory / "venv"
    listed = _output("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in listed:
        if name and os.path.lexists(ROOT / name) and not name.startswith(("tests/", "benchmarks/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name, follow_symlinks=False)
    _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, source)
    (wheel,) = wheels.glob("*.whl")
    _run(sys.executable, "-m", "venv", venv)
    constraints = ("--constraint", ROOT / "constraints.txt")
    _run(venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *constraints, wheel)
    return venv


def size(venv: Path) -> Size:
    (packages,) = (venv / "lib").glob("python*/site-packages")
    files = byte_code = 0
    for path in packages.rglob("*"):
        name = path.relative_to(packages).parts[0]
        if path.is_symlink() or not path.is_file() or name.partition("-")[0] in _BROUGHT_BY_VENV:
            continue
        if path.suffix == ".pyc":
            byte_code += path.stat().st_size
        else:
            files += path.stat().st_size
    return Size(files, byte_code)


async def ready_seconds(venv: Path, directory: Path, slack: FakeSlack) -> float:
    _run(venv / "bin" / "agentpager", "init", directory)
    port, file = free_port(), directory / "agentpager.yaml"
    text = file.read_text()
    for old, new in (
        ("slack:\n", f'slack:\n  api_url: "{slack.api_url}"\n'),
        ("127.0.0.1:9095", f"127.0.0.1:{port}"),
        ("${SLACK_BOT_TOKEN}", BOT_TOKEN),
        ("${SLACK_APP_TOKEN}", APP_TOKEN),
    ):
        assert text.count(old) == 1, f"{old!r} in what init writes"
        text = text.replace(old, new)
    file.write_text(text)
    began = time.perf_counter()
    server = await spawn((str(venv / "bin" / "agentpager"), "serve", "--config", str(directory)), directory / "log")
    try:
        async with ClientSession() as session:
            while not await _ready(session, f"http://127.0.0.1:{port}/-/ready"):
                if server.returncode is not None or time.perf_counter() - began > _PATIENCE:
                    raise SystemExit(f"agentpager did not get ready:\n{(directory / 'log').read_text()}")
                await asyncio.sleep(_LOOK)
        return time.perf_counter() - began
    finally:
        await end(server)


async def _ready(session: ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.status == 200
    except (ClientError, OSError):
        return False


def help_seconds(venv: Path) -> float:
    began = time.perf_counter()
    _run(venv / "bin" / "agentpager", "--help")
    return time.perf_counter() - began


def slowness() -> float:
    """How many times as long this machine takes as the one that the bounds are for; 1 at least."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        pair = [subprocess.Popen((sys.executable, "-I", "-c", _WORK)) for _ in range(2)]
        for one in pair:
            one.wait()
        best = min(best, time.perf_counter() - began)
    return max(1.0, best / _WORK_SECONDS)


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, cwd=ROOT, env=_bare(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _bare() -> dict[str, str]:
    """Nothing of this process' own Python may help or hinder."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}


async def starts(venv: Path, directory: Path, times: int) -> list[float]:
    async with FakeSlack() as slack:
        return [await ready_seconds(venv, directory / f"start-{number}", slack) for number in range(times)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Install size, start to ready, --help; ends with 1 beyond a bound.")
    parser.add_argument("--starts", type=int, default=5, metavar="N", help="of the server, twice as many of --help")
    parser.add_argument("--venv", type=Path, help="measure this environment, which agentpager alone is installed in")
    add_option(parser)
    options = parser.parse_args()
    report = Report("footprint", 1)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        venv = options.venv or install(directory)
        found = size(venv)
        ready = asyncio.run(starts(venv, directory, options.starts))
        helped = [help_seconds(venv) for _ in range(2 * options.starts)]
    slow = max(slowness(), min(helped) / _HELP_SECONDS)
    rows = [
        ("install size, MB", found.files / 1e6, MOST_BYTES / 1e6, f"and {found.byte_code / 1e6:.0f} MB of byte code"),
        ("start to ready, s", min(ready), MOST_READY, f"slowest of {len(ready)}: {max(ready):.2f}"),
        ("`agentpager --help`, s", min(helped), MOST_HELP, f"slowest of {len(helped)}: {max(helped):.2f}"),
    ]
    lines = [f"| {what} | {value:.4g} | {most:g} | {beside} |" for what, value, most, beside in rows]
    table = "\n".join(["| | best | at most | |", "| --- | --- | --- | --- |", *lines])
    report.give_out(
        f"{table}\n\nThis machine takes {slow:.2f} times as long as the one that the bounds are for.", options
    )
    beyond = [what for what, value, most, _ in rows if value > most * (slow * _CHANCE if what.endswith(", s") else 1)]
    if beyond:
        raise SystemExit(f"beyond its bound: {', '.join(beyond)}")


if __name__ == "__main__":
    main()
