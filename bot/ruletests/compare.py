"""Expected against got: whether they agree, and where not, in lines a person reads at a glance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bot.promql.floats import format_json
from bot.rules.gofuncs import go_quote
from bot.ruletests.golang import labels_text
from bot.ruletests.model import Sample

FUZZ = 1e-6
SHOWN = 20  # differences told of one case: more is a wall of text
_TOO_MANY = 10_000  # pairs to try
_ONE_CHANGED = 2  # a label with another value differs by two entries

Alert = tuple[dict[str, str], dict[str, str]]


@dataclass(frozen=True)
class Difference:
    """`kind` is value, missing, unexpected, labels or annotation; `text` says it whole."""

    kind: str
    text: str


def order(samples: Sequence[Sample]) -> list[Sample]:
    """By labels, as promtool sorts."""
    return sorted(samples, key=lambda sample: sorted(sample.labels.items()))


def order_alerts(alerts: Sequence[Alert]) -> list[Alert]:
    return sorted(alerts, key=lambda alert: (sorted(alert[0].items()), sorted(alert[1].items())))


def same_value(one: float, other: float, *, fuzzy: bool) -> bool:
    """NaN is the same as NaN here, other than in promtool, where no test can expect it."""
    if one == other or (math.isnan(one) and math.isnan(other)):
        return True
    if not fuzzy or not (math.isfinite(one) and math.isfinite(other)):
        return False
    return abs(one - other) <= FUZZ * max(abs(one), abs(other))


def same(expected: Sequence[Sample], got: Sequence[Sample], *, fuzzy: bool) -> bool:
    """Both in order."""
    return len(expected) == len(got) and all(
        one.labels == other.labels and same_value(one.value, other.value, fuzzy=fuzzy)
        for one, other in zip(expected, got, strict=True)
    )


def sample_differences(expected: Sequence[Sample], got: Sequence[Sample], *, fuzzy: bool) -> list[Difference]:
    pairs, missing, unexpected = _paired(expected, got)
    found = [
        Difference("value", f"{labels_text(one.labels)}: {_values(one, other)}{_relative(one, other)}")
        for one, other in pairs
        if not same_value(one.value, other.value, fuzzy=fuzzy)
    ]
    left, extra = dict(enumerate(missing)), dict(enumerate(unexpected))
    near = _nearest({n: one.labels for n, one in left.items()}, {n: one.labels for n, one in extra.items()})
    for index, place in near:
        wanted, real = left.pop(index), extra.pop(place)
        value = "" if same_value(wanted.value, real.value, fuzzy=fuzzy) else f"; {_values(wanted, real)}"
        text = f"{labels_text(wanted.labels)}: {_changed(wanted.labels, real.labels)}{value}"
        found.append(Difference("labels", text))
    found += [Difference("missing", f"{labels_text(one.labels)} {format_json(one.value)}") for one in left.values()]
    found += [Difference("unexpected", f"{labels_text(one.labels)} {format_json(one.value)}") for one in extra.values()]
    return found


def alert_differences(expected: Sequence[Alert], got: Sequence[Alert]) -> list[Difference]:
    left, extra = dict(enumerate(expected)), dict(enumerate(got))
    found: list[Difference] = []
    for index, wanted in enumerate(expected):
        place = next((n for n, real in extra.items() if real[0] == wanted[0]), None)
        if place is not None:
            found += _annotations(left.pop(index), extra.pop(place))
    near = _nearest({n: alert[0] for n, alert in left.items()}, {n: alert[0] for n, alert in extra.items()})
    for index, place in near:
        wanted, real = left.pop(index), extra.pop(place)
        found.append(Difference("labels", f"{labels_text(wanted[0])}: {_changed(wanted[0], real[0])}"))
        found += _annotations(wanted, real)
    found += [Difference("missing", labels_text(alert[0])) for alert in left.values()]
    found += [Difference("unexpected", labels_text(alert[0])) for alert in extra.values()]
    return found


def _annotations(wanted: Alert, real: Alert) -> Iterator[Difference]:
    for name in sorted({*wanted[1], *real[1]}):
        one, other = wanted[1].get(name), real[1].get(name)
        if one != other:
            yield Difference(
                "annotation", f"{labels_text(wanted[0])} {name}: expected {_text(one)}, got {_text(other)}"
            )


def _paired(
    expected: Sequence[Sample], got: Sequence[Sample]
) -> tuple[list[tuple[Sample, Sample]], list[Sample], list[Sample]]:
    waiting: dict[frozenset[tuple[str, str]], list[Sample]] = {}
    for sample in got:
        waiting.setdefault(frozenset(sample.labels.items()), []).append(sample)
    pairs, missing = [], []
    for sample in expected:
        same_labels = waiting.get(frozenset(sample.labels.items()))
        if same_labels:
            pairs.append((sample, same_labels.pop(0)))
        else:
            missing.append(sample)
    return pairs, missing, [sample for samples in waiting.values() for sample in samples]


def _nearest(
    missing: Mapping[int, Mapping[str, str]], unexpected: Mapping[int, Mapping[str, str]]
) -> list[tuple[int, int]]:
    """Pairs that look like one and the same with a label changed; each is used once."""
    if len(missing) * len(unexpected) > _TOO_MANY:
        return []
    pairs: list[tuple[int, int]] = []
    free = dict(unexpected)
    for index, wanted in missing.items():
        far = [(len(wanted.items() ^ real.items()), place) for place, real in free.items()]
        distance, place = min(far, default=(0, None))
        if place is None:
            break
        shared = wanted.items() & free[place].items()
        if distance <= _ONE_CHANGED or (shared and distance <= len(wanted)):
            pairs.append((index, place))
            del free[place]
    return pairs


def _changed(wanted: Mapping[str, str], real: Mapping[str, str]) -> str:
    parts = []
    for name in sorted({*wanted, *real}):
        one, other = wanted.get(name), real.get(name)
        if one != other:
            parts.append(f"{name} expected {_text(one)}, got {_text(other)}")
    return "; ".join(parts)


def _text(value: str | None) -> str:
    return "none" if value is None else go_quote(value)


def _values(wanted: Sample, real: Sample) -> str:
    return f"expected {format_json(wanted.value)}, got {format_json(real.value)}"


def _relative(one: Sample, other: Sample) -> str:
    if not (math.isfinite(one.value) and math.isfinite(other.value)):
        return ""
    relative = abs(one.value - other.value) / max(abs(one.value), abs(other.value))
    return f" (relative difference {relative:.2g})"
