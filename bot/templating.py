"""Jinja2 for runbooks, confined: only names, filters and loops that are listed here. The one door to jinja2.

Texts come out raw; whoever shows them escapes them. Templates see copies of plain dicts, lists, texts and numbers, and
read them by key only, so there is no Python object to climb out from.
"""

from __future__ import annotations

import json
import math
import re  # noqa: TID251 - fixed pattern, never a user's
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, NoReturn
from urllib.parse import quote, unquote

import jinja2
from jinja2 import nodes
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bot.complaints import did_you_mean
from bot.errors import TemplateError
from bot.humanize import humanize, humanize1024, humanize_duration, humanize_percentage, humanize_timestamp

MAX_SOURCE = 8 * 1024  # characters
MAX_OUTPUT = 3000
MAX_RANGE = 100
MAX_LOOPS = 20
MAX_LOOP_DEPTH = 2
MAX_DEPTH = 40
_FEW_KEYS = 8  # of more, a mistake is told only those that look alike

_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.If,
    nodes.For,
    nodes.Name,
    nodes.Const,
    nodes.List,
    nodes.Tuple,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Filter,
    nodes.Test,
    nodes.Call,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Neg,
    nodes.Pos,
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Mod,
    nodes.Concat,
    nodes.Keyword,
)
_TESTS = {"defined", "undefined", "none", "number", "string", "in", "eq", "ne", "lt", "le", "gt", "ge", "odd", "even"}
_OF_JINJA = {"abs", "capitalize", "default", "d", "first", "float", "int", "last", "length", "lower", "sort"}
_OF_JINJA |= {"string", "title", "trim", "upper"}
_LOOP = {"index", "index0", "first", "last", "length"}
Target = Literal["text", "command", "query", "json", "form"]

_MISSING_SIGN = "⟨"
SOME_KEY = "…"  # in a path: a key that only rendering knows, as in agent.tools[alert.labels.tool]
_OPENING = re.compile(r"[(\[{]+")
_VALUES = re.compile(
    r"\{\{\s*([A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*){0,7})((?:\s*\|\s*[A-Za-z0-9]+){0,4})\s*\}\}", re.ASCII
)
# Names that mean something to Jinja2.
_RESERVED = {"true", "false", "none", "True", "False", "None", "not", "in", "is", "and", "or", "if", "else"}
_RESERVED |= {"range", "self", "loop", "super", "caller"}
# Filters that take nothing but the value, and those of ours that also do well without more.
_ALONE = {"ago", "duration", "humanize", "humanize1024", "humanizeDuration", "humanizePercentage", "humanizeTimestamp"}
_ALONE |= {
    "utc",
    "capitalize",
    "items",
    "join",
    "lower",
    "round",
    "string",
    "title",
    "trim",
    "truncate",
    "upper",
    "urlencode",
}


class _Record(dict[str, Any]):
    """A dict that knows its own path, so that a missing key can be named in full."""

    def __init__(self, path: str, items: Mapping[str, Any]) -> None:
        self.path = path
        super().__init__(
            (str(key), _copied(f"{path}.{key}" if path else str(key), value)) for key, value in items.items()
        )


class AnyKey(dict[str, Any]):
    """For checking a template before there is an alert: every key is there, those not given with `value`."""

    def __init__(self, given: Mapping[str, Any] | None = None, value: Any = "1") -> None:
        super().__init__(given or {})
        self.value = value


class _AnyRecord(_Record):
    def __init__(self, path: str, items: AnyKey) -> None:
        super().__init__(path, items)
        self.value = _copied(f"{path}.{SOME_KEY}", items.value)


def copied(context: Mapping[str, Any]) -> dict[str, Any]:
    """What templates are to see, copied once: for many templates on the same context. Not to be changed afterwards."""
    return context if isinstance(context, _Record) else _Record("", context)


class _Missing(jinja2.ChainableUndefined):
    """What is not there shows as `⟨missing agent.repo⟩` and is false; the page goes out all the same."""

    def __str__(self) -> str:
        return f"{_MISSING_SIGN}missing {self._undefined_name}⟩"


@dataclass(frozen=True)
class Text:
    """A template that passed every check of form."""

    source: str
    names: frozenset[str]
    paths: tuple[tuple[str, ...], ...]  # every `a.b.c` it reads from the context
    _template: jinja2.Template | _Simple

    def render(self, context: Mapping[str, Any]) -> str:
        """Cut at MAX_OUTPUT. Raises TemplateError where a value has the wrong type."""
        text, over = self._run(context)
        return text[: MAX_OUTPUT - 1] + "…" if over else text

    def check(self, context: Mapping[str, Any]) -> str:
        """Raises TemplateError for what the sample context does not have, in any branch, and for too long a text."""
        record = copied(context)
        for path in self.paths:
            _require(record, path)
        return self._whole(record)

    def exact(self, context: Mapping[str, Any]) -> str:
        """For what a machine obeys: raises TemplateError where a value is missing, and for too long a text."""
        text = self._whole(context)
        for sign in (_MISSING_SIGN, quote(_MISSING_SIGN)):  # the words after it may have gone through a filter
            if sign in text:
                raise TemplateError(f"a value is missing: {unquote(text[text.index(sign) :][:80])}")
        return text

    def _whole(self, context: Mapping[str, Any]) -> str:
        text, over = self._run(context)
        if over:
            raise TemplateError(f"renders to more than {MAX_OUTPUT} characters")
        return text

    def _run(self, context: Mapping[str, Any]) -> tuple[str, bool]:
        record = copied(context)
        parts: list[str] = []
        size = 0
        try:
            for part in self._template.generate(record):
                parts.append(part)
                size += len(part)
                if size > MAX_OUTPUT:
                    return "".join(parts), True
        except TemplateError:
            raise
        except (jinja2.TemplateError, ArithmeticError, TypeError, ValueError, RecursionError) as error:
            raise TemplateError(str(error) or type(error).__name__) from None
        return "".join(parts), False


@lru_cache(maxsize=4096)
def parse(source: str, into: Target = "text") -> Text:
    """Raises TemplateError, with the line where it can be told, for what is not Jinja2 or not allowed here.

    `into` says where values land: in a command they are quoted for the shell, in a query escaped for a PromQL string,
    in JSON for one of its strings, in a form percent-encoded.
    """
    environment = _ENVIRONMENTS[into]
    if len(source) > MAX_SOURCE:
        raise TemplateError(f"template is longer than {MAX_SOURCE} characters")
    if any(len(run) > MAX_DEPTH for run in _OPENING.findall(source)):
        raise TemplateError(f"nested deeper than {MAX_DEPTH}")
    simple = _simple(source, environment)
    if simple is not None:
        return Text(source, frozenset(path[0] for path, _ in simple.values), simple.prefixes(), simple)
    return _compiled(source, environment)


def _compiled(source: str, environment: _Environment) -> Text:
    try:
        tree = environment.parse(source)
        names, paths = _checked(tree)
        code = environment.compile(tree)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(error.message or "does not parse", _offset(source, error.lineno)) from None
    except (RecursionError, SyntaxError, MemoryError):
        raise TemplateError("nested too deeply") from None
    return Text(source, names, paths, jinja2.Template.from_code(environment, code, {"range": _bounded_range}))


@dataclass(frozen=True)
class _Simple:
    """A text with nothing but `{{ a.b }}` and `{{ a.b | filter }}` in it, as most are. Renders as Jinja2 would, in a
    tenth of the time that it takes to compile it. `texts` stand around the `values`: paths and names of filters."""

    texts: tuple[str, ...]
    values: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    environment: _Environment

    def generate(self, context: Mapping[str, Any]) -> Iterator[str]:
        yield self.texts[0]
        for (path, filters), text in zip(self.values, self.texts[1:], strict=True):
            value = context[path[0]] if path[0] in context else self.environment.undefined(name=path[0])
            for name in path[1:]:
                value = self.environment.getattr(value, name)
            for name in filters:
                value = _ago(context, value) if name == "ago" else self.environment.filters[name](value)
            yield str(self.environment.printed(value))
            yield text

    def prefixes(self) -> tuple[tuple[str, ...], ...]:
        """Each path and what leads to it, in the order in which the tree of a compiled one is walked."""
        paths = [path for path, _ in reversed(self.values)]
        return tuple(dict.fromkeys(path[:length] for path in paths for length in range(len(path), 0, -1)))


def _simple(source: str, environment: _Environment) -> _Simple | None:
    if "\r" in source or "{%" in source or "{#" in source:
        return None
    if "{{" not in source:
        return _Simple((source.removesuffix("\n"),), (), environment)
    parts = _VALUES.split(source.removesuffix("\n"))  # which Jinja2 drops, once
    values = tuple(
        (tuple(path.split(".")), tuple(filters.replace("|", " ").split()))
        for path, filters in zip(parts[1::3], parts[2::3], strict=True)
    )
    if any("{{" in part or part.endswith("{") for part in parts[::3]):
        return None
    if any(path[0] in _RESERVED or not _ALONE.issuperset(filters) for path, filters in values):
        return None
    return _Simple(tuple(parts[::3]), values, environment)


def _checked(tree: nodes.Template) -> tuple[frozenset[str], tuple[tuple[str, ...], ...]]:
    """Refuses what is not allowed; bounds every loop; gathers what is read from the context."""
    names: set[str] = set()
    paths: list[tuple[str, ...]] = []
    loops = 0
    stack = [_Visit(tree, 0, 0, frozenset({"range"}), optional=False)]
    while stack:
        visit = stack.pop()
        node = visit.node
        if visit.depth > MAX_DEPTH:
            _refuse(f"nested deeper than {MAX_DEPTH}", node)
        _check_node(node)
        below = replace(visit, depth=visit.depth + 1, optional=_keeps_optional(visit))
        if isinstance(node, nodes.For):
            loops += 1
            if loops > MAX_LOOPS or visit.loops == MAX_LOOP_DEPTH:
                _refuse(f"more than {MAX_LOOPS} loops, or loops more than {MAX_LOOP_DEPTH} deep", node)
            bound = {name.name for name in node.target.find_all(nodes.Name)}
            bound |= {node.target.name} if isinstance(node.target, nodes.Name) else set()
            below = replace(below, loops=visit.loops + 1, local=visit.local | bound | {"loop"})
            stack.append(replace(visit, node=node.iter, depth=visit.depth + 1))
            stack += [replace(below, node=child) for child in node.iter_child_nodes(exclude=("iter",))]
            node.iter = nodes.Filter(node.iter, "_each", [], [], None, None, lineno=node.lineno)
            continue
        path = _path(node)
        if path and path[0] not in visit.local:
            names.add(path[0])
            if not visit.optional:
                paths.append(path)
        stack += [replace(below, node=child) for child in node.iter_child_nodes()]
    return frozenset(names), tuple(dict.fromkeys(paths))


@dataclass(frozen=True)
class _Visit:
    """A node on the way down. `optional`: it stands before `default` or `is defined`, so it may be missing."""

    node: nodes.Node
    depth: int
    loops: int
    local: frozenset[str]
    optional: bool


def _keeps_optional(visit: _Visit) -> bool:
    match visit.node:
        case nodes.Filter(name="default" | "d") | nodes.Test(name="defined" | "undefined"):
            return True
        case nodes.Getattr() | nodes.Getitem():
            return visit.optional
        case _:
            return False


def _check_node(node: nodes.Node) -> None:
    if not isinstance(node, _ALLOWED):
        _refuse(f"{_spoken(node)} is not allowed in runbooks", node)
    match node:
        case nodes.Filter() if node.name not in _FILTERS:
            _refuse(f'there is no filter "{node.name}"', node)
        case nodes.Test() if node.name not in _TESTS:
            _refuse(f'there is no test "{node.name}"', node)
        case nodes.Call() if not (isinstance(node.node, nodes.Name) and node.node.name == "range"):
            _refuse("nothing but range() can be called in runbooks", node)
        case nodes.Call() if node.dyn_args is not None or node.dyn_kwargs is not None:
            _refuse("* and ** are not allowed in runbooks", node)
        case nodes.For() if node.recursive:
            _refuse("recursive loops are not allowed in runbooks", node)
        case nodes.Filter() | nodes.Test() if node.dyn_args is not None or node.dyn_kwargs is not None:
            _refuse("* and ** are not allowed in runbooks", node)


_SPOKEN = {
    "Assign": "set",
    "AssignBlock": "set",
    "Macro": "macro",
    "CallBlock": "call",
    "FromImport": "import",
    "FilterBlock": "filter as a block",
    "Pow": "**",
    "Slice": "a slice",
    "Dict": "a literal dict",
}


def _spoken(node: nodes.Node) -> str:
    kind = type(node).__name__
    return _SPOKEN.get(kind, kind.lower())


def _path(node: nodes.Node) -> tuple[str, ...]:
    """`a.b["c"]` as ("a", "b", "c"), a key of `a[b]` as SOME_KEY; empty for anything else."""
    parts: list[str] = []
    while True:
        match node:
            case nodes.Getattr():
                parts.append(node.attr)
                node = node.node
            case nodes.Getitem(arg=nodes.Const(value=str() as key)):
                parts.append(key)
                node = node.node
            case nodes.Getitem(arg=nodes.Name() | nodes.Getattr() | nodes.Getitem()):
                parts.append(SOME_KEY)
                node = node.node
            case nodes.Name(ctx="load"):
                return (node.name, *reversed(parts))
            case _:
                return ()


def _require(record: dict[str, Any], path: tuple[str, ...]) -> None:
    value: Any = record
    for depth, name in enumerate(path):
        if isinstance(value, _AnyRecord) and not isinstance(value.value, str):
            value = value.get(name, value.value)
            continue
        if isinstance(value, _AnyRecord) or name == SOME_KEY:
            return
        if not isinstance(value, dict) or name not in value:
            hint = _hint(name, value) if isinstance(value, dict) and value else ""
            raise TemplateError(f'"{".".join(path[: depth + 1])}" is not known{hint}')
        value = value[name]


def _hint(name: str, known: dict[str, Any]) -> str:
    near = did_you_mean(name, known) if len(known) > _FEW_KEYS else ""
    return f"; {near}" if near else f"; there is {', '.join(sorted(known))}"


def _copied(path: str, value: Any) -> Any:
    match value:
        case _Record():
            return value
        case AnyKey():
            return _AnyRecord(path, value)
        case Mapping():
            return _Record(path, value)
        case str() | int() | float() | None:
            return value
        case list() | tuple():
            return [_copied(f"{path}[{index}]", item) for index, item in enumerate(value[:MAX_RANGE])]
        case _:
            raise TypeError(f"{path}: a template cannot see a {type(value).__name__}")


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
    printed: Callable[[Any], str]  # a value as it lands in the text

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self._item(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return self._item(obj, argument)

    def _item(self, obj: Any, key: Any) -> Any:
        match obj, key:
            case (_AnyRecord(), str()):
                return obj.get(key, obj.value)
            case (_Record(), str()) if key in obj:
                return obj[key]
            case (_Record(), _):
                return self.undefined(name=f"{obj.path}.{key}" if obj.path else str(key))
            case (list() | tuple(), int()) if -len(obj) <= key < len(obj):
                return obj[key]
            case (jinja2.Undefined(), _):
                return self.undefined(name=f"{obj._undefined_name}.{key}")
            case (LoopContext(), str()) if key in _LOOP:
                return getattr(obj, key)
            case _:
                return self.undefined(name=str(key))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        for value in (left, right):
            if isinstance(value, jinja2.Undefined):
                raise TemplateError(f"{value} cannot be reckoned with")
        texts = isinstance(left, str) and isinstance(right, str) and operator == "+"
        numbers = isinstance(left, int | float) and isinstance(right, int | float) and operator != "**"
        if not texts and not numbers:
            raise TemplateError(f'"{operator}" works on two numbers only')
        return super().call_binop(context, operator, left, right)


def _printed(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.15g}"
        case _:
            return str(value)


def _promql_escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'").replace("\n", "\\n")


def _bounded_range(*bounds: Any) -> range:
    if not all(isinstance(bound, int) for bound in bounds):
        raise TemplateError("range() takes whole numbers")
    found = range(*bounds)
    if len(found) > MAX_RANGE:
        raise TemplateError(f"range() gives more than {MAX_RANGE} numbers")
    return found


def _number(function: Callable[[float], str]) -> Callable[[Any], Any]:
    def apply(value: Any) -> Any:
        if isinstance(value, jinja2.Undefined):
            return value
        try:
            return function(float(value))
        except (TypeError, ValueError):
            raise TemplateError(f'"{value}" is not a number') from None

    return apply


def short_duration(seconds: float) -> str:
    """The two largest units: `6m`, `1h 5m`, `2d 3h`, `40s`."""
    if not math.isfinite(seconds):
        return "NaN" if math.isnan(seconds) else f"{'+' if seconds > 0 else '-'}Inf"
    whole = int(abs(seconds))
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count}{unit}")
        elif parts:
            break
    return ("-" if seconds <= -1 else "") + " ".join(parts[:2]) if parts else "0s"


def _utc(seconds: float) -> str:
    """`2026-11-24 02:14 UTC`, as people write it into a search. Raises ValueError for what is no time."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, OSError) as error:
        raise ValueError(str(error)) from None


@jinja2.pass_context
def _ago(context: Context | Mapping[str, Any], value: Any) -> Any:
    now = context.get("now")
    if isinstance(value, jinja2.Undefined) or not isinstance(now, int | float):
        return value
    return _number(lambda at: f"{short_duration(now - at)} ago")(value)


def _urlencode(value: Any) -> Any:
    return value if isinstance(value, jinja2.Undefined) else quote(str(value), safe="")


def _join(value: Any, separator: str = "") -> str:
    if not isinstance(value, list | tuple | dict):
        raise TemplateError("join needs a list")
    return str(separator).join(str(item) for item in value)


def _replaced(value: Any, old: Any, new: Any) -> str:
    text, old, new = str(value), str(old), str(new)
    if not old or len(text) + text.count(old) * len(new) > MAX_SOURCE:
        raise TemplateError("replace makes the text too long, or replaces nothing")
    return text.replace(old, new)


def _rounded(value: Any, places: int = 0) -> Any:
    if isinstance(value, jinja2.Undefined):
        return value
    if not isinstance(value, int | float) or not 0 <= places <= 15:
        raise TemplateError("round takes a number, and 0 to 15 places")
    return round(float(value), places)


def _each(value: Any) -> Any:
    """Put around whatever a loop runs over: a text would be walked letter by letter."""
    if isinstance(value, jinja2.Undefined):
        return ()
    if not isinstance(value, list | tuple | dict | range):
        raise TemplateError("a loop runs over a list, labels or range()")
    return list(value)[:MAX_RANGE]


def _truncate(value: Any, length: int = 80) -> str:
    text = str(value)
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def _items(value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise TemplateError("items needs labels or the like")
    return sorted(value.items())


def _make_environment(guard: Callable[[str], str]) -> _Environment:
    def printed(value: Any) -> str:
        return guard(_printed(value))

    environment = _Environment(undefined=_Missing, autoescape=False, optimized=False, finalize=printed)
    environment.printed = printed
    environment.filters = {name: environment.filters[name] for name in _OF_JINJA} | {
        "humanize": _number(humanize),
        "humanize1024": _number(humanize1024),
        "humanizeDuration": _number(humanize_duration),
        "humanizePercentage": _number(humanize_percentage),
        "humanizeTimestamp": _number(humanize_timestamp),
        "utc": _number(_utc),
        "duration": _number(short_duration),
        "ago": _ago,
        "urlencode": _urlencode,
        "join": _join,
        "replace": _replaced,
        "round": _rounded,
        "_each": _each,
        "truncate": _truncate,
        "items": _items,
    }
    environment.tests = {name: environment.tests[name] for name in _TESTS}
    environment.globals = {}
    return environment


def _offset(source: str, line: int) -> int:
    return sum(len(text) for text in source.splitlines(keepends=True)[: line - 1])


def _refuse(message: str, node: nodes.Node) -> NoReturn:
    raise TemplateError(message if node.lineno == 1 else f"{message} (its line {node.lineno})")


_ENVIRONMENTS = {
    "text": _make_environment(str),
    "command": _make_environment(shlex.quote),
    "query": _make_environment(_promql_escaped),
    "json": _make_environment(lambda text: json.dumps(text, ensure_ascii=False)[1:-1]),
    "form": _make_environment(lambda text: quote(text, safe="")),
}
_FILTERS = frozenset(_ENVIRONMENTS["text"].filters) - {"_each"}
