"""Metrics and labels that checks of runbooks ask for and that nobody has ever seen: most often a slip of the pen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from bot.complaints import did_you_mean, quote
from bot.errors import QueryError, TemplateError
from bot.labels import Op
from bot.metrics.exposition import parse as read_samples
from bot.promql.parse import parse as parse_query
from bot.rules.model import Rule
from bot.runbooks.lint import Problem, sample_context
from bot.runbooks.model import Runbook
from bot.settings import ScrapeLimits
from bot.templating import parse

Seen = Mapping[str, Set[str]]  # metric → names of its labels
# Every scrape adds these.
_OF_SCRAPES = ("up", "scrape_duration_seconds", "scrape_samples_scraped", "ALERTS", "ALERTS_FOR_STATE")
_ANY_LABEL: frozenset[str] = frozenset()


def seen_in(body: bytes) -> dict[str, set[str]]:
    """Of a text as an agent's /metrics gives it. Raises ExpositionError naming the line."""
    kind = "application/openmetrics-text" if body.rstrip().endswith(b"# EOF") else "text/plain"
    found: dict[str, set[str]] = {}
    for sample in read_samples(body, kind, ScrapeLimits()):
        found.setdefault(sample.name, set()).update(sample.labels)
    return found


def unseen(runbook: Runbook, seen: Seen, rules: Sequence[Rule]) -> Iterator[Problem]:
    """What recording rules make counts as seen, with any label; labels that targets give (agent, env, job, instance)
    as well."""
    known: dict[str, Set[str]] = dict.fromkeys((*_OF_SCRAPES, *(r.name for r in rules if not r.is_alert)), _ANY_LABEL)
    known |= seen
    context = sample_context(runbook)
    for index, step in enumerate(runbook.steps):
        if step.kind == "check":
            for text, hint in _of_query(step.query, context, known):
                yield Problem(("steps", index, "query"), "unseen-metric", text, hint, "warning")


_OF_TARGETS = frozenset({"agent", "env", "job", "instance", "__name__"})


def _of_query(query: str, context: dict[str, object], known: Mapping[str, Set[str]]) -> Iterator[tuple[str, str]]:
    try:
        expr = parse_query(parse(query, "query").render(context))
    except (TemplateError, QueryError):  # told by lint
        return
    told: set[str] = set()
    for selector in expr.selectors:
        name = selector.name
        if name is None or name in told:
            continue
        told.add(name)
        if name not in known:
            yield f"no metric {quote(name)} was ever seen", did_you_mean(name, known)
            continue
        labels = known[name]
        for matcher in selector.matchers if labels else ():
            absent = matcher.op in {Op.EQUAL, Op.REGEX} and matcher.matches_value("")
            if matcher.name not in labels | _OF_TARGETS and not absent:
                text = f"{quote(name)} was never seen with a label {quote(matcher.name)}"
                yield text, did_you_mean(matcher.name, labels)
