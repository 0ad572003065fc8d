"""How a sample lies in memory: eight bytes, or four where that loses nothing, as with counters and bucket counts.

A cell without a sample is a HOLE, a series that ended has a STALE marker; both are NaNs known by their bits, which
differ between the widths: the processor changes a NaN's bits when it converts it, so nothing is left to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
# Of either width.
Cells = NDArray[Any]

STALE_BITS = 0x7FF0000000000002
HOLE_BITS = 0x7FF0000000000003
STALE = np.array([STALE_BITS], np.uint64).view(np.float64)[0]
HOLE = np.array([HOLE_BITS], np.uint64).view(np.float64)[0]
_NARROW_STALE_BITS = 0x7FC00002
_NARROW_HOLE_BITS = 0x7FC00003
NARROW_HOLE = np.array([_NARROW_HOLE_BITS], np.uint32).view(np.float32)[0]


def is_hole(cells: Cells) -> Mask:
    if cells.dtype == np.float32:
        narrow: Mask = cells.view(np.uint32) == _NARROW_HOLE_BITS
        return narrow
    out: Mask = cells.view(np.uint64) == HOLE_BITS
    return out


def is_stale(values: Floats) -> Mask:
    out: Mask = values.view(np.uint64) == STALE_BITS
    return out


def is_marker(cells: Cells) -> Mask:
    if cells.dtype == np.float32:
        narrow: Mask = (cells.view(np.uint32) & ~np.uint32(1)) == _NARROW_STALE_BITS
        return narrow
    out: Mask = (cells.view(np.uint64) & ~np.uint64(1)) == STALE_BITS
    return out


def fits(values: Floats) -> Mask:
    """Which values four bytes hold exactly."""
    with np.errstate(over="ignore", invalid="ignore"):
        out: Mask = values.astype(np.float32) == values
    return out | np.isnan(values)


def shortened(values: Floats) -> Cells:
    """In four bytes, where numbers lose what does not fit, and NaNs their meaning."""
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32)


def narrowed(values: Floats) -> Cells:
    """Values that fit, in four bytes."""
    cells = shortened(values)
    odd = np.isnan(values)
    if odd.any():
        cells[odd] = np.nan
        bits = cells.view(np.uint32)
        bits[is_hole(values)] = _NARROW_HOLE_BITS
        bits[is_stale(values)] = _NARROW_STALE_BITS
    return cells


def widened(cells: Cells) -> Floats:
    """In eight bytes, always."""
    if cells.dtype != np.float32:
        return cells
    values: Floats = cells.astype(np.float64)
    odd = np.isnan(values)
    if odd.any():
        wide, narrow = values.view(np.uint64), cells.view(np.uint32)
        wide[narrow == _NARROW_HOLE_BITS] = HOLE_BITS
        wide[narrow == _NARROW_STALE_BITS] = STALE_BITS
    return values
