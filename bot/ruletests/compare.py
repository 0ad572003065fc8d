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
        Difference("value", f"{_named(one.labels)}: expected {_value(one)}, got {_value(other)}{_relative(one, other)}")
        for one, other in pairs
        if not same_value(one.value, other.value, fuzzy=fuzzy)
    ]
    for one, other in _nearest([s.labels for s in missing], [s.labels for s in unexpected]):
        wanted, there = missing[one], unexpected[other]
        value = (
            "" if same_value(wanted.value, there.value, fuzzy=fuzzy) else f"; {_value(wanted)} became {_value(there)}"
        )
        found.append(Difference("labels", f"{_named(wanted.labels)}: {_changed(wanted.labels, there.labels)}{value}"))
        missing[one], unexpected[other] = None, None  # type: ignore[call-overload]
    found += [Difference("missing", f"{_named(s.labels)} {_value(s)}") for s in missing if s is not None]
    found += [Difference("unexpected", f"{_named(s.labels)} {_value(s)}") for s in unexpected if s is not None]
    return found


def alert_differences(expected: Sequence[Alert], got: Sequence[Alert]) -> list[Difference]:
    missing: list[Alert | None] = list(expected)
    unexpected: list[Alert | None] = list(got)
    found: list[Difference] = []
    for index, wanted in enumerate(expected):
        place = next((n for n, alert in enumerate(unexpected) if alert is not None and alert[0] == wanted[0]), None)
        if place is not None:
            found += _annotations(wanted, got[place])
            missing[index], unexpected[place] = None, None
    rest = [n for n, alert in enumerate(missing) if alert is not None]
    there = [n for n, alert in enumerate(unexpected) if alert is not None]
    for one, other in _nearest([expected[n][0] for n in rest], [got[n][0] for n in there]):
        wanted, real = expected[rest[one]], got[there[other]]
        found.append(Difference("labels", f"{labels_text(wanted[0])}: {_changed(wanted[0], real[0])}"))
        found += _annotations(wanted, real)
        missing[rest[one]], unexpected[there[other]] = None, None
    found += [Difference("missing", labels_text(alert[0])) for alert in missing if alert is not None]
    found += [Difference("unexpected", labels_text(alert[0])) for alert in unexpected if alert is not None]
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
    missing: Sequence[Mapping[str, str]], unexpected: Sequence[Mapping[str, str]]
) -> Iterator[tuple[int, int]]:
    """Pairs that look like one and the same with a label changed; each is used once."""
    if not missing or not unexpected or len(missing) * len(unexpected) > 10_000:
        return
    taken: set[int] = set()
    for one, wanted in enumerate(missing):
        far = [(len(set(wanted.items()) ^ set(real.items())), n) for n, real in enumerate(unexpected) if n not in taken]
        if not far:
            return
        distance, other = min(far)
        if distance <= max(2, len(wanted)) and (set(wanted.items()) & set(unexpected[other].items()) or distance <= 2):
            taken.add(other)
            yield one, other


def _changed(wanted: Mapping[str, str], real: Mapping[str, str]) -> str:
    parts = []
    for name in sorted({*wanted, *real}):
        one, other = wanted.get(name), real.get(name)
        if one != other:
            parts.append(f"{name} expected {_text(one)}, got {_text(other)}")
    return "; ".join(parts)


def _text(value: str | None) -> str:
    return "none" if value is None else go_quote(value)


def _named(labels: Mapping[str, str]) -> str:
    return labels_text(labels)


def _value(sample: Sample) -> str:
    return format_json(sample.value)


def _relative(one: Sample, other: Sample) -> str:
    if not (math.isfinite(one.value) and math.isfinite(other.value)):
        return ""
    relative = abs(one.value - other.value) / max(abs(one.value), abs(other.value))
    return f" (relative difference {relative:.2g})"
