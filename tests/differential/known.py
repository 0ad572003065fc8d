"""Where an older Prometheus answers differently by design, and what is done about it.

Our engine follows Prometheus 3. `before` is the first version that agrees with it. Every entry says how the difference
is kept out of the way: the question is put in other words (rewritten), the generator leaves that corner out for such a
version (avoided), or a difference found is laid to its account (recognised), which is counted and shown.
Of the newest version only those without a version are left. What is recognised is looked for in the smallest part of
the question that gets different answers.
"""

from __future__ import annotations

import math
import re  # noqa: TID251 - fixed patterns
from collections.abc import Callable
from dataclasses import dataclass

from .answer import Answer, close
from .data import Taste
from .generator import Speech
from .query import Question

ALWAYS = (1 << 30, 0)
AFTER_3_5 = (3, 6)  # the newest stable one as it is described; a 3.5 is the newest we could ask


@dataclass(frozen=True)
class Difference:
    name: str
    before: tuple[int, int]
    how: str
    reason: str
    recognises: Callable[[Question, Answer, Answer], bool] = lambda _question, _ours, _theirs: False


def _only_not_finite(tags: frozenset[str]) -> Callable[[Question, Answer, Answer], bool]:
    """Such a function is asked, and every value that differs is NaN or infinite in one of the answers."""

    def recognises(question: Question, ours: Answer, theirs: Answer) -> bool:
        if not tags & question.query.tags or ours.error or theirs.error:
            return False
        left, right = ours.by_labels, theirs.by_labels
        differing = [
            (one, other)
            for key in left.keys() & right.keys()
            for (at, one), (when, other) in zip(left[key], right[key], strict=False)
            if at == when and not close(one, other)
        ]
        return bool(differing) and all(not (math.isfinite(one) and math.isfinite(other)) for one, other in differing)

    return recognises


def _nan_of(tags: frozenset[str]) -> Callable[[Question, Answer, Answer], bool]:
    """Such a function is asked, and wherever the answers differ the older one's is NaN."""

    def recognises(question: Question, ours: Answer, theirs: Answer) -> bool:
        if not tags & question.query.tags or ours.error or theirs.error or len(ours.values) != len(theirs.values):
            return False
        left, right = ours.by_labels, theirs.by_labels
        return left.keys() == right.keys() and all(
            math.isnan(other) or close(one, other)
            for key in left
            for (_, one), (_, other) in zip(left[key], right[key], strict=True)
        )

    return recognises


def _only_with_nan_quantile(question: Question, ours: Answer, theirs: Answer) -> bool:
    """The newer one's answer is NaN throughout, of the same series."""
    if "histogram_quantile" not in question.query.tags or ours.error or theirs.error:
        return False
    return ours.by_labels.keys() == theirs.by_labels.keys() and all(math.isnan(value) for value in ours.values)


def _predicted_at_the_first_step_only(question: Question, ours: Answer, theirs: Answer) -> bool:
    """The older one's first value is right, and stays for all steps."""
    if "predict_linear" not in question.query.tags or " @ " not in str(question.query) or ours.error or theirs.error:
        return False
    left, right = ours.by_labels, theirs.by_labels
    return right.keys() <= left.keys() and all(close(left[key][0][1], points[0][1]) for key, points in right.items())


def _only_the_name_in_a_remark(_question: Question, ours: Answer, theirs: Answer) -> bool:
    same = ours.by_labels.keys() == theirs.by_labels.keys() and ours.error == theirs.error
    here, there = ({_NAME_AT_THE_END.sub("", note) for note in answer.notes} for answer in (ours, theirs))
    return same and here == there and all(map(close, _sorted_values(ours), _sorted_values(theirs)))


def _sorted_values(answer: Answer) -> list[float]:
    return [value for _, points in sorted(answer.rows) for _, value in points]


def _same_labels_at_other_steps(question: Question, ours: Answer, theirs: Answer) -> bool:
    ranged = question.step_ms or "subquery" in question.query.all_tags
    return bool(ranged and not ours.error and theirs.error == "execution" and "same labelset" in theirs.message)


def _parameter_of_the_pinned(question: Question, ours: Answer, theirs: Answer) -> bool:
    """The first step is right."""
    pinned = " @ " in str(question.query) and question.step_ms and not ours.error and not theirs.error
    return bool(pinned and {"quantile", "limit_ratio", "topk"} & question.query.tags)


def _whole_number_refused(question: Question, ours: Answer, theirs: Answer) -> bool:
    return not theirs.error and ours.error == "execution" and _NO_WHOLE_NUMBER.search(ours.message) is not None


_NAME_AT_THE_END = re.compile(r"(?<=for monotonicity) .*")
_NO_WHOLE_NUMBER = re.compile("^Parameter value is NaN$|flows int64$")


def _several_compared(_question: Question, ours: Answer, theirs: Answer) -> bool:
    return "multiple matches for labels" in ours.message and not theirs.error


SPREADS = frozenset({"stddev", "stdvar", "stddev_over_time", "stdvar_over_time"})
MEANS = frozenset({"avg", "avg_over_time", "sum", "sum_over_time"})

DIFFERENCES = (
    Difference(
        "left-open",
        (3, 0),
        "rewritten",
        "Windows, subqueries and the lookback no longer hold a sample exactly at their start: an older one is asked "
        "with one millisecond less.",
    ),
    Difference(
        "left-open-rates",
        (3, 0),
        "avoided",
        "rate, increase and delta divide by the window, so a millisecond less is another answer: their windows get "
        "1.5 s more on both sides, which puts no sample on an edge.",
    ),
    Difference(
        "low-reset",
        (3, 0),
        "avoided",
        "rate and increase stop at zero after they have decided how far to extrapolate, no longer before: only "
        "counters where both come to the same are asked about, so neither gauges nor subqueries.",
    ),
    Difference(
        "short-subquery",
        (3, 0),
        "avoided",
        "A subquery whose window holds no step is empty; an older one takes the next step after it.",
    ),
    Difference(
        "quantile-nan",
        (3, 0),
        "recognised",
        "histogram_quantile of the NaN quantile is NaN.",
        _only_with_nan_quantile,
    ),
    Difference(
        "predict-at",
        (3, 0),
        "recognised",
        "predict_linear of a window pinned by @ has an answer at every step of a range query, not only the first.",
        _predicted_at_the_first_step_only,
    ),
    Difference(
        "atan2-name",
        (3, 0),
        "rewritten",
        "atan2 drops the metric name like every other operator: an older one is asked for the result times one.",
    ),
    Difference("smoothing-name", (3, 0), "rewritten", "double_exponential_smoothing was holt_winters."),
    Difference("utf8", (3, 0), "avoided", "Metric and label names may be any text, in quotes."),
    Difference("regex-newline", (3, 0), "avoided", "A dot in a pattern takes a line feed as well."),
    Difference("durations-as-numbers", (3, 0), "avoided", "A number may be written as a duration, and the reverse."),
    Difference("histogram-fraction", (3, 4), "avoided", "histogram_fraction reads classic buckets."),
    Difference(
        "experimental",
        (3, 5),
        "avoided",
        "There are limitk, limit_ratio, sort_by_label, mad_over_time and ts_of_…_over_time.",
    ),
    Difference(
        "remarks",
        (3, 0),
        "avoided",
        "Answers carry warnings and infos: not compared with those of an older one.",
    ),
    Difference(
        "spread-of-infinity",
        (3, 0),
        "recognised",
        "Deviations of values with NaN or infinities among them are NaN; they depended on the order of samples.",
        _only_not_finite(SPREADS),
    ),
    Difference(
        "mean-of-the-huge",
        (3, 0),
        "recognised",
        "Sums and means keep what an overflow or an infinity on the way used to lose.",
        _only_not_finite(MEANS),
    ),
    Difference(
        "fraction-below-the-first",
        (3, 6),
        "recognised",
        "histogram_fraction of a part of the lowest bucket, which had no lower bound, was NaN.",
        _nan_of(frozenset({"histogram_fraction"})),
    ),
    Difference(
        "several-to-one",
        (3, 9),
        "recognised",
        "A comparison fails when several of the left side meet the same one, whether or not more than one passes.",
        _several_compared,
    ),
    Difference(
        "mended-name",
        AFTER_3_5,
        "recognised",
        "The remark on a mended histogram names no metric; it did in the first step of a query.",
        _only_the_name_in_a_remark,
    ),
    Difference(
        "no-whole-number",
        AFTER_3_5,
        "recognised",
        "topk of NaN or of what 64 bits cannot hold fails, even if there is nothing to choose from.",
        _whole_number_refused,
    ),
    Difference(
        "absent-order",
        (3, 0),
        "avoided",
        "absent goes through matchers in the order of the index: those that only take series away come last. An older "
        "one is asked with that order.",
    ),
    Difference(
        "same-labels-at-other-steps",
        ALWAYS,
        "recognised",
        "Over several steps Prometheus also refuses series that come to the same labels at different steps, and only "
        "there.",
        _same_labels_at_other_steps,
    ),
    Difference(
        "parameter-of-the-pinned",
        ALWAYS,
        "recognised",
        "An aggregation of a vector pinned by @ has the parameter of each step; Prometheus takes the first one's.",
        _parameter_of_the_pinned,
    ),
    Difference(
        "denormal",
        ALWAYS,
        "avoided",
        "Logarithms of numbers below 2.2e-308 are wrong by up to 15 in Prometheus' own build: no such "
        "samples are made.",
    ),
    Difference(
        "unstable",
        ALWAYS,
        "recognised",
        "What changes as much when the samples move in their 13th digit says nothing about an engine: ties that "
        "topk has to break, differences of nearly equal numbers, equality of fractions. Asked of two peers whose "
        "samples are moved, for every single value that differs.",
    ),
)  # fmt: skip


def applying(version: tuple[int, int]) -> list[Difference]:
    return [difference for difference in DIFFERENCES if version < difference.before]


def taste_for(version: tuple[int, int]) -> Taste:
    names = {difference.name for difference in applying(version)}
    return Taste(utf8="utf8" not in names, newlines="regex-newline" not in names, low_resets="low-reset" not in names)


def speech_for(version: tuple[int, int]) -> Speech:
    names = {difference.name for difference in applying(version)}
    return Speech(
        old="left-open" in names,
        utf8="utf8" not in names,
        experimental="experimental" not in names,
        newest="histogram-fraction" not in names,
    )
