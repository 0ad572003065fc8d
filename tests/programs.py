"""Programs of others that tests run beside ours."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def program(*names: str, first: Path | None = None) -> str:
    """Where the first of these names is, in the folder `first` or on the path. The test is skipped where there is none,
    and fails in CI, which installs them."""
    places = (None,) if first is None else (first, None)
    found = next((path for place in places for name in names if (path := shutil.which(name, path=place))), None)
    if found is None and not os.environ.get("CI"):
        pytest.skip(f"{names[0]} is not installed")
    assert found, f"{names[0]} is not installed"
    return found
