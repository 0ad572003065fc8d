"""XXH64, which decides what limit_ratio() keeps. See its specification (github.com/Cyan4973/xxHash).

In Python, because a library for this one experimental operator is not worth its weight: 5 us for a label set.
"""

from __future__ import annotations

_MASK = (1 << 64) - 1
_P1 = 0x9E3779B185EBCA87
_P2 = 0xC2B2AE3D27D4EB4F
_P3 = 0x165667B19E3779F9
_P4 = 0x85EBCA77C2B2AE63
_P5 = 0x27D4EB2F165667C5


def xxh64(data: bytes) -> int:
    """The 64-bit hash with seed 0."""
    size, position = len(data), 0
    if size >= 32:
        lanes = [(_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK]
        while position <= size - 32:
            for number in range(4):
                word = int.from_bytes(data[position + 8 * number : position + 8 * number + 8], "little")
                lanes[number] = _round(lanes[number], word)
            position += 32
        found = sum(_left(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & _MASK
        for lane in lanes:
            found = ((found ^ _round(0, lane)) * _P1 + _P4) & _MASK
    else:
        found = _P5
    return _avalanche(_tail((found + size) & _MASK, data[position:]))


def _tail(found: int, rest: bytes) -> int:
    while len(rest) >= 8:
        found ^= _round(0, int.from_bytes(rest[:8], "little"))
        found, rest = (_left(found, 27) * _P1 + _P4) & _MASK, rest[8:]
    if len(rest) >= 4:
        found ^= int.from_bytes(rest[:4], "little") * _P1 & _MASK
        found, rest = (_left(found, 23) * _P2 + _P3) & _MASK, rest[4:]
    for byte in rest:
        found = _left(found ^ byte * _P5 & _MASK, 11) * _P1 & _MASK
    return found


def _avalanche(found: int) -> int:
    found = (found ^ found >> 33) * _P2 & _MASK
    found = (found ^ found >> 29) * _P3 & _MASK
    return found ^ found >> 32


def _round(lane: int, word: int) -> int:
    return _left((lane + word * _P2) & _MASK, 31) * _P1 & _MASK


def _left(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & _MASK
