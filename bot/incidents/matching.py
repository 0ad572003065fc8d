"""Many sets of matchers asked at once: which of them hold for these labels? Pure.

What a value means to all sets is worked out once and kept as bits, one for each set; ten thousand alerts then cost a
look-up for each label that a matcher names.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from bot.incidents.registered import NOBODY, Agents, any_of, seen
from bot.labels import Labels, Matcher, parse_matchers

_REMEMBERED = 20_000  # values of one label; then the memory starts anew


@lru_cache(maxsize=4096)
def compiled(texts: tuple[str, ...]) -> tuple[Matcher, ...]:
    return tuple(matcher for text in texts for matcher in parse_matchers(text))


class Index:
    """Sets of matchers, told apart by their number."""

    def __init__(self, sets: Sequence[tuple[str, ...]]) -> None:
        self._every = (1 << len(sets)) - 1
        self._matchers: dict[str, list[tuple[int, Matcher]]] = {}
        self._masks: dict[str, dict[str, int]] = {}
        for number, texts in enumerate(sets):
            for matcher in compiled(texts):
                self._matchers.setdefault(matcher.name, []).append((number, matcher))
                self._masks[matcher.name] = {}
        self._of_registry = any_of(self._masks)

    def matching(self, labels: Labels, agents: Agents = NOBODY) -> list[int]:
        """The numbers of the sets whose matchers all hold."""
        found = self._every
        if self._of_registry:
            labels = seen(labels, agents)
        for name, masks in self._masks.items():
            if not found:
                return []
            value = labels.get(name, "")
            mask = masks.get(value)
            found &= self._mask(name, value) if mask is None else mask
        return _numbers(found)

    def _mask(self, name: str, value: str) -> int:
        refused = 0
        for number, matcher in self._matchers[name]:
            if not matcher.matches_value(value):
                refused |= 1 << number
        masks = self._masks[name]
        if len(masks) >= _REMEMBERED:
            masks.clear()
        mask = masks[value] = self._every & ~refused
        return mask


@lru_cache(maxsize=32)
def index_of(sets: tuple[tuple[str, ...], ...]) -> Index:
    return Index(sets)


def _numbers(mask: int) -> list[int]:
    numbers = []
    while mask:
        lowest = mask & -mask
        numbers.append(lowest.bit_length() - 1)
        mask ^= lowest
    return numbers
