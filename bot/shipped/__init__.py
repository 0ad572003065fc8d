"""Files that travel with the package: the starter configuration, and the catalogue of alerts and runbooks.

`alerts` and `runbooks` are links to the folders of the same names at the top of the repository; a wheel holds files.
"""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable


def folder(name: str) -> Traversable:
    """`starter`, `alerts` or `runbooks`, from a checkout or from an installed wheel."""
    return resources.files(__name__) / name
