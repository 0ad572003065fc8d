"""Where each series is, by its id: eight bytes a series, where a dict of numbers would take eighty."""

from __future__ import annotations

from array import array

_PAGE_BITS = 10
_PAGE = 1 << _PAGE_BITS
_NOWHERE = -1


class Places:
    """Ids are given out in order and never again, so a page whose series are all gone is never needed again."""

    def __init__(self) -> None:
        self._pages: dict[int, array[int]] = {}
        self._held: dict[int, int] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, series: int) -> bool:
        return self.get(series) != _NOWHERE

    def get(self, series: int) -> int:
        """-1: it has none."""
        page = self._pages.get(series >> _PAGE_BITS)
        return _NOWHERE if page is None else page[series & (_PAGE - 1)]

    def put(self, series: int, place: int) -> None:
        if series not in self:
            self._hold(series >> _PAGE_BITS, 1)
        self._pages[series >> _PAGE_BITS][series & (_PAGE - 1)] = place

    def drop(self, series: int) -> None:
        if series in self:
            self._pages[series >> _PAGE_BITS][series & (_PAGE - 1)] = _NOWHERE
            self._hold(series >> _PAGE_BITS, -1)

    def _hold(self, number: int, more: int) -> None:
        self._count += more
        held = self._held[number] = self._held.get(number, 0) + more
        if not held:
            del self._held[number], self._pages[number]
        elif number not in self._pages:
            self._pages[number] = array("q", [_NOWHERE]) * _PAGE
