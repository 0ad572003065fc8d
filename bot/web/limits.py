"""How often one may ask: a token bucket each, in memory. Time is an argument."""

from __future__ import annotations

import math
from collections import OrderedDict
from datetime import datetime
from typing import NamedTuple

_KEPT = 10_000  # buckets; whoever asks from more addresses than that begins anew with a full one


class _Bucket(NamedTuple):
    left: float
    at: datetime


class Limits:
    """Of whoever asks, by a name. A bucket that has filled up again is the same as none."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()  # those that asked last stand last

    def take(self, name: str, per_second: float, burst: int, now: datetime) -> int:
        """0 when it may ask now, else after how many whole seconds it may."""
        bucket = self._buckets.pop(name, _Bucket(burst, now))
        passed = max((now - bucket.at).total_seconds(), 0.0)
        left = min(bucket.left + passed * per_second, burst)
        allowed = left >= 1
        self._buckets[name] = _Bucket(left - 1 if allowed else left, now)
        if len(self._buckets) > self._kept:
            self._buckets.popitem(last=False)
        return 0 if allowed else max(math.ceil((1 - left) / per_second), 1)

    def __len__(self) -> int:
        return len(self._buckets)
