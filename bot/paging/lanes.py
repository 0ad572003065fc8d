"""Pages by what they share: the place they go to, or the message that shows them. Pure bookkeeping.

Ten thousand pages may wait for two hundred places. What is asked of a place is worked out once, and again only when one
of its pages changes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from bot.paging.model import Page, PageState


class Groups:
    """`key` says where a page belongs."""

    def __init__(self, key: Callable[[Page], str]) -> None:
        self._key = key
        self._groups: dict[str, dict[str, Page]] = {}
        self._places: dict[str, str] = {}  # page → its group
        self._stamps: dict[str, int] = {}
        self._changes = 0

    def put(self, page: Page) -> None:
        place = self._key(page)
        if self._places.get(page.id, place) != place:
            self.drop(page.id)
        self._places[page.id] = place
        self._groups.setdefault(place, {})[page.id] = page
        self._touch(place)

    def drop(self, page_id: str) -> None:
        place = self._places.pop(page_id, None)
        if place is None:
            return
        group = self._groups[place]
        del group[page_id]
        if not group:
            del self._groups[place]
        self._touch(place)

    def _touch(self, place: str) -> None:
        self._changes += 1
        if place in self._groups:
            self._stamps[place] = self._changes
        else:
            self._stamps.pop(place, None)

    def places(self) -> Collection[str]:
        return list(self._groups)

    def of(self, place: str) -> Collection[Page]:
        return self._groups.get(place, {}).values()

    def get(self, page_id: str) -> Page | None:
        place = self._places.get(page_id)
        return None if place is None else self._groups[place][page_id]

    def stamp(self, place: str) -> int:
        """Another one after each change of the place."""
        return self._stamps.get(place, 0)

    def __iter__(self) -> Iterator[Page]:
        return (page for group in self._groups.values() for page in group.values())

    def __len__(self) -> int:
        return len(self._places)


def message_of(page: Page) -> str:
    """The page whose message shows this one: itself unless several were merged."""
    return page.lead or page.id


@dataclass(frozen=True)
class Lane:
    """What one place has to send: what is due, the most urgent first, and when more falls due."""

    stamp: int
    due: tuple[Page, ...]
    next_due: datetime | None


class Board:
    """The lanes of all places. `rank` orders pages, the lowest first."""

    def __init__(self, rank: Callable[[Page], tuple[object, ...]]) -> None:
        self._rank = rank
        self._lanes: dict[str, Lane] = {}

    def lanes(self, waiting: Groups, now: datetime) -> dict[str, Lane]:
        self._lanes = {place: self._lane(waiting, place, now) for place in waiting.places()}
        return self._lanes

    def _lane(self, waiting: Groups, place: str, now: datetime) -> Lane:
        known = self._lanes.get(place)
        stamp = waiting.stamp(place)
        if known is not None and known.stamp == stamp and (known.next_due is None or known.next_due > now):
            return known
        owed = [page for page in waiting.of(place) if page.state in {PageState.DUE, PageState.UNKNOWN}]
        due = sorted((page for page in owed if page.due_at <= now), key=self._rank)
        later = min((page.due_at for page in owed if page.due_at > now), default=None)
        return Lane(stamp, tuple(due), later)
