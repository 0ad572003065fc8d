"""Trigonometric functions as Go computes them (after Cephes), which differ from the C library's in the last bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bot.promql.cells import Floats

# Pi/4 in three parts, so that multiples of it can be taken away without loss.
_QUARTERS = (7.85398125648498535156e-1, 3.77489470793079817668e-8, 2.69515142907905952645e-15)
# From here on Go takes another way to find the octant; the library's answer has to do.
_FAR = 2.0**29
_SIN = (
    *(1.58962301576546568060e-10, -2.50507477628578072866e-8, 2.75573136213857245213e-6),
    *(-1.98412698295895385996e-4, 8.33333333332211858878e-3, -1.66666666666666307295e-1),
)
_COS = (
    *(-1.13585365213876817300e-11, 2.08757008419747316778e-9, -2.75573141792967388112e-7),
    *(2.48015872888517045348e-5, -1.38888888888730564116e-3, 4.16666666666665929218e-2),
)
_TAN_P = (-1.30936939181383734205e4, 1.15351664838587416140e6, -1.79565251976484877988e7)
_TAN_Q = (1.0, 1.36812963470692954678e4, -1.32089234440210967447e6, 2.50083801823357915839e7, -5.38695755929454629881e7)
_ATAN_P = (
    *(-8.750608600031904122785e-01, -1.615753718733365076637e01, -7.500855792314704667340e01),
    *(-1.228866684490136173410e02, -6.485021904942025371773e01),
)
_ATAN_Q = (
    *(1.0, 2.485846490142306297962e01, 1.650270098316988542046e02, 4.328810604912902668951e02),
    *(4.853903996359136964868e02, 1.945506571482613964425e02),
)
_MORE_BITS = 6.123233995736765886130e-17
_TAN_3_PI_8 = 2.41421356237309504880


def _polynomial(x: Floats, coefficients: tuple[float, ...]) -> Floats:
    found: Floats = np.full(x.shape, coefficients[0])
    for coefficient in coefficients[1:]:
        found = found * x + coefficient
    return found


def _octant(values: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Which eighth of the circle, the angle in it, and its square."""
    size = np.where(np.abs(values) < _FAR, np.abs(values), 0.0)
    number = (size * (4 / np.pi)).astype(np.int64)
    number += number & 1
    turns = number.astype(np.float64)
    angle = ((size - turns * _QUARTERS[0]) - turns * _QUARTERS[1]) - turns * _QUARTERS[2]
    return number & 7, angle, angle * angle


def _wave(angle: Floats, square: Floats, across: NDArray[np.bool_]) -> Floats:
    """The cosine where `across`, the sine elsewhere."""
    cosine = 1.0 - 0.5 * square + square * square * _polynomial(square, _COS)
    sine = angle + angle * square * _polynomial(square, _SIN)
    return np.where(across, cosine, sine)


def sin(values: Floats) -> Floats:
    number, angle, square = _octant(values)
    negative = np.signbit(values) ^ (number > 3)
    number = number & 3
    found = _wave(angle, square, (number == 1) | (number == 2))
    return _near(values, np.where(negative, -found, found), np.sin)


def cos(values: Floats) -> Floats:
    number, angle, square = _octant(values)
    negative = number > 3
    number = number & 3
    negative ^= number > 1
    found = _wave(angle, square, ~((number == 1) | (number == 2)))
    return _near(values, np.where(negative, -found, found), np.cos)


def tan(values: Floats) -> Floats:
    number, angle, square = _octant(values)
    ratio = square * _polynomial(square, _TAN_P) / _polynomial(square, _TAN_Q)
    found = np.where(square > 1e-14, angle + angle * ratio, angle)
    found = np.where((number & 2) == 2, -1 / found, found)
    return _near(values, np.where(np.signbit(values), -found, found), np.tan)


def _near(values: Floats, found: Floats, library: np.ufunc) -> Floats:
    usual = (np.abs(values) < _FAR) & (values != 0)
    return found if usual.all() else np.where(usual, found, library(values))


def atan(values: Floats) -> Floats:
    found = _arc(np.abs(values))
    return np.where(values == 0, values, np.where(values > 0, found, -found))


def asin(values: Floats) -> Floats:
    size = np.abs(values)
    other = np.sqrt(1 - size * size)
    found = np.where(size > 0.7, np.pi / 2 - _arc(other / size), _arc(size / other))
    return np.where(values == 0, values, np.where(size > 1, np.nan, np.where(values > 0, found, -found)))


def acos(values: Floats) -> Floats:
    return np.pi / 2 - asin(values)


def _arc(x: Floats) -> Floats:
    """The arc tangent of what is not negative."""
    return np.where(
        x <= 0.66,
        _small_arc(x),
        np.where(
            x > _TAN_3_PI_8,
            np.pi / 2 - _small_arc(1 / x) + _MORE_BITS,
            np.pi / 4 + _small_arc((x - 1) / (x + 1)) + 0.5 * _MORE_BITS,
        ),
    )


def _small_arc(x: Floats) -> Floats:
    square = x * x
    square = square * _polynomial(square, _ATAN_P) / _polynomial(square, _ATAN_Q)
    return x * square + x
