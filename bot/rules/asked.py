"""The questions of one rule group whose samples are on an engine elsewhere, and the answers as far as they are there.

Rules ask as if the engine were here. What is not answered yet is noted, the rule stops and is left as it was; once the
answers have come it is evaluated again. So all questions of a group are under way at once, and no thread waits. What
the watcher itself writes is asked of the engine here, for nobody else knows it better.
"""

from __future__ import annotations

import re  # noqa: TID251 - a fixed pattern
from collections.abc import Iterable, Mapping, Sequence

from bot.errors import QueryError
from bot.incidents.drill import SERIES as DRILL_SERIES
from bot.labels import Labels
from bot.promql import written
from bot.promql.nodes import NAME, quoted
from bot.promql.parse import Expr, Selector, parse
from bot.promql.presence import agreeing
from bot.promql.value import Value, Vector
from bot.rules.alerting import Querier
from bot.rules.no_data import METRIC as NO_DATA

ENGINE_UP = "agentpager_engine_up"
FAILING = "agentpager_rule_failing"
REGISTRY = "agent_registry_"
ALERTS = ("ALERTS", "ALERTS_FOR_STATE")
WRITTEN_HERE = frozenset({ENGINE_UP, FAILING, NO_DATA, DRILL_SERIES, *ALERTS})

_LOOK_EVERY = 60.0  # seconds, for whether the engine has the registry
_MOST_VALUES, _MOST_TEXT = 16, 4000  # of a label, to be named in a question
_SPECIAL = re.compile(r"[^A-Za-z0-9_]")

Answer = Value | QueryError


class UnansweredError(Exception):
    """What was asked has no answer yet."""


def known_here(expr: Expr) -> bool:
    """Whether it reads only what the watcher writes itself, or no series at all."""
    return all(_here(selector.name) for selector in expr.selectors)


def only_here(expr: Expr) -> bool:
    """Whether no engine elsewhere has any of it, unless it keeps what it scrapes from us."""
    names = (selector.name for selector in expr.selectors)
    return all(_here(name) and name not in ALERTS for name in names)


def _here(name: str | None) -> bool:
    return name is not None and (name in WRITTEN_HERE or name.startswith(REGISTRY))


class Asked:
    """Implements Querier. Between `begin` and the end of a round every question is of the same instant. While
    `engine_down`, no rule is to blame for an answer that has not come."""

    def __init__(self, here: Querier) -> None:
        self.engine_down = False
        self._here = here
        self._answers: dict[str, Answer] = {}
        self._open: dict[str, None] = {}
        self._registered: dict[str, float] = {}  # name → when the engine was last seen to have it

    def begin(self) -> None:
        self._answers, self._open = {}, {}

    def taken(self) -> list[str]:
        """The questions without an answer, each once."""
        found, self._open = list(self._open), {}
        return found

    def learn(self, answers: Mapping[str, Answer]) -> None:
        self._answers.update(answers)

    # Implements Querier.

    def instant(self, expr: Expr, t: float) -> Value:
        """Raises QueryError, and UnansweredError."""
        if known_here(expr):
            return self._here.instant(expr, t)
        names = [name for name in _registry_names(expr) if not 0 <= t - self._registered.get(name, -1e9) < _LOOK_EVERY]
        found, *there = self._need([expr.text, *map(_any_of, names)])
        for name, some in zip(names, there, strict=True):
            self._look_for(name, some, t)
        return found

    def presences(self, expr: Expr, labels: Sequence[Labels], t: float) -> Sequence[Iterable[int]]:
        if known_here(expr):
            return self._here.presences(expr, labels, t)
        asked = {i: one for i, one in enumerate(expr.selectors) if not one.under_absent and not _here(one.name)}
        answers = self._need([projected(one, labels) for one in asked.values()])
        found: list[set[int]] = [set() for _ in labels]
        if len(asked) < len(expr.selectors):
            own = {i for i in range(len(expr.selectors)) if i not in asked}
            for place, seen in enumerate(self._here.presences(expr, labels, t)):
                found[place] |= own & set(seen)
        for index, answer in zip(asked, answers, strict=True):
            for place in agreeing(_vector(answer), labels):
                found[place].add(index)
        return found

    def _need(self, questions: Sequence[str]) -> list[Value]:
        """All of them are noted before it stops at the first one."""
        lacking = [question for question in questions if question not in self._answers]
        if lacking:
            self._open |= dict.fromkeys(lacking)
            raise UnansweredError
        found = [self._answers[question] for question in questions]
        for answer in found:
            if isinstance(answer, QueryError):
                raise answer
        return [answer for answer in found if not isinstance(answer, QueryError)]

    def _look_for(self, name: str, some: Value, t: float) -> None:
        if not len(_vector(some)) and len(_vector(self._here.instant(parse(name), t))):
            raise QueryError(
                f"{name} is not on the engine: let it scrape /metrics of agentpager (docs/external-engine.md)",
                "execution",
            )
        self._registered[name] = t


def _registry_names(expr: Expr) -> list[str]:
    names = (one.name for one in expr.selectors if not one.under_absent)
    return list(dict.fromkeys(name for name in names if name is not None and name.startswith(REGISTRY)))


def _any_of(name: str) -> str:
    return f"group({name})"


def _vector(value: Value) -> Vector:
    if not isinstance(value, Vector):
        raise QueryError("the engine does not answer with a vector", "execution")
    return value


# Questions ------------------------------------------------------------------------------------------------------------


def projected(selector: Selector, labels: Sequence[Labels]) -> str:
    """Which live series a selector has, told apart only as far as these label sets can tell them apart: there may be a
    hundred thousand, of which one label matters."""
    names = sorted({name for one in labels for name in one} - {NAME, "alertname"})
    text = written.selector(selector.node, [pin for name in names if (pin := _pin(name, labels))])
    return f"group by ({written.names(names)}) ({text})" if names else f"group({text})"


def _pin(name: str, labels: Sequence[Labels]) -> str:
    """A matcher for few values, else nothing. A series without the label agrees with every value of it, so it has to
    come too."""
    values = {one.get(name, "") for one in labels}
    if "" in values or len(values) > _MOST_VALUES or sum(map(len, values)) > _MOST_TEXT:
        return ""
    pattern = "|".join([*(_SPECIAL.sub(_escaped, value) for value in sorted(values)), ""])
    return f"{written.name(name)}=~{quoted(pattern)}"


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    return character if ord(character) >= 0x80 else f"\\{character}"
