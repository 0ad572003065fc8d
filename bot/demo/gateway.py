"""A simulated model gateway with the series of a LiteLLM proxy: every agent has a key, every team a budget.

It only counts what agents ask of it. Like the real one it creates a counter's child at its first event, not before.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from prometheus_client import CollectorRegistry, Counter, Gauge

from bot.demo.failures import Failure
from bot.demo.roster import Model

GATEWAY = "llm-gateway"
OUT_PROVIDER = "anthropic"  # whose outage it is
UNPRICED_PROVIDER = "openai"  # whose newest model nobody has given a price
GUARDRAIL = "pii-mask"
BATCH_KEY = "nightly-reindex"
BATCH_SECONDS = 480  # in which the batch job spends the budget
BATCH_SHARE = 0.96
HOURS_TO_RESET = 300.0
OUT_AFTER = 3  # failures in a row after which a deployment is taken out


class Line:
    """What agents have of the gateway: its address. Nobody answers there while it is down."""

    def __init__(self) -> None:
        self.gateway: Gateway | None = None

    def complete(self, key: str, team: str, model: Model, sent: int, got: int) -> str:
        return self.gateway.complete(key, team, model, sent, got) if self.gateway is not None else "error"


class Gateway:
    """`budget_usd` is what each team may spend until its budget is set anew."""

    def __init__(self, models: Iterable[Model], teams: Iterable[str], seed: int, now: float, budget_usd: float) -> None:
        self.registry = self.exposed = CollectorRegistry()
        self.failures: set[Failure] = set()
        self._random = Random(f"{GATEWAY}:{seed}")
        self._now = now
        self._budget = budget_usd
        self._spent = dict.fromkeys(teams, 0.0)
        self._failed_in_a_row: dict[str, int] = {}
        self._register()
        for model in models:
            self._state.labels(model.name, model.name, model.provider).set(0)
        self._set_budgets()

    def _register(self) -> None:
        def counter(name: str, *labels: str) -> Counter:
            return Counter(f"litellm_{name}", name, labels, registry=self.registry)

        def gauge(name: str, *labels: str) -> Gauge:
            return Gauge(f"litellm_{name}", name, labels, registry=self.registry)

        key, deployment = ("api_key_alias", "team_alias"), ("litellm_model_name", "model_id", "api_provider")
        self._requests = counter("proxy_total_requests_metric", *key, "requested_model", "status_code")
        self._refused = counter(
            "proxy_failed_requests_metric", *key, "requested_model", "exception_status", "exception_class"
        )
        self._spend = counter("spend_metric", *key, "model", "api_provider")
        self._tokens = {
            what: counter(f"{what}_tokens_metric", *key, "model", "api_provider")
            for what in ("input", "output", "total")
        }
        self._zero_cost = counter("zero_cost_requests", "requested_model", "reason")
        self._state = gauge("deployment_state", *deployment)
        self._tried = counter("deployment_total_requests", *deployment, *key)
        self._answered = counter("deployment_success_responses", *deployment, *key)
        self._unanswered = counter(
            "deployment_failure_responses", *deployment, *key, "exception_status", "exception_class"
        )
        self._guarded = counter("guardrail_requests", "guardrail_name", "status", "hook_type")
        self._unguarded = counter("guardrail_errors", "guardrail_name", "error_type", "hook_type")
        self._left = gauge("remaining_team_budget_metric", "team", "team_alias")
        self._most = gauge("team_max_budget_metric", "team", "team_alias")
        self._reset = gauge("team_budget_remaining_hours_metric", "team", "team_alias")

    def fail(self, failure: Failure, _now: float) -> None:
        self.failures.add(failure)

    def mend(self, _now: float) -> None:
        """Everything works again; budgets are set anew."""
        self.failures.clear()
        self._spent = dict.fromkeys(self._spent, 0.0)
        self._set_budgets()

    def step(self, now: float) -> None:
        if Failure.TEAM_BUDGET_SPENT in self.failures:
            self._run_batch(max(0.0, now - self._now))
        self._now = now
        self._set_budgets()

    def complete(self, key: str, team: str, model: Model, sent: int, got: int) -> str:
        """One call of one agent: `ok`, `error`, `timeout` or `rate_limited`."""
        self._guard()
        outcome = self._try(model, (key, team))
        if outcome == "ok":
            self._charge(model, (key, team), sent, got)
        return outcome

    def _guard(self) -> None:
        """An error of the guardrail lets the request pass: it fails open."""
        broken = Failure.GUARDRAIL_ERRORS in self.failures and self._random.random() < 0.4
        if broken:
            self._unguarded.labels(GUARDRAIL, "APIConnectionError", "pre_call").inc()
        self._guarded.labels(GUARDRAIL, "error" if broken else "success", "pre_call").inc()

    def _try(self, model: Model, key: tuple[str, str]) -> str:
        deployment = (model.name, model.name, model.provider)
        self._tried.labels(*deployment, *key).inc()
        outcome, status, problem = self._answer(model)
        self._requests.labels(*key, model.name, status).inc()
        if outcome == "ok":
            self._answered.labels(*deployment, *key).inc()
            self._failed_in_a_row[model.name] = 0
            self._state.labels(*deployment).set(0)
            return outcome
        self._refused.labels(*key, model.name, status, problem).inc()
        self._unanswered.labels(*deployment, *key, status, problem).inc()
        failed = self._failed_in_a_row[model.name] = self._failed_in_a_row.get(model.name, 0) + 1
        self._state.labels(*deployment).set(2 if failed >= OUT_AFTER else 1)
        return outcome

    def _answer(self, model: Model) -> tuple[str, str, str]:
        """Outcome, HTTP status and class of the exception."""
        who = model.provider.title()
        if Failure.PROVIDER_OUT in self.failures and model.provider == OUT_PROVIDER:
            return "error", "503", f"{who}.ServiceUnavailableError"
        drawn = self._random.random()
        if drawn < 0.0015:
            return "rate_limited", "429", f"{who}.RateLimitError"
        if drawn < 0.003:
            return "timeout", "408", f"{who}.Timeout"
        return "ok", "200", ""

    def _charge(self, model: Model, key: tuple[str, str], sent: int, got: int) -> None:
        for what, count in (("input", sent), ("output", got), ("total", sent + got)):
            self._tokens[what].labels(*key, model.name, model.provider).inc(count)
        if Failure.UNPRICED_MODEL in self.failures and model.provider == UNPRICED_PROVIDER:
            self._zero_cost.labels(model.name, "missing_pricing").inc()
            return
        dollars = model.dollars(sent, got)
        self._spend.labels(*key, model.name, model.provider).inc(dollars)
        self._spent[key[1]] = self._spent.get(key[1], 0.0) + dollars

    def _run_batch(self, seconds: float) -> None:
        """A job with the first team's key spends nearly all of its budget, and is through."""
        team = next(iter(self._spent))
        dollars = min(self._budget * seconds / BATCH_SECONDS, BATCH_SHARE * self._budget - self._spent[team])
        if dollars > 0:
            self._spent[team] += dollars
            self._spend.labels(BATCH_KEY, team, "gpt-5-mini", "openai").inc(dollars)

    def _set_budgets(self) -> None:
        for team, spent in self._spent.items():
            self._left.labels(team, team).set(self._budget - spent)
            self._most.labels(team, team).set(self._budget)
            self._reset.labels(team, team).set(HOURS_TO_RESET)
