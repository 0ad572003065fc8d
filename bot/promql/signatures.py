"""The surface this engine answers: every function with its argument types, and the aggregations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.errors import QueryError, UnsupportedQueryError
from bot.promql.nodes import Kind, Node, Text, kind_of


@dataclass(frozen=True)
class Signature:
    """`optional` counts the trailing arguments that may be left out; `repeats` lets the last one come again."""

    args: tuple[Kind, ...]
    returns: Kind = "vector"
    optional: int = 0
    repeats: bool = False

    def check(self, name: str, given: Sequence[Node]) -> None:
        """Raises QueryError when number or types of the arguments are wrong."""
        least = len(self.args) - self.optional
        if len(given) < least or (len(given) > len(self.args) and not self.repeats):
            raise QueryError(f"parse error: wrong number of arguments in call to {name}(), got {len(given)}")
        for position, arg in enumerate(given):
            wanted = self.args[min(position, len(self.args) - 1)]
            if kind_of(arg) != wanted:
                raise QueryError(f"parse error: expected type {wanted} in call to {name}(), got {kind_of(arg)}")
            if wanted == "string" and not isinstance(arg, Text):
                raise UnsupportedQueryError(f"unsupported: a computed string in call to {name}()")


_VECTOR = Signature(("vector",))
_MATRIX = Signature(("matrix",))
_CALENDAR = Signature(("vector",), optional=1)

OVER_RANGE = (
    *("rate", "increase", "irate", "delta", "idelta", "changes", "resets", "deriv"),
    *("avg_over_time", "sum_over_time", "min_over_time", "max_over_time", "count_over_time", "present_over_time"),
    *("last_over_time", "first_over_time", "stddev_over_time", "stdvar_over_time", "mad_over_time"),
    *("ts_of_min_over_time", "ts_of_max_over_time", "ts_of_last_over_time", "ts_of_first_over_time"),
)
# Functions of native histograms: among floats they find nothing.
OF_NATIVE = ("histogram_avg", "histogram_count", "histogram_stddev", "histogram_stdvar", "histogram_sum")
MATHS = (
    *("abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "deg", "rad"),
    *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
)
CALENDAR = ("minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year")

FUNCTIONS: dict[str, Signature] = {
    **dict.fromkeys(OVER_RANGE, _MATRIX),
    **dict.fromkeys(MATHS, _VECTOR),
    **dict.fromkeys(CALENDAR, _CALENDAR),
    **dict.fromkeys(OF_NATIVE, _VECTOR),
    "double_exponential_smoothing": Signature(("matrix", "scalar", "scalar")),
    "histogram_fraction": Signature(("scalar", "scalar", "vector")),
    "info": Signature(("vector", "vector"), optional=1),
    "sort_by_label": Signature(("vector", "string"), repeats=True),
    "sort_by_label_desc": Signature(("vector", "string"), repeats=True),
    "quantile_over_time": Signature(("scalar", "matrix")),
    "predict_linear": Signature(("matrix", "scalar")),
    "absent": _VECTOR,
    "absent_over_time": _MATRIX,
    "histogram_quantile": Signature(("scalar", "vector")),
    "label_replace": Signature(("vector", "string", "string", "string", "string")),
    "label_join": Signature(("vector", "string", "string", "string"), optional=1, repeats=True),
    "clamp": Signature(("vector", "scalar", "scalar")),
    "clamp_min": Signature(("vector", "scalar")),
    "clamp_max": Signature(("vector", "scalar")),
    "round": Signature(("vector", "scalar"), optional=1),
    "time": Signature((), "scalar"),
    "pi": Signature((), "scalar"),
    "timestamp": _VECTOR,
    "vector": Signature(("scalar",)),
    "scalar": Signature(("vector",), "scalar"),
    "sort": _VECTOR,
    "sort_desc": _VECTOR,
}

AGGREGATIONS = frozenset(
    (
        *("sum", "min", "max", "avg", "count", "group", "stddev", "stdvar"),
        *("topk", "bottomk", "quantile", "count_values", "limitk", "limit_ratio"),
    )
)
# Answered with the setting query.experimental_functions only, as Prometheus has a flag for them.
EXPERIMENTAL = frozenset(
    (
        *("mad_over_time", "ts_of_min_over_time", "ts_of_max_over_time", "ts_of_last_over_time"),
        *("ts_of_first_over_time", "sort_by_label", "sort_by_label_desc", "info", "limitk", "limit_ratio"),
    )
)
