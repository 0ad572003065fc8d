"""An engine elsewhere that speaks Prometheus' query API: Prometheus, Thanos, Mimir, VictoriaMetrics and their kin.

Asks, tries again where that may help, and tells apart a question that cannot be answered, an answer that is not whole,
and an engine that is not there. What is asked, and what the answers mean, is others' business.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import stamina
import stamina.instrumentation
import structlog
from yarl import URL

from bot import telemetry
from bot.errors import EngineDownError, QueryError, RemoteError
from bot.metrics.breaker import Breaker
from bot.metrics.fetch import Client, Said
from bot.promql.answers import Answers, matrix
from bot.promql.api import instant_text
from bot.promql.value import Matrix, Value
from bot.settings import Prometheus

log = structlog.get_logger()
stamina.instrumentation.set_on_retry_hooks([])  # counted here, by what became of the question

Fields = Sequence[tuple[str, str]]
T = TypeVar("T")

MAX_BYTES = 64 * 1024 * 1024  # of one answer, decompressed
_TOO_SHORT = 0.02  # seconds, for an answer that says anything of the engine
_TRIAL = "vector(1)"
_TRIAL_SECONDS = 5.0
_LONGEST_REST = 60.0  # seconds that an engine is left alone because it wants to be
_FIRST_PAUSE, _LONGEST_PAUSE, _PAUSE_JITTER = 0.1, 1.0, 0.1  # seconds before another attempt
_OWN_LIMIT = 0.9  # how much of the time the engine gets, so that it says itself what it had no time for
_KINDS: dict[int, Literal["bad_data", "execution", "timeout"]] = {400: "bad_data", 422: "execution", 503: "timeout"}
_SHOWN = 300  # characters of somebody else's words
_REMARKS = ("PromQL info:", "PromQL warning:")  # on the expression; the answer is whole
_HEAVY = 256 * 1024  # bytes; reading more would keep the loop
_TENANT = "X-Scope-OrgID"
# Thanos and VictoriaMetrics each have a word for it. `nocache` keeps the latter from looking half a minute back.
_WHOLE = (("partial_response", "false"), ("deny_partial_response", "1"), ("nocache", "1"))
_IN_PARTS = (("partial_response", "true"), ("nocache", "1"))


class _UnansweredError(RemoteError):
    """No answer that says anything of the question. `dead`: another question would have fared no better."""

    def __init__(self, message: str, *, dead: bool = True, again: bool = True, after: float | None = None) -> None:
        self.dead = dead
        super().__init__(message, permanent=not again, retry_after_seconds=after)


@dataclass(frozen=True)
class Forwarded:
    """An answer as it came."""

    status: int
    body: bytes


class Engine:
    """`monotonic` counts seconds. `on_change` is called when it goes down, and when it is back."""

    def __init__(
        self,
        settings: Prometheus,
        base_dir: Path,
        on_change: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.breaker = Breaker()
        self.shown = str(URL(settings.url).with_user(None))
        self._on_change = on_change
        self._monotonic = monotonic
        self._client = Client(base_dir)
        self._turns = asyncio.Semaphore(settings.concurrency)
        self._answers = Answers()
        self._not_before = 0.0  # as it has asked for
        self._trying: asyncio.Task[None] | None = None
        self._down = False
        self._closed = False

    @property
    def seconds(self) -> float:
        return self.settings.timeout.total_seconds()

    @property
    def up(self) -> bool:
        return not self.breaker.down

    async def close(self) -> None:
        self._closed = True
        if self._trying is not None:
            self._trying.cancel()
        await self._client.close()

    # Questions of rules, checks and charts ----------------------------------------------------------------------------

    async def instant(self, question: str, t: float, deadline: float) -> Value:
        """At t (unix seconds), answered before `deadline` (monotonic seconds). Raises QueryError."""
        fields = [("query", question), ("time", instant_text(t))]
        data = await self._asked("query", fields, deadline)
        return self._read(lambda: self._answers.instant(question, data, t))

    async def range(self, question: str, start: float, end: float, step: float, deadline: float) -> Matrix:
        """The value at every step. Raises QueryError. So many steps may be too heavy, or their time too short: that
        they come to nothing must not keep rules from asking."""
        bounds = [("start", instant_text(start)), ("end", instant_text(end)), ("step", f"{step:g}")]
        data = await self._asked("query_range", [("query", question), *bounds], deadline, judging=False)
        return self._read(lambda: matrix(data))

    async def clock(self, deadline: float) -> float:
        """What time it is there, in unix seconds. Raises QueryError."""
        data = await self._asked("query", [("query", "time()")], deadline)
        return self._read(lambda: float(data["result"][1]))

    async def instants(
        self, questions: Sequence[str], t: float, seconds: float, all_seconds: float
    ) -> dict[str, Value | QueryError]:
        """Many at the same instant, side by side; each has so many seconds once its turn has come, all together so many
        more."""
        end = self._monotonic() + all_seconds

        async def one(question: str) -> Value | QueryError:
            try:
                async with asyncio.timeout(max(0.0, end - self._monotonic())):
                    await self._turns.acquire()
            except TimeoutError:
                return self._late(all_seconds)
            try:
                now = self._monotonic()
                if end - now < _TOO_SHORT:
                    return self._late(all_seconds)
                return await self.instant(question, t, min(now + min(seconds, self.seconds), end))
            except QueryError as error:
                return error
            except Exception as error:  # one question never stops a round; its rule is shown as failing
                log.exception("engine.question_failed")
                return QueryError(f"{type(error).__name__}: {error}", "execution")
            finally:
                self._turns.release()

        found: dict[str, Value | QueryError] = {}
        left = iter(questions)

        async def some() -> None:
            for question in left:
                found[question] = await one(question)

        # No more wait for a turn than may have one: a group of a thousand rules must not keep a small one waiting.
        await asyncio.gather(*(some() for _ in range(min(self.settings.concurrency, len(questions)))))
        return found

    def _late(self, seconds: float) -> EngineDownError:
        why = f"its turn did not come within {seconds:.3g} s: so many questions are too many for the engine"
        return self._is_down(f"{why}, or metrics.prometheus.concurrency is too small")

    async def _asked(self, path: str, fields: Fields, deadline: float, *, judging: bool = True) -> Mapping[str, Any]:
        """The `data` of the answer. Raises QueryError. `judging`: no answer speaks against the engine."""
        if self.breaker.shut:
            telemetry.engine_questions.labels("shut").inc()
            raise self._is_down(self.breaker.why)
        began = self._monotonic()
        try:
            data = await self._tried(path, fields, deadline)
        except QueryError:
            self._answered("refused", began)
            raise
        except _UnansweredError as error:
            telemetry.engine_questions.labels("failed" if error.dead else "partial").inc()
            if judging and not self._closed:
                self.breaker.failed(str(error), dead=error.dead)
                self._look()
            raise self._is_down(str(error)) from None
        self._answered("answered", began)
        return data

    def _answered(self, outcome: str, began: float) -> None:
        telemetry.engine_questions.labels(outcome).inc()
        telemetry.engine_seconds.observe(self._monotonic() - began)
        self.breaker.answered()
        self._look()

    def _is_down(self, why: str) -> EngineDownError:
        return EngineDownError(f"no answer of the engine {self.shown}: {why}")

    async def _tried(self, path: str, fields: Fields, deadline: float) -> Mapping[str, Any]:
        """As often as may help, within the time. Raises QueryError and _UnansweredError."""
        left = deadline - self._monotonic()
        own = max(left * _OWN_LIMIT, 0.001)
        fields = [*fields, ("timeout", f"{math.ceil(own * 1000)}ms"), *self._manners()]
        failure: _UnansweredError | None = None
        try:
            async with asyncio.timeout(left):
                async for attempt in stamina.retry_context(
                    on=_is_worth_another,
                    attempts=self.settings.attempts,
                    timeout=timedelta(seconds=max(left, 0.001)),
                    wait_initial=_FIRST_PAUSE,
                    wait_max=_LONGEST_PAUSE,
                    wait_jitter=_PAUSE_JITTER,
                ):
                    with attempt:
                        await self._rest(deadline)
                        try:
                            return await self._once(path, fields)
                        except _UnansweredError as error:
                            failure = error
                            if error.retry_after_seconds:
                                rest = min(error.retry_after_seconds, _LONGEST_REST)
                                self._not_before = self._monotonic() + rest
                            raise
        except TimeoutError:
            raise failure or _UnansweredError(f"no complete answer within {left:.3g}s") from None
        raise AssertionError("an attempt returns or raises")

    async def _rest(self, deadline: float) -> None:
        """Until the engine wants to be asked again; it is not waited for when there is no time."""
        rest = self._not_before - self._monotonic()
        if self._not_before > deadline:
            raise _UnansweredError(f"it wants no question for another {rest:.0f} s (429, Retry-After)", again=False)
        await asyncio.sleep(max(0.0, rest))

    async def _once(self, path: str, fields: Fields) -> Mapping[str, Any]:
        said = await self._said(path, fields, MAX_BYTES)
        body = await _json(said.body)
        if isinstance(body, dict) and body.get("status") == "error" and said.status in _KINDS:
            kind, text = str(body.get("errorType", "")), str(body.get("error", ""))[:_SHOWN]
            # Of a 503 Prometheus says which: its own time was over, or it is not there yet.
            if said.status != 503 or kind in {"timeout", "canceled"}:
                raise QueryError(text, _KINDS[said.status])
        if said.status == 429 or said.status >= 500:
            raise _UnansweredError(f"{_status(said)}{_words(body)}", after=said.retry_after)
        if not 200 <= said.status < 300:
            raise _UnansweredError(f"{_status(said)}{_words(body)}{_way_out(said)}", again=False)
        if not isinstance(body, dict) or body.get("status") != "success" or not isinstance(body.get("data"), dict):
            raise _UnansweredError(f"its answer is not one of Prometheus' API: {said.body[:80]!r}")
        if not self.settings.partial_response and (missing := _incomplete(body)):
            raise _UnansweredError(f"its answer is not complete: {missing}", dead=False)
        return dict(body["data"])

    @staticmethod
    def _read(work: Callable[[], T]) -> T:
        try:
            return work()
        except QueryError:
            raise
        except Exception as error:  # noqa: BLE001 - a stranger's answer may be anything
            raise QueryError(f"the engine's answer cannot be read: {error!r}", "execution") from None

    # Questions of people ----------------------------------------------------------------------------------------------

    async def forward(self, path: str, fields: Fields, *, by_form: bool, seconds: float, max_bytes: int) -> Forwarded:
        """Whatever it says, once. Raises QueryError when it says nothing."""
        try:
            async with asyncio.timeout(seconds):
                said = await self._said(path, fields, max_bytes, by_form=by_form)
        except TimeoutError:
            raise QueryError(f"no complete answer of the engine within {seconds:.3g}s", "timeout") from None
        except RemoteError as error:
            raise self._is_down(str(error)) from None
        if said.status == 404 and not said.body.lstrip().startswith(b"{"):
            text = f"the engine {self.shown} has no /api/v1/{path}"
            return Forwarded(404, json.dumps({"status": "error", "errorType": "not_found", "error": text}).encode())
        if not said.body.lstrip().startswith(b"{"):
            text = said.body[:80].decode(errors="replace")
            raise self._is_down(f"{_status(said)}: {text!r}")
        return Forwarded(said.status, said.body)

    # The other side ---------------------------------------------------------------------------------------------------

    def _manners(self) -> Fields:
        return [*(_IN_PARTS if self.settings.partial_response else _WHOLE), *self.settings.params.items()]

    async def _said(self, path: str, fields: Fields, max_bytes: int, *, by_form: bool = True) -> Said:
        settings = self.settings
        headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        if settings.tenant is not None:
            headers[_TENANT] = settings.tenant
        method = "POST" if by_form and settings.method == "post" else "GET"
        url = f"{settings.url.rstrip('/')}/api/v1/{quote(path)}"
        try:
            return await self._client.ask(method, url, settings, headers, fields, max_bytes=max_bytes)
        except RemoteError as error:
            raise _UnansweredError(str(error), again=not error.permanent) from None
        except RuntimeError:
            if not self._closed:
                raise
            raise _UnansweredError("it is not asked any more, since a reload", again=False) from None

    def _look(self) -> None:
        """Somebody has to hear when it went down or came back, and somebody has to try while nobody may ask."""
        if self.breaker.shut and (self._trying is None or self._trying.done()):
            self._trying = asyncio.create_task(self._keep_trying(), name="engine-trial")
        if self.breaker.down is not self._down:
            self._down = self.breaker.down
            if self._down:
                log.error("engine.down", url=self.shown, why=self.breaker.why)
            else:
                log.info("engine.up", url=self.shown)
            self._on_change()

    async def _keep_trying(self) -> None:
        while self.breaker.shut:
            await asyncio.sleep(max(self.breaker.wait(), self._not_before - self._monotonic()))
            try:
                async with asyncio.timeout(_TRIAL_SECONDS):
                    await self._once("query", [("query", _TRIAL), *self._manners()])
            except (_UnansweredError, TimeoutError):
                continue
            except QueryError:
                pass  # an answer all the same
            except Exception:  # whatever it says, it is tried again: nobody else asks
                log.exception("engine.trial_failed")
                continue
            self.breaker.tried(well=True)


async def _json(body: bytes) -> Any:
    try:
        return await asyncio.to_thread(json.loads, body) if len(body) > _HEAVY else json.loads(body)
    except (ValueError, RecursionError):  # also what is no UTF-8
        return None


def _is_worth_another(error: Exception) -> bool:
    return isinstance(error, _UnansweredError) and not error.permanent


def _incomplete(body: Mapping[str, Any]) -> str:
    """What is missing of the answer; empty when it is whole. Remarks on the expression take nothing from it."""
    given = [body.get(name) or () for name in ("warnings", "infos")]
    told = [str(one) for some in given for one in (some if isinstance(some, list | tuple) else (some,))]
    missing = [one for one in told if not one.startswith(_REMARKS)]
    if body.get("isPartial"):
        missing.append("isPartial is true")
    return "; ".join(missing)[:_SHOWN]


def _status(said: Said) -> str:
    return f"server returned HTTP status {said.status} {said.reason}".strip()


def _words(body: Any) -> str:
    text = str(body.get("error", ""))[:_SHOWN] if isinstance(body, dict) else ""
    return f": {text}" if text else ""


def _way_out(said: Said) -> str:
    if said.status in {301, 302, 303, 307, 308}:
        address = said.location.partition("?")[0]  # behind it stand our question, and params that may be secrets
        return f" to {address[:_SHOWN]}: write that address into metrics.prometheus.url"
    if said.status == 405:
        return ": try metrics.prometheus.method: get"
    return ""
