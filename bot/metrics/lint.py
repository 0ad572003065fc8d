"""What is wrong with an agent's exposition, by the `agent_*` contract and by what breaks alerts whatever the stack.

Pure: a body read in full → findings. docs/instrumentation.md explains each code.
"""

from __future__ import annotations

import math
import re  # noqa: TID251 - fixed patterns, never a user's
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from bot.complaints import nearest, quote
from bot.errors import Finding, Severity
from bot.metrics.contract import CONTRACT, Family, family_of
from bot.metrics.exposition import Dialect, ExpositionError, Page, SeriesLine, read_page, split_lines
from bot.metrics.profiles import PROFILES, profiles_seen
from bot.settings import ScrapeLimits


@dataclass(frozen=True)
class Code:
    number: str
    title: str


CODES = {
    "not-metrics": Code("LM001", "The answer is no exposition of metrics"),
    "no-contract": Code("LM002", "Nothing of the contract, and no stack that is known"),
    "missing-family": Code("LM003", "A core family is missing"),
    "missing-outcome": Code("LM004", "A value that alerts count on is not there from the start"),
    "unknown-value": Code("LM005", "A value that no alert knows"),
    "missing-label": Code("LM006", "A label of the contract is missing"),
    "odd-label": Code("LM007", "A label that the contract does not have"),
    "id-label": Code("LM008", "A label that holds an id"),
    "too-many": Code("LM009", "More values or series than the contract allows"),
    "wrong-unit": Code("LM010", "A unit that is not the contract's"),
    "wrong-type": Code("LM011", "Another type than the contract's"),
    "no-total": Code("LM012", "A counter whose name does not end in _total"),
    "millisecond-time": Code("LM013", "A timestamp in milliseconds"),
    "epoch": Code("LM014", "A time that says 1970 where nothing has happened yet"),
    "short-buckets": Code("LM015", "A histogram that ends too early"),
    "bad-number": Code("LM016", "A number that cannot be"),
    "misspelt": Code("LM017", "Nearly a name of the contract"),
    "created": Code("LM018", "`_created` series"),
}
# Told, but no reason to fail: the scraper drops them.
ADVICE = frozenset({"created"})

_SUFFIX = re.compile(r"_(bucket|count|sum|total|created)$")
_ID_NAME = re.compile(
    r"(^|_)(uuid|guid|run|session|user|conversation|thread|request|trace|span|cycle|message|customer|order|invocation)"
    r"(_?id)$|^tool_use_id$|^hashed_api_key$|^(user|session|conversation|prompt|query|email|error_message|message|client_ip|user_agent|ip|trace|url)$"
)
_ID_VALUE = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"  # UUID
    r"|[0-9a-fA-F]{16,}|[0-9]{6,}|[0-9A-HJKMNP-TV-Z]{26}"  # trace ids, hashes, long numbers, ULID
    r"|(run|sess|session|thread|conv|req|chatcmpl|msg|resp|user|usr|call)[-_][0-9A-Za-z]*[0-9][0-9A-Za-z]{5,}"
    r"|[^@\s]+@[^@\s]+\.[a-z]+"
)
_NO_IDS = frozenset({"le", "quantile", "version", "revision", "commit", "model", "model_id"})
_NO_IDS |= {"gen_ai_request_model", "gen_ai_response_model"}
_WRONG_UNITS = {
    "_ms": ("_seconds", 1000),
    "_msec": ("_seconds", 1000),
    "_millis": ("_seconds", 1000),
    "_milliseconds": ("_seconds", 1000),
    "_minutes": ("_seconds", 1 / 60),
    "_cents": ("_usd", 100),
    "_eur": ("_usd", 0),
    "_percent": ("_ratio", 100),
    "_timestamp": ("_timestamp_seconds", 1),
    "_timestamp_ms": ("_timestamp_seconds", 1000),
}
_NONE: Mapping[str, float] = {}
_MOST_VALUES = 100  # of one label of a metric that is not of the contract
_MILLISECONDS_FROM = 1e11  # as seconds this is the year 5138
_USD_PER_TOKEN = 0.001  # a thousand dollars per million tokens: nobody asks that much
_USD_PER_CALL = 20.0
_SECONDS_PER_RUN = 7 * 86400.0


@dataclass(frozen=True)
class _Page:
    where: str
    page: Page
    reach: Mapping[str, float]

    @cached_property
    def by_name(self) -> dict[str, list[SeriesLine]]:
        found: dict[str, list[SeriesLine]] = {}
        for entry in self.page.samples:
            found.setdefault(entry.sample.name, []).append(entry)
        return found

    @cached_property
    def families(self) -> dict[str, list[SeriesLine]]:
        """Of the contract: family → its samples; of a histogram those of its `_count`."""
        found: dict[str, list[SeriesLine]] = {}
        for name, entries in self.by_name.items():
            family = family_of(name)
            if family is not None and (family.type != "histogram" or name.endswith("_count")):
                found.setdefault(family.name, []).extend(entries)
        return found

    def type_of(self, name: str) -> str:
        types = self.page.types
        return types.get(name) or types.get(_SUFFIX.sub("", name), "")

    def total(self, name: str) -> float:
        return sum(entry.sample.value for entry in self.by_name.get(name, []))

    def finding(
        self, code: str, message: str, hint: str, entry: SeriesLine | None = None, warn: bool = False
    ) -> Finding:
        line = entry.line if entry else 0
        severity: Severity = "warning" if warn else "error"
        column = 1 if line else 0
        number = CODES[code].number
        return Finding(self.where, line, column, code, _visible(message), severity, _visible(hint), number)


def _visible(text: str) -> str:
    """What a page says may be meant for the terminal it is shown on."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def lint_body(body: bytes, content_type: str, where: str, reach: Mapping[str, float] = _NONE) -> list[Finding]:
    """Raises ExpositionError when it is no exposition. A file has no type: its end tells. `reach`: histogram → a limit
    of this agent's that its buckets have to reach."""
    openmetrics = "openmetrics" in content_type or (not content_type and body.rstrip().endswith(b"# EOF"))
    dialect = Dialect.OPENMETRICS if openmetrics else Dialect.TEXT
    return lint(read_page(split_lines(body, dialect, ScrapeLimits()), dialect), where, reach)


def unreadable(body: bytes, error: ExpositionError, where: str) -> Finding:
    """The finding that stands for all others when the body is none that a scrape would take."""
    begins = body.lstrip()[:200].lower()
    hint = "every line must be a comment or a sample; one bad line fails the scrape"
    if begins.startswith((b"<", b"{", b"[")):
        what = "a web page" if begins.startswith(b"<") else "JSON"
        hint = f"this is {what}, not metrics: is the path right, and is there a login before it?"
    elif not begins:
        hint = "the body is empty"
    message = str(error).removeprefix(f"line {error.line}: ")
    column = 1 if error.line else 0
    return Finding(where, error.line, column, "not-metrics", message, "error", hint, CODES["not-metrics"].number)


def too_large(message: str, where: str) -> Finding:
    hint = "look for a label with a new value per run or user; or raise limits of the target"
    return Finding(where, 0, 0, "too-many", message, "error", hint, CODES["too-many"].number)


def lint(page: Page, where: str, reach: Mapping[str, float] = _NONE) -> list[Finding]:
    read = _Page(where, page, reach)
    found = [
        *_families(read),
        *_values(read),
        *_ids(read),
        *_many(read),
        *_names(read),
        *_times(read),
        *_numbers(read),
        *_buckets(read),
        *_created(read),
    ]
    return sorted(set(found), key=lambda one: (one.code in ADVICE, one.severity, one.line, one.number, one.message))


def _families(read: _Page) -> Iterator[Finding]:
    if not read.page.samples:
        yield read.finding(
            "no-contract", "the page holds no samples", "is the registry that is served the one you write to?"
        )
        return
    if not read.families:
        seen = [name for name in profiles_seen(read.by_name) if name != "agent"]
        if not seen:
            hint = "use bot.instrument, or a stack of docs/instrumentation.md"
            yield read.finding("no-contract", "no family of the agent_* contract, nor of a stack that is known", hint)
        return
    for family in CONTRACT.values():
        if not family.core or family.name in read.families:
            continue
        if not family.zero and not _succeeded(read):
            continue  # there is none before the first success
        warn = family.name in {"agent_cost_usd_total", "agent_tool_calls_total"}
        why = {
            "agent_cost_usd_total": " (right, if your gateway prices the calls)",
            "agent_tool_calls_total": " (right, if the agent has no tools)",
        }.get(family.name, "")
        bare = family.name.removesuffix("_total")
        state = "is declared, but has no series yet" if read.page.types.keys() & {family.name, bare} else "is missing"
        yield read.finding("missing-family", f"{family.name} {state}{why}", family.line, warn=warn)


def _succeeded(read: _Page) -> bool:
    runs = read.families.get("agent_runs_total", [])
    return any(entry.sample.value > 0 for entry in runs if entry.sample.labels.get("outcome") == "success")


def _values(read: _Page) -> Iterator[Finding]:
    for name, entries in read.families.items():
        family = CONTRACT[name]
        for label in family.labels:
            without = next((entry for entry in entries if not entry.sample.labels.get(label)), None)
            if without is not None:
                yield read.finding("missing-label", f"{name} has no label {label}", family.line, without)
        yield from _closed(read, family, entries)
        if name != "agent_info":
            known = {*family.labels, "agent", "le"}
            for label in sorted({label for entry in entries for label in entry.sample.labels} - known):
                if _is_id(read, entries, label):
                    continue  # told as such
                first = next(entry for entry in entries if label in entry.sample.labels)
                text = f"{name} has a label {quote(label)} that no alert reads: each of its values is a series more"
                yield read.finding(
                    "odd-label", text, f"leave it out, or drop_labels: [{label}] and on_duplicate: sum", first, True
                )


def _closed(read: _Page, family: Family, entries: list[SeriesLine]) -> Iterator[Finding]:
    for label, values in family.labels.items():
        if isinstance(values, int):
            continue
        there = {entry.sample.labels.get(label, ""): entry for entry in entries}
        for value in sorted(there.keys() - {*values, "other", ""}):
            near = nearest(value, values)
            hint = f'did you mean "{near}"? ' if near else ""
            text = f"{family.name} has {label}={quote(value)}, which no alert knows"
            yield read.finding("unknown-value", text, f"{hint}known: {', '.join(values)}", there[value])
        if label not in family.complete or label not in {name for entry in entries for name in entry.sample.labels}:
            continue
        for rest, present in _groups(entries, label).items():
            missing = [value for value in values if value not in present]
            if missing:
                text = f"{family.name}{_braces(rest)} lacks {label} {', '.join(missing)}: the first would not be seen"
                hint = f"create them at 0 at start: counter.labels(…, {quote(missing[0])}); bot.instrument does"
                yield read.finding("missing-outcome", text, hint, next(iter(present.values())))


def _groups(entries: list[SeriesLine], label: str) -> dict[tuple[tuple[str, str], ...], dict[str, SeriesLine]]:
    """By the other labels. A call has one layer: an outcome that is there in one of a tool's layers is enough."""
    found: dict[tuple[tuple[str, str], ...], dict[str, SeriesLine]] = {}
    for entry in entries:
        labels = entry.sample.labels
        rest = tuple(sorted((name, value) for name, value in labels.items() if name not in {label, "layer"} and value))
        found.setdefault(rest, {})[labels.get(label, "")] = entry
    return found


def _braces(labels: tuple[tuple[str, str], ...]) -> str:
    return "{" + ", ".join(f'{name}="{value[:40]}"' for name, value in labels) + "}" if labels else ""


def _ids(read: _Page) -> Iterator[Finding]:
    """One finding for each label, however many metrics have it."""
    found: dict[str, dict[str, SeriesLine]] = {}
    for name, entries in read.by_name.items():
        for label in {label for entry in entries for label in entry.sample.labels}:
            if not name.endswith("_info") and _is_id(read, entries, label):
                first = next(entry for entry in entries if entry.sample.labels.get(label, "None") != "None")
                found.setdefault(label, {}).setdefault(_SUFFIX.sub("", name), first)
    for label, metrics in found.items():
        metric, first = min(metrics.items(), key=lambda item: item[1].line)
        others = f" and {len(metrics) - 1} more" if len(metrics) > 1 else ""
        value = quote(first.sample.labels[label])
        text = f"label {label}={value} of {metric}{others}: each new one makes new series, for ever"
        yield read.finding("id-label", text, _without(read, label), first)


def _without(read: _Page, label: str) -> str:
    for name in profiles_seen(read.by_name):
        if label in PROFILES[name].drop_labels:
            return f"on the target: profile: {name}"
    return f"leave it out; until then, on the target: drop_labels: [{label}] and on_duplicate: sum"


def _is_id(read: _Page, entries: list[SeriesLine], label: str) -> bool:
    """By its name, or because most of its values look like ids. Versions, buckets and models are none."""
    if label in _NO_IDS:
        return False
    values = {value for entry in entries if (value := entry.sample.labels.get(label))} - {"None"}
    if not values:
        return False
    return _ID_NAME.search(label) is not None or 2 * sum(_ID_VALUE.fullmatch(v) is not None for v in values) > len(
        values
    )


def _many(read: _Page) -> Iterator[Finding]:
    samples = sum(not name.endswith("_created") for name in (entry.sample.name for entry in read.page.samples))
    if samples > ScrapeLimits().samples:
        text = f"{samples} samples: a scrape takes {ScrapeLimits().samples} and fails"
        yield read.finding("too-many", text, "see which label has so many values; or raise limits of the target")
    for name, entries in read.families.items():
        for label, most in CONTRACT[name].labels.items():
            values = {value for entry in entries if (value := entry.sample.labels.get(label))} - {"other"}
            if isinstance(most, int) and len(values) > most:
                text = f"{name} has {len(values)} values of {label}, the contract allows {most}"
                hint = 'count what is rare under "other"'
                yield read.finding("too-many", text, hint, entries[0], len(values) <= 2 * most)
    for name, entries in read.by_name.items():
        if family_of(name) is not None or name.endswith(("_created", "_sum", "_count")):
            continue
        for label in {label for entry in entries for label in entry.sample.labels} - {"le", "quantile"}:
            values = {value for entry in entries if (value := entry.sample.labels.get(label))}
            if len(values) > _MOST_VALUES and not _is_id(read, entries, label):
                text = f"{name} has {len(values)} values of {label}"
                hint = f"would you be woken for each of them? Else drop_labels: [{label}] and on_duplicate: sum"
                yield read.finding("too-many", text, hint, entries[0], True)


def _names(read: _Page) -> Iterator[Finding]:
    told: set[str] = set()
    for name, entries in read.by_name.items():
        family = family_of(name)
        if family is not None:
            kind = read.type_of(family.name)
            if kind and kind not in {family.type, "unknown", "untyped"}:
                text = f"{family.name} is a {kind}, the contract has a {family.type}"
                yield read.finding("wrong-type", text, f"make it a {family.type}: {family.line}", entries[0])
            continue
        bare = _SUFFIX.sub("", name)
        if bare in told or name.endswith("_created"):
            continue
        if name.startswith("agent_") and not name.startswith("agent_registry_"):
            told.add(bare)
            found = list(_misnamed(read, name, bare, entries[0]))
            yield from found
            if found:
                continue
        if (
            read.page.types.get(name) == "counter"
            and not name.endswith("_total")
            and not name.startswith(("tgi_", "temporal_"))
        ):
            text = f"the counter {name} does not end in _total"
            yield read.finding("no-total", text, f"call it {name}_total: rules ask for that", entries[0], True)


def _misnamed(read: _Page, name: str, bare: str, entry: SeriesLine) -> Iterator[Finding]:
    for wrong, (right, factor) in sorted(_WRONG_UNITS.items(), key=lambda item: -len(item[0])):
        if not bare.endswith(wrong):
            continue
        root = bare.removesuffix(wrong)
        meant = _meant(root + right) or _meant(root)
        if meant is None:
            continue
        how = f"divide by {factor:g}" if factor > 1 else "multiply by 60" if 0 < factor < 1 else "convert it"
        text = f"{name} should be {meant}"
        yield read.finding("wrong-unit", text, f"call it {meant}" + ("" if factor == 1 else f" and {how}"), entry)
        return
    meant = _meant(bare)
    if meant is not None:
        yield read.finding("misspelt", f"{name} is not of the contract", f"did you mean {meant}?", entry, True)


def _meant(bare: str) -> str | None:
    names = {_SUFFIX.sub("", name): name for name in CONTRACT}
    if bare in names:
        return names[bare]
    near = nearest(bare, names)
    close = near is not None and abs(len(near) - len(bare)) <= 2 and near.split("_")[:2] == bare.split("_")[:2]
    alike = next((known for known in names if known.rstrip("s") == bare.rstrip("s")), None)
    longer = next((known for known in names if known.startswith(f"{bare}_") and bare.count("_") > 1), None)
    found = alike or (near if close else None) or longer
    return names[found] if found else None


def _shown(entry: SeriesLine) -> str:
    return entry.prefix.strip()[:120]


def _times(read: _Page) -> Iterator[Finding]:
    for name, entries in read.by_name.items():
        if not name.endswith(("_timestamp_seconds", "_time_seconds", "_timestamp")):
            continue
        family = CONTRACT.get(name)
        late = next((entry for entry in entries if entry.sample.value >= _MILLISECONDS_FROM), None)
        if late is not None:
            text = f"{_shown(late)} is {late.sample.value:.0f}: that is milliseconds"
            yield read.finding("millisecond-time", text, "divide by 1000: time.time() is in seconds", late)
        early = next((entry for entry in entries if 0 <= entry.sample.value < 1e9), None)
        if early is not None and family is not None and not family.zero:
            text = f"{_shown(early)} is {early.sample.value:g}, which says 1970"
            yield read.finding("epoch", text, "leave it out until it happened; bot.instrument does", early)
    timed = next((entry for entry in read.page.samples if (entry.sample.timestamp or 0) >= _MILLISECONDS_FROM), None)
    if timed is not None:
        text = f"{_shown(timed)} carries the time {timed.sample.timestamp:.0f}: that is milliseconds"
        yield read.finding(
            "millisecond-time", text, "OpenMetrics wants seconds; better leave times of samples out", timed
        )


def _numbers(read: _Page) -> Iterator[Finding]:
    for name, entries in read.families.items():
        family = CONTRACT[name]
        for entry in entries:
            value = entry.sample.value
            ratio = name in {"agent_eval_score", "agent_eval_pass_k"}
            wrong = value < 0 or math.isnan(value) or (ratio and value > 1)
            if wrong and (family.type != "gauge" or ratio):
                text = f"{_shown(entry)} is {value:g}"
                yield read.finding("bad-number", text, "from 0 to 1" if ratio else "counters only grow from 0", entry)
    yield from _scales(read)


def _scales(read: _Page) -> Iterator[Finding]:
    """Units that the name has right and the number wrong."""
    cost, tokens = read.total("agent_cost_usd_total"), read.total("agent_tokens_total")
    calls = sum(
        e.sample.value for e in read.by_name.get("agent_llm_calls_total", []) if e.sample.labels.get("outcome") == "ok"
    )
    dear = tokens >= 1000 and cost / tokens > _USD_PER_TOKEN
    if dear or (not tokens and calls >= 1 and cost / calls > _USD_PER_CALL):
        per = f"${cost / tokens * 1e6:,.0f} per million tokens" if dear else f"${cost / calls:,.0f} per model call"
        first = read.by_name["agent_cost_usd_total"][0]
        yield read.finding(
            "wrong-unit", f"agent_cost_usd_total makes {per}: are these cents?", "count dollars", first, True
        )
    count, total = read.total("agent_run_duration_seconds_count"), read.total("agent_run_duration_seconds_sum")
    if count >= 1 and total / count > _SECONDS_PER_RUN:
        text = f"agent_run_duration_seconds says {total / count:,.0f} s a run: are these milliseconds?"
        yield read.finding(
            "wrong-unit", text, "observe seconds", read.by_name["agent_run_duration_seconds_sum"][0], True
        )


def _buckets(read: _Page) -> Iterator[Finding]:
    for family in CONTRACT.values():
        entries = read.by_name.get(f"{family.name}_bucket", [])
        if not family.reach or not entries:
            continue
        ends = [_number(entry.sample.labels) for entry in entries]
        last = max((end for end in ends if math.isfinite(end)), default=0.0)
        reach = max(family.reach, read.reach.get(family.name, 0.0))
        if last < reach:
            text = f"the last bucket of {family.name} is {last:g}: a limit above it never fires"
            hint = f"let the buckets reach {reach:g}, better twice the longest that is right"
            yield read.finding("short-buckets", text, hint, entries[0])


def _number(labels: Mapping[str, str]) -> float:
    try:
        return float(labels.get("le", ""))
    except ValueError:
        return 0.0


def _created(read: _Page) -> Iterator[Finding]:
    """Of a counter or histogram; those of our own stacks and of others alike."""
    created = [e for name, entries in read.by_name.items() if name.endswith("_created") for e in entries]
    created = [
        entry for entry in created if read.type_of(entry.sample.name.removesuffix("_created")) or _is_new(read, entry)
    ]
    if created:
        text = f"{len(created)} of {len(read.page.samples)} series are _created; they are dropped when scraped"
        hint = "prometheus_client.disable_created_metrics() makes the page smaller"
        yield read.finding("created", text, hint, created[0], True)


def _is_new(read: _Page, entry: SeriesLine) -> bool:
    return read.page.types.get(entry.sample.name.removesuffix("_created") + "_total") == "counter"
