"""One live check: its expectation, its verdict, and its number as a human reads it."""

from __future__ import annotations

import math
import operator
import re  # noqa: TID251 - fixed pattern, never a user's
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.errors import QueryError
from bot.humanize import go_float, humanize, humanize1024, humanize_duration
from bot.runbooks.model import Unit
from bot.runbooks.rendered import CheckResult, Verdict

if TYPE_CHECKING:  # the pager reads and lints runbooks too, and does without NumPy
    from bot.promql.value import Value

Query = Callable[[str], "Value"]
TimeLeft = Callable[[], float]  # seconds of the budget that are left; negative when it is spent

_EXPECT = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Expectation:
    sign: str
    bound: float

    def holds(self, value: float) -> bool:
        return _COMPARE[self.sign](value, self.bound)

    def miss(self, value: float) -> float:
        """How far `value` is from what is wanted; larger is worse, NaN worst of all."""
        if math.isnan(value):
            return math.inf
        match self.sign:
            case "<" | "<=":
                return value - self.bound
            case ">" | ">=":
                return self.bound - value
            case "==":
                return abs(value - self.bound)
            case _:
                return -abs(value - self.bound)


@dataclass(frozen=True)
class Outcome:
    """`value` is the number itself, for templates; None when there is none."""

    result: CheckResult
    value: float | None = None

    @property
    def ok(self) -> bool:
        return self.result.verdict is Verdict.PASS


def parse_expect(text: str) -> Expectation:
    """Raises ValueError with the way out."""
    match = _EXPECT.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is not an expectation; write for example < 5, >= 0.99 or == 1')
    return Expectation(match[1], float(match[2]))


def run_check(
    text: str, expect: Expectation, unit: Unit | None, timeout: float, query: Query, left: TimeLeft
) -> Outcome:
    """Several series count as the worst of them. Never raises: what goes wrong is the result."""
    want = wanted(expect, unit)
    before = left()
    if before <= 0:
        return Outcome(CheckResult(verdict=Verdict.LATE, want=want))
    try:
        values = _values(query(text))
    except QueryError as error:
        verdict = Verdict.LATE if error.kind == "timeout" else Verdict.ERROR
        return Outcome(CheckResult(verdict=verdict, want=want, error=str(error)))
    except Exception as error:  # noqa: BLE001 - a broken check must not cost the page its runbook
        return Outcome(CheckResult(verdict=Verdict.ERROR, want=want, error=f"{type(error).__name__}: {error}"))
    spent = before - left()
    if spent > timeout:
        error_text = f"took {spent:.1f} s, {timeout:g} s allowed"
        return Outcome(CheckResult(verdict=Verdict.LATE, want=want, error=error_text))
    if not values:
        return Outcome(CheckResult(verdict=Verdict.NO_DATA, want=want))
    worst = max(values, key=expect.miss)
    verdict = Verdict.PASS if all(expect.holds(value) for value in values) else Verdict.FAIL
    return Outcome(CheckResult(verdict=verdict, value=format_value(worst, unit), want=want), worst)


def wanted(expect: Expectation, unit: Unit | None) -> str:
    return f"{expect.sign} {format_value(expect.bound, unit)}"


def format_value(value: float, unit: Unit | None) -> str:
    """`62 %`, `1.2 s`, `$14.50`, `3.5 MiB`, `12.3k`."""
    if not math.isfinite(value):
        return go_float(value)
    match unit:
        case "s":
            return humanize_duration(value) if abs(value) >= 60 else f"{_digits(value)} s"
        case "ms":
            return format_value(value / 1000, "s") if abs(value) >= 1000 else f"{_digits(value)} ms"
        case "ratio":
            return f"{_digits(value * 100)} %"
        case "percent":
            return f"{_digits(value)} %"
        case "usd":
            return _dollars(value)
        case "bytes":
            text = humanize1024(value)
            number = text.rstrip("kiMGTPEZY")
            return f"{number} {_capital(text[len(number) :])}B"
        case "count":
            return humanize(value) if abs(value) >= 1 else _digits(value)
        case None:
            return _digits(value)


def _values(value: Value) -> list[float]:
    numbers = value.numbers
    if numbers is None:
        raise QueryError("a check needs a number or a vector")
    return [number for number in numbers if not math.isnan(number)]


def _digits(value: float) -> str:
    """Three significant digits, no exponent, no trailing zeros."""
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(places, 12)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _dollars(value: float) -> str:
    sign = "-" if value < 0 else ""
    amount = abs(value)
    if amount >= 1000 or amount == int(amount):
        return f"{sign}${amount:,.0f}"
    return f"{sign}${amount:.2f}" if amount >= 0.01 else f"{sign}${_digits(amount)}"


def _capital(prefix: str) -> str:
    return prefix.replace("ki", "Ki")
