"""info(): series get the labels of the info series (such as target_info) of the same job and instance."""

from __future__ import annotations

from bot.errors import QueryError
from bot.promql.nodes import NAME, Instant
from bot.promql.space import Space
from bot.promql.value import Vector

_IDENTIFYING = ("instance", "job")

Labels = dict[str, str]
Identity = tuple[str, ...]


def enriched(vector: Vector, infos: Vector, selector: Instant) -> Vector:
    """`infos` carries the time of each info series' newest sample as its value; `selector` is what chose them.

    Raises QueryError when two info series of the same time and name could both lend their labels, or disagree.
    """
    wanted = {matcher.name for matcher in selector.matchers if matcher.name != NAME}
    needed = any(not matcher.matches_value("") for matcher in selector.matchers if matcher.name != NAME)
    named = [matcher for matcher in selector.matchers if matcher.name == NAME]
    lenders = _newest(infos)
    rows, labels = [], []
    for row in vector.rows.tolist():
        own = vector.space.labels(row)
        if not all(matcher.matches_value(own.get(NAME, "")) for matcher in named):
            found = lenders.get(_identity(own), {}) if any(own.get(name) for name in _IDENTIFYING) else {}
            if not found and needed:
                continue
            own = {**own, **_lent(own, found, wanted)}
        rows.append(row)
        labels.append(own)
    return Vector(Space.of(vector.space.pool, labels), vector.values[rows], None, vector.t)


def _identity(labels: Labels) -> Identity:
    return tuple(labels.get(name, "") for name in _IDENTIFYING)


def _newest(infos: Vector) -> dict[Identity, dict[str, Labels]]:
    """The newest info series of every identity, by metric name."""
    found: dict[Identity, dict[str, Labels]] = {}
    times: dict[tuple[Identity, str], float] = {}
    for labels, t in infos:
        name, identity = labels.get(NAME, ""), _identity(labels)
        known = times.get((identity, name))
        if known == t:
            raise QueryError(f"found duplicate series for info metric {name}", "execution")
        if known is None or t > known:
            times[identity, name] = t
            found.setdefault(identity, {})[name] = labels
    return found


def _lent(own: Labels, lenders: dict[str, Labels], wanted: set[str]) -> Labels:
    lent: Labels = {}
    for labels in lenders.values():
        for name, value in labels.items():
            if name == NAME or (wanted and name not in wanted):
                continue
            if lent.get(name, value) != value:
                raise QueryError(f"conflicting label: {name}", "execution")
            if name not in own:
                lent[name] = value
    return lent
