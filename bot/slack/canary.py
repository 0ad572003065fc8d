"""Proof that events arrive, at no cost: Slack tells the app of every direct message that it has posted itself.

A connection can answer every ping while nothing is sent through it. There is no call that asks for an event; but each
page to a person comes back as one, where the app hears `message.im`. When that stops, the way is tried anew. Judged
only once an echo has been heard: an app without the event, or a workspace that never echoes, is left in peace.
"""

from __future__ import annotations

from collections import OrderedDict

OVERDUE_SECONDS = 20.0
_MISSES = 3  # in a row; then nothing is concluded until an echo is heard again
_KEPT = 200


class Canary:
    """Times are in seconds of a clock that never steps; a message is its channel and timestamp."""

    def __init__(self) -> None:
        self._awaited: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._early: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._misses = 0
        self.heard_at: float | None = None

    @property
    def trusted(self) -> bool:
        return self.heard_at is not None and self._misses < _MISSES

    def posted(self, channel: str, ts: str, now: float) -> None:
        if not channel.startswith("D"):
            return
        if (channel, ts) in self._early:
            del self._early[channel, ts]
            return
        self._awaited[channel, ts] = now
        while len(self._awaited) > _KEPT:
            self._awaited.popitem(last=False)

    def heard(self, channel: str, ts: str, now: float) -> None:
        self.heard_at, self._misses = now, 0
        if self._awaited.pop((channel, ts), None) is not None:
            return
        self._early[channel, ts] = None  # an echo may be faster than the answer to the call
        while len(self._early) > _KEPT:
            self._early.popitem(last=False)

    def overdue(self, now: float) -> bool:
        """Whether an echo has stayed out. Says so once, and only what is posted afterwards can be missed again."""
        late = [at for at in self._awaited.values() if now - at >= OVERDUE_SECONDS]
        if not late:
            return False
        trusted = self.trusted
        self._awaited.clear()
        if self.heard_at is not None:
            self._misses += 1
        return trusted
