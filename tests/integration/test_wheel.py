"""The wheel carries everything: installed where there is no checkout, `init` and `check` work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def in_git(*folders: str) -> list[str]:
    """What git holds or would take; a file that is about to go does not count."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *folders, cwd=ROOT).stdout
    return [name for name in listed.split("\0") if name and os.path.lexists(ROOT / name)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from what git would give away, so that nothing of the checkout can help."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in in_git():
        if not name.startswith(("tests/", "benchmarks/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name, follow_symlinks=False)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source, cwd=source)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_that_the_code_reads(wheel):
    held = set(zipfile.ZipFile(wheel).namelist())
    listed = run(
        "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "bot", "alerts", "runbooks", cwd=ROOT
    )
    wanted = {name for name in listed.stdout.split("\0") if name and not (ROOT / name).is_symlink()}
    wanted = {name if name.startswith("bot/") else f"bot/shipped/{name}" for name in wanted if (ROOT / name).is_file()}
    assert sorted(wanted - held) == []
    assert not [name for name in held if name.startswith(("tests/", "benchmarks/", "alerts/"))]


def test_init_and_check_work_from_the_wheel_alone(wheel, tmp_path):
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--no-deps", "--no-index", "--quiet", wheel, cwd=tmp_path)
    lend_dependencies(python, tmp_path)
    where = run(python, "-c", "import bot; print(bot.__file__)", cwd=tmp_path).stdout
    assert where.startswith(str(tmp_path / "venv"))

    agentpager = tmp_path / "venv" / "bin" / "agentpager"
    run(agentpager, "init", "pager", cwd=tmp_path)
    assert run(agentpager, "check", cwd=tmp_path / "pager").stdout == ""
    assert list((tmp_path / "pager" / "alerts").glob("*.yaml"))
    assert list((tmp_path / "pager" / "runbooks").glob("*.yaml"))


def lend_dependencies(python: Path, tmp_path: Path) -> None:
    """The third-party packages of this environment, and only those: a link each, without our own editable install."""
    target = Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).stdout.strip()
    )
    for item in Path(sysconfig.get_path("purelib")).iterdir():
        if "agentpager" not in item.name and item.suffix != ".pth" and not (target / item.name).exists():
            (target / item.name).symlink_to(item)
