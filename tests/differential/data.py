"""Random series to ask about: all that real ones do to a query engine, on a grid, so that a script can hold them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

GRID_MS = 5_000
SLOTS = 300
STALE = "stale"
Sample = float | str | None  # a value, STALE, or nothing at that slot
_QUIET = 12  # slots; a counter that may be reset begins with a sample of 0, see `low-reset` in known.py
HUGE = (1e308, -1e308, 1e-300, 1e16, -0.0, 0.1 + 0.2)


@dataclass(frozen=True)
class Line:
    """One series; `samples` has a place for every slot of the grid."""

    labels: dict[str, str]
    samples: list[Sample]

    @property
    def points(self) -> list[tuple[int, float | str]]:
        """Milliseconds and values of the samples there are."""
        return [(slot * GRID_MS, value) for slot, value in enumerate(self.samples) if value is not None]


@dataclass(frozen=True)
class Taste:
    """What the peer can take; known.py says why a version cannot."""

    utf8: bool = True
    newlines: bool = True
    low_resets: bool = True


class Maker:
    def __init__(self, seed: str, taste: Taste) -> None:
        self.chance = Random(seed)
        self.taste = taste
        self.lines: list[Line] = []

    def add(self, name: str, labels: dict[str, str], values: list[float], *, holes: bool = True) -> None:
        there = {key: value for key, value in labels.items() if value}
        self.lines.append(Line({"__name__": name, **there}, self._thinned(values, holes=holes)))

    def _thinned(self, values: list[float], *, holes: bool) -> list[Sample]:
        """A series scraped every so often, a little early or late, missing at times, ending and coming back."""
        chance = self.chance
        every = chance.choice([1, 2, 3, 3, 3, 6, 12])
        late = holes and chance.random() < 0.3 and every > 2
        samples: list[Sample] = [None] * SLOTS
        for slot in range(chance.randrange(every), SLOTS, every):
            at = min(SLOTS - 1, max(0, slot + chance.choice([-1, 0, 1]))) if late else slot
            samples[at] = values[at]
        if not holes:
            return samples
        if chance.random() < 0.3:
            samples = [None if chance.random() < 0.1 else value for value in samples]
        if chance.random() < 0.3:
            samples[: chance.randrange(SLOTS)] = [None] * chance.randrange(SLOTS // 2)
            samples = (samples + [None] * SLOTS)[:SLOTS]
        for _ in range(chance.choice([0, 0, 1, 2])):
            begin, length = chance.randrange(SLOTS), chance.randrange(1, 120)
            samples[begin : begin + length] = [None] * len(samples[begin : begin + length])
            if chance.random() < 0.7:
                samples[begin] = STALE
        return samples

    # Values -----------------------------------------------------------------------------------------------------------

    def gauge(self) -> list[float]:
        level, spread = self.chance.choice([0.0, 5.0, 100.0, -3.0]), self.chance.choice([0.0, 1.0, 5.0, 5.0])
        own = len(self.lines) / 512  # no two series have a value in common, so that topk has no ties to break
        return [round(level + self.chance.uniform(-spread, spread), 2) + own for _ in range(SLOTS)]

    def level(self) -> list[float]:
        value, values = float(self.chance.randrange(5)), []
        for _ in range(SLOTS):
            if self.chance.random() < 0.05:
                value = float(self.chance.randrange(5))
            values.append(value)
        return values

    def counter(self) -> tuple[list[float], bool]:
        """Values, and whether samples may be missing: see `low-reset` in known.py."""
        chance = self.chance
        resets = chance.random() < 0.5
        value = 0.0 if resets else chance.choice([0.0, 1e3, 1e8])
        if not self.taste.low_resets and not resets:
            value = 1e8
        pace, values = chance.choice([0, 0.2, 3, 70]), []
        for slot in range(SLOTS):
            if resets and slot and chance.random() < 0.02:
                value = chance.choice([0.0, 0.0, value / 2])
            elif slot > _QUIET or not resets:
                value += round(pace * chance.random() * 4) / 4
            values.append(value)
        return values, self.taste.low_resets or not resets

    def wild(self) -> list[float]:
        odd = [math.nan, math.inf, -math.inf, *HUGE]
        share = self.chance.choice([0.05, 0.5, 1.0])
        return [
            self.chance.choice(odd) if self.chance.random() < share else float(self.chance.randrange(-3, 4))
            for _ in range(SLOTS)
        ]

    def histogram(self, name: str, labels: dict[str, str], bounds: list[str], *, broken: bool) -> None:
        total = [0.0] * SLOTS
        for le in bounds:
            values, holes = self.counter()
            total = [have + more for have, more in zip(total, values, strict=True)]
            column = list(total)
            if broken and self.chance.random() < 0.5:
                column = [value * self.chance.choice([1, 1, 0.9, 1 - 1e-13]) for value in column]
            self.add(name, {**labels, "le": le}, column, holes=holes and broken)


def made(seed: str, taste: Taste) -> list[Line]:
    maker = Maker(seed, taste)
    for job in ("a", "b", ""):
        for instance in ("1", "2", "3"):
            labels = {"job": job, "instance": instance}
            for code in ("200", "500", ""):
                if maker.chance.random() < 0.6:
                    values, holes = maker.counter()
                    maker.add("c_total", {**labels, "code": code}, values, holes=holes)
            maker.add("g", labels, maker.gauge())
            maker.add(
                "g2", {"instance": instance, "job": job, "zone": maker.chance.choice(["x", "y", ""])}, maker.gauge()
            )
            if maker.chance.random() < 0.7:
                maker.add("level", labels, maker.level())
        maker.add("owner", {"job": job, "team": f"t{maker.chance.randrange(2)}", "name": "a.b$1"}, [1.0] * SLOTS)
        if job:
            maker.histogram("lat_bucket", {"job": job}, ["0.1", "0.5", "1", "5", "+Inf"], broken=False)
    odd = maker.chance.choice(
        [
            ["0.1", "abc", "+Inf"],
            ["1", "2"],
            ["-1", "0", "1", "+Inf"],
            ["1", "1.0", "+Inf"],
            ["+Inf"],
            ["0", "NaN", "Inf"],
        ]
    )
    maker.histogram("odd_bucket", {"job": "a"}, odd, broken=True)
    maker.histogram("odd_bucket", {"job": "b"}, ["0.5", "1", "2.5", "+Inf"], broken=True)
    for kind in ("1", "2", "3"):
        maker.add("wild", {"kind": kind, "job": maker.chance.choice(["a", "b", ""])}, maker.wild())
    maker.add("alone", {}, [float(slot) for slot in range(SLOTS)])
    if taste.utf8:
        for value in ("ä", "日 本"):
            maker.add("größe.x y", {"lab el": value, "job": "a"}, maker.gauge())
    maker.add("g3", {"text": "two\nlines" if taste.newlines else "two lines", "job": "a"}, maker.gauge())
    return maker.lines
