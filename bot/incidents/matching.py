"""Many sets of matchers asked at once: which of them hold for these labels? Pure.

A set with an equality is only looked at for alerts that have that very label, so ten thousand alerts are compared with
the few silences and rules that can concern them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Generic, TypeVar

from bot.labels import Labels, Matcher, Op, matches_all, parse_matchers

T = TypeVar("T")


@lru_cache(maxsize=4096)
def compiled(texts: tuple[str, ...]) -> tuple[Matcher, ...]:
    return tuple(matcher for text in texts for matcher in parse_matchers(text))


class Index(Generic[T]):
    """Items, each with matchers that must all hold."""

    def __init__(self, items: Iterable[tuple[Sequence[str], T]]) -> None:
        self._by_label: dict[str, dict[str, list[int]]] = {}
        self._rest: list[int] = []
        self._items: list[tuple[tuple[Matcher, ...], T]] = []
        for number, (texts, item) in enumerate(items):
            matchers = compiled(tuple(texts))
            self._items.append((matchers, item))
            anchor = next((one for one in matchers if one.op is Op.EQUAL and one.value), None)
            if anchor is None:
                self._rest.append(number)
            else:
                self._by_label.setdefault(anchor.name, {}).setdefault(anchor.value, []).append(number)

    def __bool__(self) -> bool:
        return bool(self._items)

    def matching(self, labels: Labels) -> list[T]:
        """The items whose matchers all hold, in the order they were given."""
        numbers = list(self._rest)
        for name, values in self._by_label.items():
            numbers += values.get(labels.get(name, ""), ())
        found = []
        for number in sorted(numbers):
            matchers, item = self._items[number]
            if matches_all(matchers, labels):
                found.append(item)
        return found
