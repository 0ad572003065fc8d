"""Whether an engine elsewhere is worth asking, from what became of the questions so far. Reads no clock.

`shut` spares it, and us, questions that would only wait: it opens again when a trial is answered. `down` is for people:
it lasts until a real question is answered, for an engine may answer trials and nothing else.
"""

from __future__ import annotations

_FAILURES = 3  # in a row
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 10.0  # seconds between trials


class Breaker:
    def __init__(self) -> None:
        self.shut = False
        self.down = False
        self.why = ""
        self._in_a_row = 0
        self._wait = _FIRST_WAIT

    def answered(self) -> None:
        self._in_a_row = 0
        self._wait = _FIRST_WAIT
        self.shut = self.down = False

    def failed(self, why: str, *, dead: bool) -> None:
        """A question came to nothing; `dead`: nothing that it asked of could have been answered either."""
        self._in_a_row += 1
        self.why = why
        if self._in_a_row >= _FAILURES:
            self.down = True
            self.shut = self.shut or dead

    def wait(self) -> float:
        """Seconds until the next trial, each time longer."""
        wait, self._wait = self._wait, min(2 * self._wait, _LONGEST_WAIT)
        return wait

    def tried(self, *, well: bool) -> None:
        if well:
            self.shut = False
            self._in_a_row = 0
