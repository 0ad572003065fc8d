"""What a figure was measured on, in one line."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path


def describe(*binaries: str) -> str:
    """Cores, Python, the versions of the programs named, and how busy the machine was before."""
    found = [f"{os.cpu_count()} cores ({_processor()})", f"{platform.system()} {platform.release()}"]
    found += [f"Python {platform.python_version()}", *(_version(name) for name in binaries)]
    return ", ".join([*found, load()])


def load() -> str:
    """Says how quiet the machine was."""
    return f"load average over 1 min {os.getloadavg()[0]:.1f}"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str) -> str:
    output = subprocess.run([name, "--version"], capture_output=True, text=True, check=False)
    words = (output.stdout or output.stderr).split()
    return f"{name} {words[words.index('version') + 1]}" if "version" in words else name
