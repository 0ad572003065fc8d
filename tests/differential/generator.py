"""Random well-typed queries over the made-up series: the whole grammar, leaning towards answers that are not empty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from .data import GRID_MS, SLOTS
from .query import Dual, Q, Question

SPAN_MS = GRID_MS * SLOTS
LABELS = {
    "c_total": ("job", "instance", "code"),
    "g": ("job", "instance"),
    "g2": ("job", "instance", "zone"),
    "level": ("job", "instance"),
    "owner": ("job", "team", "name"),
    "lat_bucket": ("job", "le"),
    "odd_bucket": ("job", "le"),
    "wild": ("kind", "job"),
    "alone": (),
    "g3": ("text", "job"),
}
MATCHERS = (
    'job="a"', 'job!="a"', 'job=~"a|b"', 'job!~"b.*"', 'job=""', 'job!=""', 'instance="1"', 'instance=~"[12]"',
    'code=~"5.."', 'code!~"2.+"', 'zone="x"', 'kind="1"', 'le="+Inf"', 'nope=""', 'nope!=""', 'job=~".*"',
    'instance!~"1|"', 'job=~"(?i:A)"', "instance='2'", "job=`b`", 'text=~"two.lines"',
)  # fmt: skip
UTF8 = ('{"größe.x y"}', '{"größe.x y","lab el"="ä"}', '{"größe.x y",job=~"a","lab el"!~"ä"}')
MATHS = (
    *("abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "deg", "rad"),
    *("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
)
CALENDAR = ("minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year")
OVER_TIME = (
    *("irate", "idelta", "changes", "resets", "deriv", "avg_over_time", "sum_over_time", "min_over_time"),
    *(
        "max_over_time",
        "count_over_time",
        "present_over_time",
        "last_over_time",
        "stddev_over_time",
        "stdvar_over_time",
    ),
    "absent_over_time",
)
EXTRAPOLATED = ("rate", "increase", "delta")
SIMPLE_AGGREGATIONS = ("sum", "min", "max", "avg", "count", "group", "stddev", "stdvar")
ARITHMETIC = ("+", "-", "*", "/", "%", "^", "atan2")
COMPARISONS = ("==", "!=", ">", "<", ">=", "<=")
SETS = ("and", "or", "unless")
NUMBERS = (
    *("0", "1", "2", "3", "0.5", "10", "100", "1e3", "-1", "-0.5", "NaN", "Inf", "-Inf", "0x1F", "1e-3", ".5", "-0"),
    *("1e300", "60", "7"),
)
QUANTILES = ("0.5", "0.9", "0.99", "0", "1", "0.25", "-1", "2", "NaN")
WINDOWS_MS = (5_000, 15_000, 60_000, 60_000, 300_000, 300_000, 600_000, 1_200_000)
_STEPS = 20  # of a subquery at most: more only take time
NAMES = ("job", "instance", "code", "zone", "team", "nope", "__name__", "le")


@dataclass(frozen=True)
class Speech:
    """What may be said to this peer. `sharp`: any instant, else only multiples of half a slot."""

    old: bool = False
    utf8: bool = True
    experimental: bool = True
    newest: bool = True


def q(kind: str, *parts: str | Dual | Q, tags: str = "", plain: tuple[Q, ...] = ()) -> Q:
    return Q(kind, parts, frozenset(tags.split()), plain)


def spelled(ms: int) -> str:
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if ms and ms % size == 0:
            return f"{ms // size}{unit}"
    return f"{ms}ms"


class Generator:
    def __init__(self, seed: str, speech: Speech) -> None:
        self.chance = Random(seed)
        self.speech = speech

    def question(self) -> Question:
        chance = self.chance
        depth = chance.choice([1, 1, 2, 2, 2, 3])
        start = self.instant()
        if chance.random() < 0.85:
            return Question(self.top(depth), start)
        step = chance.choice([5_000, 15_000, 20_000, 60_000, 125_000] + ([7_777] if not self.speech.old else []))
        return Question(
            self.vector_or_scalar(depth), start, start + step * chance.randrange(0, 8) + chance.choice([0, 2500]), step
        )

    def instant(self) -> int:
        chance = self.chance
        if not self.speech.old and chance.random() < 0.2:
            return chance.randrange(-600_000, SPAN_MS + 600_000)
        at = chance.randrange(-60_000, SPAN_MS + 400_000, GRID_MS // 2)
        return at - at % GRID_MS if chance.random() < 0.5 else at

    def top(self, depth: int) -> Q:
        roll = self.chance.random()
        if roll < 0.05:
            return self.matrix(depth, extrapolated=False)
        if roll < 0.1:
            return self.ordered(depth)
        if roll < 0.11:
            return q("string", self.chance.choice(['"text"', "'a\\tb'", "`raw\\`", '"\\u00e4\\x41\\101"']))
        if roll < 0.13:
            return self.ill_typed(depth)
        return self.vector_or_scalar(depth)

    def ordered(self, depth: int) -> Q:
        chance = self.chance
        roll = chance.random()
        if roll < 0.3 and self.speech.experimental:
            name = chance.choice(["sort_by_label", "sort_by_label_desc"])
            labels = ", ".join(f'"{label}"' for label in chance.sample(NAMES, chance.randrange(1, 3)))
            return q("vector", f"{name}(", self.vector(depth - 1), f", {labels})", tags="by_label")
        if roll < 0.6:
            return q(
                "vector",
                f"{chance.choice(['topk', 'bottomk'])}({chance.choice('1234')}, ",
                self.distinct(),
                ")",
                tags="topk ordered",
            )
        return q("vector", f"{chance.choice(['sort', 'sort_desc'])}(", self.vector(depth - 1), ")", tags="ordered")

    def ill_typed(self, depth: int) -> Q:
        vector, scalar = self.vector(depth - 1), self.scalar(1)
        return self.chance.choice(
            [
                q("vector", "rate(", vector, ")"),
                q("vector", "sum(", scalar, ")"),
                q("vector", vector, " and ", scalar),
                q("vector", scalar, " == ", scalar),
                q("vector", "vector(", vector, ")"),
                q("vector", "abs(", self.matrix(1, extrapolated=False), ")"),
                q("vector", "nope(", vector, ")"),
                q("vector", "histogram_quantile(", vector, ")"),
                q("vector", vector, ' + "x"'),
                q("vector", vector, " + bool ", scalar),
                q("vector", scalar, " + on(job) ", scalar),
                q("vector", vector, " and on(job) group_left() ", vector),
                q("vector", vector, " * on(job) group_left(job) ", vector),
                q("vector", vector, Dual("[5m]", "[299999ms]")),
                q("vector", "(", vector, ") offset 5m"),
                q("vector", '{job=""}'),
                q("vector", '{__name__="g", __name__="c_total"}'),
                q("vector", 'g{__name__="g"}'),
                q("vector", 'label_replace(', vector, ', "x", "$1", "job", "(a")'),
                q("vector", 'label_replace(', vector, ', "", "$1", "job", "a")'),
                q("vector", "g{job=~\"(\"}"),
                q("vector", "sum by (job", vector, ")"),
                q("vector", "topk(", vector, ", ", vector, ")"),
                q("vector", "count_values(", scalar, ", ", vector, ")"),
                q("vector", 'count_values("", ', vector, ")"),
                q("vector", 'quantile("x", ', vector, ")"),
                q("vector", "g offset 5m offset 5m"),
                q("vector", "g @ 5 @ 6"),
                q("vector", "g @ Inf"),
                q("vector", "rate(g[5m:0s])"),
                q("vector", "g[0s]"),
                q("vector", "(", vector, "))"),
            ]
        )  # fmt: skip

    def vector_or_scalar(self, depth: int) -> Q:
        return self.scalar(depth) if self.chance.random() < 0.06 else self.vector(depth)

    # Vectors ----------------------------------------------------------------------------------------------------------

    def vector(self, depth: int) -> Q:
        if depth <= 0:
            return self.selector()
        makers: list[tuple[int, Callable[[int], Q]]] = [
            (4, lambda _: self.selector()),
            (16, self.over_range),
            (14, self.aggregation),
            (18, self.binary),
            (5, self.maths),
            (3, self.bounded),
            (3, self.relabelled),
            (3, self.presence),
            (3, self.histogram),
            (2, self.small),
            (2, self.ranked),
        ]
        make = self.chance.choices([make for _, make in makers], [weight for weight, _ in makers])[0]
        return make(depth - 1)

    def selector(self, name: str | None = None) -> Q:
        chance = self.chance
        if name is None and self.speech.utf8 and chance.random() < 0.03:
            return q("vector", chance.choice(UTF8), self.moved())
        if name is None and chance.random() < 0.03:
            return q(
                "vector",
                chance.choice(
                    ['{__name__=~"g.?"}', '{job="a",__name__!~"c.*|wild|.*_bucket"}', '{zone="x"}', "{job='b'}"]
                ),
                self.moved(),
            )
        if name is None and chance.random() < 0.02:
            return q("vector", "missing", self.moved())
        picked = name or chance.choice(
            ["c_total", "c_total", "g", "g", "g2", "level", "owner", "lat_bucket", "wild", "alone", "g3", "odd_bucket"]
        )
        matchers = chance.sample(MATCHERS, chance.choice([0, 0, 1, 1, 2])) if picked != "alone" else []
        matchers.sort(key=lambda matcher: "!" in matcher)  # "absent-order"
        body = "{" + ",".join(matchers) + "}" if matchers else ""
        plain = (q("vector", picked),)
        return q("vector", picked, body, self.moved(), plain=plain)

    def moved(self) -> str:
        """Offset and @, in either order."""
        chance = self.chance
        offset = at = ""
        if chance.random() < 0.12:
            sign = chance.choice(["", "", "-"])
            offset = f" offset {sign}{spelled(chance.choice([5_000, 60_000, 300_000, 2_500, 600_000]))}"
        if chance.random() < 0.1:
            at = " @ " + chance.choice(["start()", "end()", "600", "602.5", "900", "1200", "1450"])
        return offset + at if chance.random() < 0.5 else at + offset

    def window(self, *, extrapolated: bool, least: int = 0, most: int = WINDOWS_MS[-1]) -> str | Dual:
        ms = self.chance.choice([window for window in WINDOWS_MS if least <= window <= most])
        if not self.speech.old:
            if self.chance.random() < 0.05:
                return str(ms // 1000)  # a bare number of seconds
            return spelled(ms if self.chance.random() < 0.9 else ms + 1_500)
        if extrapolated:
            return spelled(ms + 1_500)
        return Dual(spelled(ms), f"{ms - 1}ms")

    def matrix(self, depth: int, *, extrapolated: bool, of: str | None = None) -> Q:
        chance = self.chance
        window = self.window(extrapolated=extrapolated)
        if depth > 0 and chance.random() < 0.25:
            steps = {"": 60_000, "5s": 5_000, "15s": 15_000, "1m": 60_000, "2m": 120_000}
            if not self.speech.old:
                steps |= {"7s": 7_000, "1500ms": 1_500}
            step = chance.choice(list(steps))
            # An older one goes one step too far when the window has none: "short-subquery".
            least = steps[step] if self.speech.old else 0
            window = self.window(extrapolated=extrapolated, least=least, most=max(least, _STEPS * steps[step]))
            inner = self.vector(depth - 1)
            if chance.random() < 0.1:
                inner = q("vector", "vector(", self.scalar(1), ")")
            return q(
                "matrix",
                "(",
                inner,
                ")[",
                window,
                f":{step}]",
                self.moved(),
                plain=(q("matrix", "g[", window, "]"),),
                tags="subquery",
            )
        base = self.selector(of)
        name, *tail = base.parts
        if len(tail) == 1:
            return q("matrix", name, "[", window, "]", *tail)
        return q("matrix", name, tail[0], "[", window, "]", *tail[1:], plain=(q("matrix", name, "[", window, "]"),))

    def over_range(self, depth: int) -> Q:
        chance = self.chance
        old = self.speech.old
        roll = chance.random()
        if roll < 0.35:
            name = chance.choice(EXTRAPOLATED)
            counted = name != "delta"
            # What an older one makes of rates of anything else is a known difference: "low-reset".
            of = "c_total" if counted and (old or chance.random() < 0.8) else None
            inner = self.matrix(0 if old and counted else depth, extrapolated=True, of=of)
            return q("vector", f"{name}(", inner, ")", tags=name)
        if roll < 0.42:
            inner = self.matrix(depth, extrapolated=False)
            return q("vector", "quantile_over_time(", self.fraction(), ", ", inner, ")", tags="quantile_over_time")
        if roll < 0.47:
            return q(
                "vector",
                "predict_linear(",
                self.matrix(depth, extrapolated=False),
                ", ",
                self.scalar(0),
                ")",
                tags="predict_linear",
            )
        if roll < 0.51:
            inner = self.matrix(depth, extrapolated=False)
            if not old and not self.speech.experimental:
                return q("vector", "deriv(", inner, ")")
            name = Dual("double_exponential_smoothing", "holt_winters")
            factors = chance.choice([("0.5", "0.5"), ("0.1", "0.9"), ("0", "0.5"), ("0.3", "1")])
            return q("vector", name, "(", inner, f", {factors[0]}, {factors[1]})", tags="smoothing")
        if roll < 0.55 and self.speech.experimental:
            inner = self.matrix(depth, extrapolated=False)
            name = chance.choice(
                ["mad_over_time", "ts_of_min_over_time", "ts_of_max_over_time", "ts_of_last_over_time"]
            )
            return q("vector", f"{name}(", inner, ")", tags=name)
        name = chance.choice(OVER_TIME)
        return q("vector", f"{name}(", self.matrix(depth, extrapolated=False), ")", tags=name)

    def fraction(self) -> Q:
        if self.chance.random() < 0.8:
            return q("scalar", self.chance.choice(QUANTILES))
        return self.scalar(1)

    def grouping(self) -> str:
        chance = self.chance
        roll = chance.random()
        if roll < 0.25:
            return ""
        names = ", ".join(chance.sample(NAMES, chance.choice([0, 1, 1, 2])))
        return f" {'by' if roll < 0.65 else 'without'} ({names}) "

    def aggregation(self, depth: int) -> Q:
        chance = self.chance
        inner, grouping = self.vector(depth), self.grouping()
        roll = chance.random()
        if roll < 0.7:
            name = chance.choice(SIMPLE_AGGREGATIONS)
            if chance.random() < 0.2:
                return q("vector", f"{name}(", inner, f"){grouping}", tags=name)
            return q("vector", f"{name}{grouping}(", inner, ")", tags=name)
        if roll < 0.82:
            return q("vector", f"quantile{grouping}(", self.fraction(), ", ", inner, ")", tags="quantile")
        if roll < 0.92:
            label = chance.choice(["v", "v", "job", "le"])
            return q("vector", f'count_values{grouping}("{label}", ', inner, ")", tags="count_values")
        if self.speech.experimental and roll < 0.97:
            ratio = chance.choice(["0.5", "-0.5", "0", "1", "-1", "0.3", "2", "-3", "NaN"])
            return q("vector", f"limit_ratio{grouping}({ratio}, ", inner, ")", tags="limit_ratio")
        if self.speech.experimental:
            return q(
                "vector",
                f"count{grouping}(limitk{grouping}({chance.choice(['0', '1', '2', '3', '100', '-1'])}, ",
                inner,
                "))",
                tags="limitk",
            )
        return q("vector", f"group{grouping}(", inner, ")", tags="group")

    def ranked(self, _depth: int) -> Q:
        chance = self.chance
        k = chance.choice(
            ["1", "2", "3", "5", "0", "-1", "2.9", *(["NaN", "1e30", "-Inf"] if chance.random() < 0.1 else [])]
        )
        name = self.chance.choice(["topk", "bottomk"])
        return q("vector", f"{name}{self.grouping()}({k}, ", self.distinct(), ")", tags="topk")

    def distinct(self) -> Q:
        """Values that hardly ever tie: which of equals topk takes depends on the order of storage."""
        inner = self.selector(self.chance.choice(["g", "g2"]))
        if self.chance.random() < 0.5:
            return inner
        return q(
            "vector", "avg_over_time(", q("matrix", inner.parts[0], "[", self.window(extrapolated=False), "]"), ")"
        )

    # Binary operators -------------------------------------------------------------------------------------------------

    def binary(self, depth: int) -> Q:
        chance = self.chance
        roll = chance.random()
        if roll < 0.3:
            return self.with_scalar(depth)
        if roll < 0.5:
            return self.of_sets(depth)
        if roll < 0.6:
            return self.one_sided(depth)
        if roll < 0.7:
            return self.itself(depth)
        op = chance.choice([*ARITHMETIC, *ARITHMETIC, *COMPARISONS])
        return self.combined(self.vector(depth), op, self.matching(), self.vector(depth))

    def combined(self, left: Q, op: str, matching: str, right: Q) -> Q:
        boolean = " bool" if op in COMPARISONS and self.chance.random() < 0.4 else ""
        if op == "atan2":
            # An older one keeps the metric name here: "atan2-name".
            return q(
                "vector", Dual("", "(("), "(", left, f") {op}{matching} (", right, ")", Dual("", ") * 1)"), tags="atan2"
            )
        return q("vector", "(", left, f") {op}{boolean}{matching} (", right, ")", tags=f"binary {op}")

    def matching(self) -> str:
        chance = self.chance
        roll = chance.random()
        if roll < 0.3:
            return ""
        names = chance.sample(NAMES, chance.choice([0, 1, 1, 2, 2]))
        return f" {'on' if roll < 0.65 else 'ignoring'}({', '.join(names)})"

    def with_scalar(self, depth: int) -> Q:
        op = self.chance.choice([*ARITHMETIC, *COMPARISONS])
        vector, scalar = self.vector(depth), self.scalar(min(depth, 1))
        left, right = (vector, scalar) if self.chance.random() < 0.7 else (scalar, vector)
        return self.combined(left, op, "", right)

    def of_sets(self, depth: int) -> Q:
        op = self.chance.choice(SETS)
        return q("vector", "(", self.vector(depth), f") {op}{self.matching()} (", self.vector(depth), ")", tags=op)

    def one_sided(self, depth: int) -> Q:
        """Many to one, with a right side that has one for each job."""
        chance = self.chance
        names = chance.choice([["job"], ["job"], ["instance"], ["job", "instance"]])
        joined = ", ".join(names)
        one = q("vector", f"{chance.choice(['sum', 'max', 'count'])} by ({joined}) (", self.vector(depth), ")")
        if chance.random() < 0.3:
            one = q("vector", "owner")
        many = self.vector(depth)
        extra = ", ".join(chance.sample(["team", "zone", "nope", "code", "name"], chance.choice([0, 1, 2])))
        op = chance.choice([*ARITHMETIC, *COMPARISONS])
        if chance.random() < 0.5:
            return self.combined(many, op, f" on({joined}) group_left({extra})", one)
        return self.combined(one, op, f" on({joined}) group_right({extra})", many)

    def itself(self, depth: int) -> Q:
        """Both sides from one vector, so that labels match."""
        inner = self.vector(depth)
        op = self.chance.choice([*ARITHMETIC, *COMPARISONS, *SETS])
        if op in SETS:
            return q("vector", "(", inner, f") {op} (", inner, " > 2)", tags=op)
        return self.combined(inner, op, "", q("vector", "abs(", inner, ")"))

    # Functions over vectors -------------------------------------------------------------------------------------------

    def maths(self, depth: int) -> Q:
        chance = self.chance
        if chance.random() < 0.2:
            scale = chance.choice(["", " * 86400", " * 1e6", " * -1e5"])
            return q("vector", f"{chance.choice(CALENDAR)}((", self.vector(depth), f"){scale})")
        name = chance.choice(MATHS)
        return q("vector", f"{name}(", self.vector(depth), ")", tags=name)

    def bounded(self, depth: int) -> Q:
        inner = self.vector(depth)
        match self.chance.randrange(5):
            case 0:
                return q("vector", "clamp(", inner, ", ", self.scalar(0), ", ", self.scalar(0), ")")
            case 1:
                return q("vector", "clamp_min(", inner, ", ", self.scalar(0), ")")
            case 2:
                return q("vector", "clamp_max(", inner, ", ", self.scalar(0), ")")
            case 3:
                return q("vector", "round(", inner, ")")
        return q("vector", "round(", inner, ", ", self.scalar(0), ")")

    def relabelled(self, depth: int) -> Q:
        chance = self.chance
        inner = self.vector(depth)
        if chance.random() < 0.35:
            sources = "".join(f', "{name}"' for name in chance.sample(NAMES, chance.randrange(0, 4)))
            target = chance.choice(["new", "job", "__name__", "instance"])
            return q("vector", "label_join(", inner, f', "{target}", "{chance.choice(["-", "", "é"])}"{sources})')
        target = chance.choice(["new", "job", "__name__", "code"])
        put = chance.choice(["$1", "x-$1", "${1}y", "", "$2", "$name", "$$1", "$1x", "fixed", "$0"])
        pattern = chance.choice(["(.*)", "(a|b)", "(?P<name>.)", "", ".+", "(.)(.)?", "b"])
        source = chance.choice(["job", "instance", "nope", "__name__", "text"])
        return q("vector", "label_replace(", inner, f', "{target}", "{put}", "{source}", "{pattern}")')

    def presence(self, depth: int) -> Q:
        inner = self.vector(depth)
        if self.chance.random() < 0.5:
            inner = self.selector(self.chance.choice(["missing", "g", "level"]))
        if self.chance.random() < 0.2:
            matchers = sorted(self.chance.sample(MATCHERS, 2), key=lambda one: "!" in one)
            return q("vector", "absent_over_time(missing{", ",".join(matchers), "}[5m])")
        return q("vector", "absent(", inner, ")")

    def histogram(self, depth: int) -> Q:
        chance = self.chance
        name = chance.choice(["lat_bucket", "lat_bucket", "odd_bucket"])
        inner = self.selector(name)
        if chance.random() < 0.6:
            of = self.matrix(0, extrapolated=True, of=name)
            inner = q("vector", "rate(", of, ")", tags="rate", plain=(q("vector", name),))
        if chance.random() < 0.4:
            inner = q("vector", "sum by (le) (", inner, ")")
        if chance.random() < 0.1:
            inner = self.vector(depth)
        if self.speech.newest and chance.random() < 0.3:
            return q(
                "vector",
                "histogram_fraction(",
                self.scalar(0),
                ", ",
                self.scalar(0),
                ", ",
                inner,
                ")",
                tags="histogram_fraction",
            )
        return q("vector", "histogram_quantile(", self.fraction(), ", ", inner, ")", tags="histogram_quantile")

    def small(self, depth: int) -> Q:
        chance = self.chance
        match chance.randrange(6):
            case 0:
                return q(
                    "vector",
                    "timestamp(",
                    self.selector() if chance.random() < 0.7 else self.vector(depth),
                    ")",
                    tags="timestamp",
                )
            case 1:
                return q("vector", "vector(", self.scalar(1), ")")
            case 2:
                return q("vector", f"{chance.choice(CALENDAR)}()")
            case 3:
                return q("vector", "-(", self.vector(depth), ")")
            case 4:
                return q("vector", f"{chance.choice(['sort', 'sort_desc'])}(", self.vector(depth), ")")
        return q("vector", "((", self.vector(depth), "))")

    # Scalars ----------------------------------------------------------------------------------------------------------

    def scalar(self, depth: int) -> Q:
        chance = self.chance
        roll = chance.random()
        one = (q("scalar", "1"),)
        if depth <= 0 or roll < 0.5:
            if not self.speech.old and chance.random() < 0.03:
                return q("scalar", chance.choice(["5m", "1h30m", "1_000"]), plain=one)
            return q("scalar", chance.choice(NUMBERS), plain=one)
        if roll < 0.6:
            return q("scalar", "time()", plain=one)
        if roll < 0.65:
            return q("scalar", "pi()", plain=one)
        if roll < 0.8:
            return q("scalar", "scalar(", self.vector(depth - 1), ")", plain=one)
        if roll < 0.85:
            return q("scalar", "-(", self.scalar(depth - 1), ")", plain=one)
        op = chance.choice([*ARITHMETIC, "== bool", "> bool", "<= bool", "!= bool"])
        return q("scalar", "(", self.scalar(depth - 1), f") {op} (", self.scalar(depth - 1), ")", plain=one)
