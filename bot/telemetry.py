"""agentpager's own metrics, by name. docs/metrics-reference.md explains each; a test keeps the two equal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.openmetrics import exposition

from bot.incidents.model import Event
from bot.labels import Labels
from bot.paging.attempt import Verdict
from bot.paging.model import Page

END = b"# EOF\n"  # of a page of OpenMetrics, once

registry = CollectorRegistry()

build_info = Gauge("agentpager_build_info", "Always 1; the version is in the label.", ["version"], registry=registry)
build_info.labels(version("agentpager")).set(1)

hidden = Gauge("agentpager_incidents_hidden", "Unresolved incidents that wake nobody now.", registry=registry)
incidents = Gauge("agentpager_incidents", "Incidents by state.", ["state"], registry=registry)
pages = Gauge("agentpager_pages", "Outbox rows by state.", ["state"], registry=registry)
decisions = Counter("agentpager_decisions_total", "Changes of incidents by event.", ["event"], registry=registry)
attempts = Counter("agentpager_page_attempts_total", "What became of attempts to send.", ["verdict"], registry=registry)
delivery = Histogram(
    "agentpager_page_delivery_seconds",
    "From the moment a page was due to Slack's answer.",
    ["kind"],
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300),
    registry=registry,
)
page_overdue = Gauge(
    "agentpager_page_overdue_seconds",
    "For how long the page that waits longest should have gone out by now.",
    registry=registry,
)
ack_delay = Histogram(
    "agentpager_ack_seconds",
    "From the page to the acknowledgement.",
    buckets=(10, 30, 60, 120, 300, 600, 1800, 3600),
    registry=registry,
)
merged = Counter(
    "agentpager_pages_merged_total", "Pages and cards that shared one message.", ["kind"], registry=registry
)
budget_exceeded = Counter(
    "agentpager_page_budget_exceeded_total",
    "Messages that woke a person beyond two in twelve hours.",
    registry=registry,
)
sla_breaches = Counter(
    "agentpager_sla_breaches_total", "Promises of the SLA that were not kept.", ["severity", "what"], registry=registry
)
edits = Counter("agentpager_edits_total", "Messages redrawn in place, by outcome.", ["outcome"], registry=registry)
bridge_requests = Counter(
    "agentpager_bridge_requests_total",
    "Requests with alerts of other systems.",
    ["bridge", "outcome"],
    registry=registry,
)
http_refused = Counter(
    "agentpager_http_refused_total", "Requests that were refused at the door, by why.", ["why"], registry=registry
)
error_budget = Gauge(
    "agentpager_slo_error_budget_remaining",
    "Share of the error budget that is left; below 0 when more is gone.",
    ["agent", "objective"],
    registry=registry,
)
loop_errors = Counter("agentpager_loop_errors_total", "Failures at the top of a loop.", ["loop"], registry=registry)
tick_lateness = Gauge("agentpager_tick_lateness_seconds", "How overdue the most overdue tick is.", registry=registry)
clock_jumps = Counter(
    "agentpager_clock_jumps_total", "Times that the machine's clock was found to be set.", registry=registry
)
reload_ok = Gauge(
    "agentpager_config_last_reload_successful", "1 unless the last reload was refused.", registry=registry
)
reload_at = Gauge(
    "agentpager_config_last_reload_success_timestamp_seconds",
    "When the running configuration was loaded.",
    registry=registry,
)
leader = Gauge("agentpager_leader", "1 while this replica sends and escalates.", registry=registry)
replicas = Gauge("agentpager_replicas", "Replicas that share the database and are alive.", registry=registry)
replicas.set(1)
rule_groups = Gauge("agentpager_rule_groups", "Rule groups whose alerts this replica evaluates.", registry=registry)
watcher_up = Gauge("agentpager_watcher_up", "1 while the watcher answers.", registry=registry)
watcher_starts = Counter("agentpager_watcher_starts_total", "How often the watcher was started.", registry=registry)
slack_up = Gauge("agentpager_slack_up", "1 while clicks and commands can arrive.", registry=registry)
slack_connections = Gauge(
    "agentpager_slack_connections", "Socket Mode connections that show signs of life.", registry=registry
)
slack_renewals = Counter(
    "agentpager_slack_renewals_total", "Socket Mode connections made anew, by reason.", ["reason"], registry=registry
)
slack_deliveries = Counter(
    "agentpager_slack_deliveries_total", "Requests of Slack in HTTP mode, by outcome.", ["outcome"], registry=registry
)
heartbeat_at = Gauge(
    "agentpager_heartbeat_last_success_timestamp_seconds", "Last accepted outgoing heartbeat.", registry=registry
)

job_at = Gauge(
    "agentpager_job_last_success_timestamp_seconds",
    "When a job of upkeep last did all of its work.",
    ["job"],
    registry=registry,
)
coverage_gaps = Gauge(
    "agentpager_coverage_gaps", "Places that leave nobody but the fallback in the days ahead.", registry=registry
)
feeds_failing = Gauge("agentpager_calendar_feeds_failing", "Calendars whose address fails.", registry=registry)
unreachable = Gauge("agentpager_unreachable_people", "People whom a page would not reach.", registry=registry)

spans = Counter("agentpager_trace_spans_total", "Spans that a collector has taken.", registry=registry)
trace_rows_dropped = Counter(
    "agentpager_trace_rows_dropped_total", "Audit rows that no collector took for a day.", registry=registry
)
tracing_lag = Gauge(
    "agentpager_trace_lag_seconds", "Age of the oldest audit row that no trace tells of yet.", registry=registry
)

action_attempts = Counter(
    "agentpager_action_attempts_total", "Attempts to carry out an action.", ["outcome"], registry=registry
)

# A counter that does not exist before its first event hides that event from increase().
for event in Event:
    decisions.labels(event)
for severity in ("critical", "warning", "info"):
    for what in ("ack", "resolve"):
        sla_breaches.labels(severity, what)
for verdict in Verdict:
    attempts.labels(verdict)
for job in ("feeds", "coverage", "reachability", "usergroups"):
    job_at.labels(job)
for reason in ("refresh", "planned", "closed", "deaf", "unheard", "disabled"):
    slack_renewals.labels(reason)
for outcome in ("ok", "failed", "method", "too_big", "old", "signature", "replay", "repeated", "unreadable"):
    slack_deliveries.labels(outcome)
for kind in ("page", "card"):
    merged.labels(kind)
for outcome in ("shown", "failed"):
    edits.labels(outcome)
for outcome in ("done", "again", "failed"):
    action_attempts.labels(outcome)

# The watcher's own, kept in its process and appended to the pager's page.
watcher_registry = CollectorRegistry()
rule_evaluations = Counter(
    "agentpager_rule_group_evaluations_total", "Evaluations of rule groups.", ["group"], registry=watcher_registry
)
rule_failures = Counter(
    "agentpager_rule_evaluation_failures_total", "Rules that failed to evaluate.", ["group"], registry=watcher_registry
)
rule_seconds = Histogram(
    "agentpager_rule_group_duration_seconds",
    "Time of one evaluation of a rule group.",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
    registry=watcher_registry,
)
queries = Counter(
    "agentpager_queries_total", "Questions to the query API.", ["path", "status"], registry=watcher_registry
)
query_seconds = Histogram(
    "agentpager_query_duration_seconds",
    "Time of one question to the query API, waiting included.",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
    registry=watcher_registry,
)
rule_iterations = Counter(
    "agentpager_rule_group_iterations_total",
    "Turns that came for a rule group, executed or missed.",
    ["rule_group"],
    registry=watcher_registry,
)
rule_iterations_missed = Counter(
    "agentpager_rule_group_iterations_missed_total",
    "Turns missed because the group's last evaluation still ran.",
    ["rule_group"],
    registry=watcher_registry,
)
rule_group_interval = Gauge(
    "agentpager_rule_group_interval_seconds", "Interval of a rule group.", ["rule_group"], registry=watcher_registry
)
rule_group_rules = Gauge(
    "agentpager_rule_group_rules", "Rules of a rule group.", ["rule_group"], registry=watcher_registry
)
rule_group_seconds = Gauge(
    "agentpager_rule_group_last_duration_seconds",
    "Time of a group's last regular evaluation.",
    ["rule_group"],
    registry=watcher_registry,
)
rule_group_evaluated_at = Gauge(
    "agentpager_rule_group_last_evaluation_timestamp_seconds",
    "When a group was last evaluated regularly.",
    ["rule_group"],
    registry=watcher_registry,
)
engine_up = Gauge(
    "agentpager_engine_up",
    "1 while the engine of metrics.prometheus answers questions of rules, 0 when it does not.",
    ["url"],
    registry=watcher_registry,
)
engine_questions = Counter(
    "agentpager_engine_questions_total",
    "Questions to the engine of metrics.prometheus, by outcome.",
    ["outcome"],
    registry=watcher_registry,
)
engine_seconds = Histogram(
    "agentpager_engine_question_duration_seconds",
    "Time of one question to the engine of metrics.prometheus, further attempts included.",
    buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
    registry=watcher_registry,
)
for outcome in ("answered", "refused", "failed", "partial", "shut"):
    engine_questions.labels(outcome)
loop_lag = Gauge(
    "agentpager_watcher_loop_lag_seconds",
    "The longest that scraping was held up in the last one to two minutes.",
    registry=watcher_registry,
)
series = Gauge("agentpager_series", "Series in the sample store.", registry=watcher_registry)
scrapes = Gauge("agentpager_scrapes", "Scrapes since start, by outcome.", ["outcome"], registry=watcher_registry)
targets = Gauge("agentpager_targets", "Targets by health.", ["health"], registry=watcher_registry)


def _no_exemplar(_incident: str | None) -> dict[str, str] | None:
    return None


exemplar_of: Callable[[str | None], dict[str, str] | None] = _no_exemplar  # bot.tracing knows the trace of an incident


def delivered(page: Page, seconds: float) -> None:
    delivery.labels(page.kind).observe(max(seconds, 0), exemplar_of(page.incident))


def acked(incident_id: str, seconds: float) -> None:
    ack_delay.observe(seconds, exemplar_of(incident_id))


def page(*, openmetrics: bool = False) -> bytes:
    """As OpenMetrics without its end: other pages may follow."""
    return _written(registry, openmetrics=openmetrics)


def watcher_page(*, openmetrics: bool = False) -> bytes:
    return _written(watcher_registry, openmetrics=openmetrics)


def _written(of: CollectorRegistry, *, openmetrics: bool) -> bytes:
    if not openmetrics:
        return generate_latest(of)
    whole: bytes = exposition.generate_latest(of)  # type: ignore[no-untyped-call]
    return whole.removesuffix(END)


def registry_page(
    series: Iterable[tuple[Labels, float]],
    *,
    about: str = "Of agents/*.yaml: docs/metrics-reference.md has each.",
    openmetrics: bool = False,
) -> bytes:
    """What agents/*.yaml says and how ready the agents are, for a Prometheus whose rules join on it; or other series
    that rules read."""
    families: dict[str, Metric] = {}
    for labels, value in series:
        name = labels["__name__"]
        if name not in families:
            families[name] = Metric(name, about, "gauge")
        families[name].add_sample(name, {key: text for key, text in labels.items() if key != "__name__"}, value)
    return _written(_Made(families.values()), openmetrics=openmetrics)


class _Made(CollectorRegistry):
    """Families that are there already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        super().__init__()
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
