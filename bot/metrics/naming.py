"""From a sample as exposed to the series it is stored as: labels renamed or dropped, the target's own, clashes, limits.

Follows Prometheus' scrape loop (mutateSampleLabels, verifyLabelLimits) where it has the same setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bot.metrics.exposition import ExpositionError, Page, Sample
from bot.settings import ScrapeLimits

_NONE = "None"  # what Python programs, LiteLLM among them, write into a label they have no value for
_WITH_CREATED = frozenset({"counter", "histogram", "gaugehistogram", "summary"})


@dataclass(frozen=True)
class Naming:
    """What one target's settings say about its series. `labels` are the target's, `job` and `instance` included."""

    labels: Mapping[str, str]
    limits: ScrapeLimits
    honor_labels: bool = False
    honor_timestamps: bool = True
    label_map: Mapping[str, str] = field(default_factory=dict)
    drop_labels: frozenset[str] = frozenset()
    on_duplicate: Literal["fail", "sum"] = "fail"
    keep_created: bool = False

    def wanted(self, sample: Sample, page: Page) -> bool:
        """Not the `_created` companions of counters and histograms; a metric that merely ends so is kept."""
        if self.keep_created or not sample.name.endswith("_created"):
            return True
        family = sample.name.removesuffix("_created")
        return not {page.types.get(family), page.types.get(f"{family}_total")} & _WITH_CREATED

    def stored(self, sample: Sample) -> dict[str, str]:
        """The series' final labels, `__name__` included."""
        exposed = {name: value for name, value in sample.labels.items() if name not in self.drop_labels}
        if self.label_map:
            exposed = self._renamed(sample.labels, exposed)
        named = {**self.labels, **exposed} if self.honor_labels else self._override(exposed)
        final = {name: value for name, value in named.items() if value}
        final["__name__"] = sample.name
        return final

    def _renamed(self, original: Mapping[str, str], exposed: dict[str, str]) -> dict[str, str]:
        """Of several sources of one name the first that has a value counts; what is renamed stands nowhere else."""
        for source in self.label_map:
            exposed.pop(source, None)
        found: dict[str, str] = {}
        for source, name in self.label_map.items():
            if (value := original.get(source)) and value != _NONE:
                found.setdefault(name, value)
        return {**exposed, **found}

    def _override(self, exposed: dict[str, str]) -> dict[str, str]:
        """The target's labels win; what they displace is kept under the first free `exported_…` name."""
        displaced = sorted((name for name in exposed if name in self.labels), key=len)
        named = {**exposed, **self.labels}
        for name in displaced:
            free = f"exported_{name}"
            while free in named:
                free = f"exported_{free}"
            named[free] = exposed[name]
        return named


def check_limits(labels: Mapping[str, str], limits: ScrapeLimits, line: int) -> None:
    """As Prometheus: the name counts as a label, lengths are in bytes. A character has at most four."""
    if len(labels) > limits.labels:
        raise ExpositionError(f"{labels['__name__']:.60} has {len(labels)} labels, the limit is {limits.labels}", line)
    for name, value in labels.items():
        if len(name) * 4 > limits.label_name_length and len(name.encode()) > limits.label_name_length:
            raise ExpositionError(
                f"label name {name[:60]!r}… is longer than the limit of {limits.label_name_length} bytes", line
            )
        if len(value) * 4 > limits.label_value_length and len(value.encode()) > limits.label_value_length:
            raise ExpositionError(
                f"the value of label {name[:60]!r}, {value[:60]!r}…, "
                f"is longer than the limit of {limits.label_value_length} bytes",
                line,
            )
