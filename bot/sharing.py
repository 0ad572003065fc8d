"""Which replica evaluates which rule groups. Pure: it gets who is alive, and says what is whose.

Rendezvous hashing: of the replicas that know a group and whose watcher works, the one with the highest score for it
has it. When one comes or goes only its own groups move, and everybody who sees the same replicas says the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from hashlib import sha256
from typing import Protocol

HANDED_OVER_AFTER = 4.0  # seconds; by then who had a group has looked at the replicas again, and let go of it


class Member(Protocol):
    """A replica that is alive. `groups` are those of its configuration."""

    @property
    def id(self) -> str: ...

    @property
    def groups(self) -> Collection[str]: ...

    @property
    def watching(self) -> bool: ...


def owner(group: str, members: Iterable[Member]) -> str | None:
    """None when nobody can evaluate it."""
    able = (one.id for one in members if one.watching and group in one.groups)
    return max(able, key=lambda name: _score(group, name), default=None)


def _score(group: str, replica: str) -> tuple[bytes, str]:
    return sha256(f"{group}\0{replica}".encode()).digest(), replica


class Shares:
    """One replica's view from one look to the next. `mine` is what it evaluates, `taken` what of it the watcher has not
    been told to take over yet."""

    def __init__(self) -> None:
        self.mine: frozenset[str] = frozenset()
        self.taken: frozenset[str] = frozenset()
        self.incarnation = 0
        self._owners: Mapping[str, str | None] = {}
        self._coming: dict[str, float] = {}  # groups that others are handing over, and since when
        self._told: dict[str, float] = {}  # of the groups of others: when the state was saved that the watcher has

    def look(self, me: str, members: Collection[Member], groups: Set[str], incarnation: int, now: float) -> bool:
        """Whether the watcher has something to be told. An incarnation that is not the one before means that others
        took over what was ours: nothing is ours until it has been handed back."""
        before = self.mine
        reborn = incarnation != self.incarnation
        if reborn:
            self.incarnation, self.mine, self.taken = incarnation, frozenset(), frozenset()
            self._owners, self._coming, self._told = {}, {}, {}
        owners = {group: owner(group, members) for group in groups}
        others = [one for one in members if one.id != me]
        able = {one.id: frozenset(one.groups) for one in others if one.watching}
        mine = set()
        for group in (name for name, whose in owners.items() if whose == me):
            had_it = self._owners.get(group) or owner(group, others)
            handed_over = group in self.mine or had_it is None or group not in able.get(had_it, ())
            if handed_over or now - self._coming.setdefault(group, now) >= HANDED_OVER_AFTER:
                mine.add(group)
        self._coming = {
            group: at for group, at in self._coming.items() if owners.get(group) == me and group not in mine
        }
        # Who had it stays known while it is being handed over.
        self._owners = {
            group: self._owners.get(group) if group in self._coming else whose for group, whose in owners.items()
        }
        self.taken = frozenset((self.taken | (mine - self.mine)) & mine)
        self.mine = frozenset(mine)
        return reborn or self.mine != before or bool(self.taken)

    def counts(self, group: str, incarnation: int) -> bool:
        """Whether a report of the watcher is ours to work in."""
        return incarnation == self.incarnation and group in self.mine

    def is_news(self, group: str, saved_at: float) -> bool:
        """Whether another replica has saved a state that our watcher does not have."""
        return group not in self.mine and self._told.get(group) != saved_at

    def told(self, taken: Set[str], states: Mapping[str, float]) -> None:
        """The watcher has heard of these."""
        self.taken -= taken
        self._told |= {group: at for group, at in states.items() if group not in self.mine}
