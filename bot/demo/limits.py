"""How often an app may call, with time as an argument (Unix seconds).

Figures from docs.slack.dev/apis/web-api/rate-limits: one message per second and channel with a small burst, and per
method a number of calls a minute by tier. `take` returns 0 when the call may go ahead, else the seconds to wait.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

MESSAGES_PER_SECOND = 1.0
MESSAGE_BURST = 4
MESSAGES_PER_MINUTE = 300  # whole workspace: "several hundred", the number is not published
TIER_1_BURST = 5

TIER_OF = {
    "apps.connections.open": 1,
    "conversations.list": 2,
    "users.list": 2,
    "chat.delete": 3,
    "chat.update": 3,
    "conversations.history": 3,
    "conversations.info": 3,
    "conversations.members": 4,
    "conversations.open": 3,
    "conversations.replies": 3,
    "users.lookupByEmail": 3,
    "chat.postEphemeral": 4,
    "users.info": 4,
    "dnd.info": 3,
    "files.completeUploadExternal": 4,
    "files.getUploadURLExternal": 4,
    "files.info": 4,
    "usergroups.list": 2,
    "usergroups.users.list": 2,
    "usergroups.users.update": 2,
    "views.open": 4,
    "views.publish": 4,
    "views.push": 4,
    "views.update": 4,
}
CALLS_PER_MINUTE = {2: 20, 3: 50, 4: 100}


@dataclass
class Bucket:
    """Refills at `rate` per second up to `burst`."""

    rate: float
    burst: float
    level: float = field(init=False)
    at: float | None = None

    def __post_init__(self) -> None:
        self.level = self.burst

    def take(self, now: float) -> int:
        if self.at is not None:
            self.level = min(self.burst, self.level + max(0.0, now - self.at) * self.rate)
        self.at = now
        if self.level >= 1:
            self.level -= 1
            return 0
        return max(1, math.ceil((1 - self.level) / self.rate))


@dataclass
class Window:
    """At most `calls` in any `seconds`."""

    calls: int
    seconds: float = 60.0
    times: deque[float] = field(default_factory=deque)

    def take(self, now: float) -> int:
        while self.times and now - self.times[0] >= self.seconds:
            self.times.popleft()
        if len(self.times) < self.calls:
            self.times.append(now)
            return 0
        return max(1, math.ceil(self.times[0] + self.seconds - now))


class Limits:
    """The limits of one app in one workspace."""

    def __init__(self) -> None:
        self._methods: dict[str, Bucket | Window] = {}
        self._channels: dict[str, Bucket] = {}
        self._posts = Window(MESSAGES_PER_MINUTE)

    def call(self, method: str, now: float) -> int:
        """Counts a call of `method` against its tier."""
        tier = TIER_OF.get(method)
        if tier is None:
            return 0
        limit = self._methods.get(method)
        if limit is None:
            limit = Bucket(1 / 60, TIER_1_BURST) if tier == 1 else Window(CALLS_PER_MINUTE[tier])
            self._methods[method] = limit
        return limit.take(now)

    def post(self, channel: str, now: float) -> int:
        """Counts a message to `channel`."""
        bucket = self._channels.setdefault(channel, Bucket(MESSAGES_PER_SECOND, MESSAGE_BURST))
        return bucket.take(now) or self._posts.take(now)
