"""How fast Slack may be called. Pure bookkeeping: `now` is any steadily growing number of seconds.

One message a second in each channel; edits within their budget a minute, the last of it kept for edits that a person
waits for; and no call at all before the instant that Slack named.
"""

from __future__ import annotations

from collections import deque

POST = "chat.postMessage"
EDIT = "chat.update"

_MESSAGE_SECONDS = 1.0
_EDITS_A_MINUTE = 50
_KEPT_FOR_PEOPLE = 10
_KEPT_FOR_OTHERS = 28
_SAME_MESSAGE_SECONDS = 3.0
_MINUTE = 60.0


class Pace:
    """Ask `ready_at` before a call, report it with `sent`, and every Retry-After with `told_to_wait`."""

    def __init__(self) -> None:
        self._posted: dict[str, float] = {}
        self._edits: deque[float] = deque()
        self._edited: dict[str, float] = {}
        self._closed: dict[tuple[str, str], float] = {}  # (method, channel) → not before

    def ready_at(
        self, method: str, channel: str, now: float, *, message: str = "", human: bool = False, patient: bool = False
    ) -> float:
        """The first instant at which this call may be made; `now` or earlier means at once.

        `message` is the timestamp of the message to edit; `human` says that a person's click caused the edit, `patient`
        that it can wait for the others of its minute.
        """
        self._forget(now)
        ready = max(now, self._closed.get((method, channel), 0.0), self._closed.get((method, ""), 0.0))
        if method == POST:
            last = self._posted.get(channel)
            return ready if last is None else max(ready, last + _MESSAGE_SECONDS)
        if method == EDIT:
            ready = max(ready, self._budget_at(0 if human else _KEPT_FOR_OTHERS if patient else _KEPT_FOR_PEOPLE))
            last = self._edited.get(f"{channel}/{message}")
            if last is not None and not human:
                ready = max(ready, last + _SAME_MESSAGE_SECONDS)
        return ready

    def sent(self, method: str, channel: str, now: float, *, message: str = "") -> None:
        """To be called when the call is made, not when it is answered."""
        if method == POST:
            self._posted[channel] = now
        elif method == EDIT:
            self._edits.append(now)
            self._edited[f"{channel}/{message}"] = now

    def told_to_wait(self, method: str, channel: str, seconds: float, now: float) -> None:
        """Slack does not say whether it means the channel or all of them: a second channel told so means all."""
        until = now + seconds
        others = [
            end for (name, place), end in self._closed.items() if name == method and place != channel and end > now
        ]
        self._closed[method, channel] = max(until, self._closed.get((method, channel), 0.0))
        if others or method != POST:
            self._closed[method, ""] = max(until, *others, self._closed.get((method, ""), 0.0))

    def _budget_at(self, kept: int) -> float:
        allowed = _EDITS_A_MINUTE - kept
        if len(self._edits) < allowed:
            return 0.0
        return self._edits[-allowed] + _MINUTE

    def _forget(self, now: float) -> None:
        while self._edits and self._edits[0] <= now - _MINUTE:
            self._edits.popleft()
        if len(self._posted) > 1000:
            self._posted = {channel: at for channel, at in self._posted.items() if at > now - _MESSAGE_SECONDS}
        if len(self._edited) > 1000:
            self._edited = {key: at for key, at in self._edited.items() if at > now - _SAME_MESSAGE_SECONDS}
        if len(self._closed) > 1000:
            self._closed = {key: until for key, until in self._closed.items() if until > now}
