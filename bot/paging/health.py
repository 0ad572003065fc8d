"""Whether Slack is well, from what became of the last calls. Pure: `now` is any steadily growing number of seconds.

A connection that fails says so at once. An answer that tells nothing (500, reset, no answer) may be one channel's bad
luck; several in a row, with no good one between, are not. While in doubt pages stay where they are: each that is risked
has to be looked for in a channel's history afterwards.
"""

from __future__ import annotations

from bot.errors import RemoteError
from bot.paging.attempt import UNREACHABLE

_IN_A_ROW = 4
_LONGEST_QUIET = 4.0


class Health:
    def __init__(self) -> None:
        self._failures = 0
        self._unreachable = False
        self._quiet_until = 0.0

    @property
    def doubtful(self) -> bool:
        return self._unreachable or self._failures >= _IN_A_ROW

    def quiet(self, now: float) -> float:
        """Seconds until Slack may be tried again."""
        return self._quiet_until - now

    def heard(self, error: RemoteError | None, now: float) -> None:
        if error is None or not _tells_nothing(error):
            self._failures, self._unreachable, self._quiet_until = 0, False, 0.0
            return
        self._failures += 1
        self._unreachable = self._unreachable or error.code == UNREACHABLE
        if self.doubtful:
            past = self._failures if self._unreachable else self._failures - _IN_A_ROW
            self._quiet_until = now + min(0.5 * 2 ** min(past, 10), _LONGEST_QUIET)


def _tells_nothing(error: RemoteError) -> bool:
    """Slack itself would have said more: what to wait for, or which of its words for a refusal."""
    return (
        error.code == UNREACHABLE
        or error.unknown
        or (not error.permanent and not error.code and error.retry_after_seconds is None)
    )
