"""Says in a person's words what is wrong with a value that a model refused, and which names or values it would take.

Gets models, plain data and pydantic's errors; knows no file and no position (yamldoc.py adds those).
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

Path = tuple[str | int, ...]
MAX_COMPLAINTS = 500  # about one mapping: nobody reads more, and a hostile file could hold a million


@dataclass(frozen=True)
class Complaint:
    """`path` leads to the value; with `at_key` the finger points at its key instead."""

    path: Path
    code: str
    message: str
    hint: str = ""
    at_key: bool = False


@dataclass(frozen=True)
class Shape:
    """What a place in the data may hold: an annotation, and the field it came from."""

    annotation: Any
    field: FieldInfo | None = None


def complaints(model: type[BaseModel], data: Any, errors: Sequence[ErrorDetails]) -> list[Complaint]:
    """One complaint a mistake: of several refusals of one value only the first is told."""
    found: dict[Path, Complaint] = {}
    meant: set[Path] = set()
    missing: list[Path] = []
    for error in errors[:MAX_COMPLAINTS]:
        path, shapes, value = _follow(model, data, error)
        if error["type"] == "missing":
            missing.append((*path, str(error["loc"][-1])))
            continue
        if error["type"] == "too_short" and any(_is_inside(other, error) for other in errors):
            continue  # pydantic counts only the entries that are right; the wrong ones have their own complaint
        complaint = _complaint(error, path, shapes, value)
        if error["type"] == "extra_forbidden":
            near = nearest(str(path[-1]), _keys(shapes))
            if near:
                meant.add((*path[:-1], near))
        found.setdefault(path, complaint)
    for path in missing:
        if path not in meant:  # a misspelt key is one mistake, not two
            text = f'missing key "{path[-1]}" in {where(path[:-1])}'
            found.setdefault(path, Complaint(path[:-1], "missing-key", text))
    return list(found.values())


def _is_inside(error: ErrorDetails, around: ErrorDetails) -> bool:
    return len(error["loc"]) > len(around["loc"]) and error["loc"][: len(around["loc"])] == around["loc"]


def where(path: Path) -> str:
    """`agents.refund-agent.steps[2]`; the document itself is "the file"."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out or "the file"


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that `name` was most likely meant to be."""
    by_lower = {candidate.lower(): candidate for candidate in sorted(names, reverse=True)}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The hint for a name that does not exist: the nearest one, else what there is to choose from."""
    known = sorted(names)
    near = nearest(name, known)
    if near is not None:
        return f'did you mean "{near}"?'
    if not known:
        return ""
    listed = ", ".join(known[:8])
    return f"known: {listed}, …" if len(known) > 8 else f"known: {listed}"


def quote(value: Any) -> str:
    """The value as the user wrote it, one line, cut, with invisible characters made visible."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = str(value)
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:81])
    return f'"{shown[:80]}…"' if len(text) > 80 else f'"{shown}"'


def shapes_at(model: type[BaseModel], data: Any, path: Path) -> list[Shape]:
    """What the value at `path` may be, by the model's annotations."""
    shapes = [Shape(model)]
    for part in path:
        shapes = [inner for shape in _plausible(_members(shapes), data) for inner in _inside(shape, part)]
        data = _child(data, part)
    return _members(shapes)


def _follow(model: type[BaseModel], data: Any, error: ErrorDetails) -> tuple[Path, list[Shape], Any]:
    """pydantic's location without the names of union members and validators; shapes of the place or, for an unknown
    key, of the mapping around it."""
    loc = error["loc"][:-1] if error["type"] == "missing" else error["loc"]
    shapes = [Shape(model)]
    path: Path = ()
    for part in loc:
        members = [shape for shape in _members(shapes) if shape.annotation is not type(None)]
        is_tag = len(members) > 1 and not (path and isinstance(part, int))
        if is_tag or not _has(data, part):  # an entry of a list that stands there without its brackets has no place
            inner = [deeper for shape in members for deeper in _inside(shape, part)] if isinstance(part, int) else []
            shapes = inner or _chosen(members, part)
            continue
        path = (*path, part)
        if error["type"] == "extra_forbidden" and part == loc[-1]:
            inner = [deeper for shape in members for deeper in _inside(shape, part)]
            if not inner:
                return path, members, _child(data, part)
        shapes = [deeper for shape in members for deeper in _inside(shape, part)]
        data = _child(data, part)
    return path, _members(shapes), data


def _chosen(members: list[Shape], tag: str | int) -> list[Shape]:
    """The union members that pydantic means by `tag`: a class name or the value of the discriminator."""
    named = [m for m in members if getattr(m.annotation, "__name__", "") == tag or tag in _literals(m.annotation)]
    return named or members


def _literals(annotation: Any) -> set[Any]:
    if not _is_model(annotation):
        return set()
    fields = annotation.model_fields.values()
    return {
        value for field in fields if get_origin(field.annotation) is Literal for value in get_args(field.annotation)
    }


def _members(shapes: Iterable[Shape]) -> list[Shape]:
    """Unions taken apart, `Annotated` taken off (its field remembered)."""
    out: list[Shape] = []
    for shape in shapes:
        origin = get_origin(shape.annotation)
        if origin is Annotated:
            inner, *extra = get_args(shape.annotation)
            field = next((item for item in extra if isinstance(item, FieldInfo)), shape.field)
            out += _members([Shape(inner, field)])
        elif origin in {Union, types.UnionType}:
            out += _members(Shape(member, shape.field) for member in get_args(shape.annotation))
        else:
            out.append(shape)
    return out


def _inside(shape: Shape, part: str | int) -> list[Shape]:
    out: list[Shape] = []
    for member in _members([shape]):
        annotation, origin, args = member.annotation, get_origin(member.annotation), get_args(member.annotation)
        if _is_model(annotation):
            fields = annotation.model_fields.items()
            out += [Shape(field.annotation, field) for name, field in fields if (field.alias or name) == part]
        elif origin is tuple and isinstance(part, int):
            out += [Shape(args[0] if args[-1] is Ellipsis else args[min(part, len(args) - 1)])]
        elif isinstance(origin, type) and issubclass(origin, Mapping) and len(args) == 2:
            out.append(Shape(args[1]))
        elif isinstance(origin, type) and len(args) == 1 and isinstance(part, int):
            out.append(Shape(args[0]))
    return out


def _plausible(members: list[Shape], data: Any) -> list[Shape]:
    """Of several models, those that the data does not rule out by a literal (`kind: check`)."""
    if sum(_is_model(member.annotation) for member in members) < 2 or not isinstance(data, Mapping):
        return members
    return [member for member in members if not _contradicts(member.annotation, data)] or members


def _contradicts(annotation: Any, data: Mapping[str, Any]) -> bool:
    if not _is_model(annotation):
        return False
    for name, field in annotation.model_fields.items():
        literal = get_origin(field.annotation) is Literal
        if literal and data.get(name) is not None and data[name] not in get_args(field.annotation):
            return True
    return False


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _has(data: Any, part: str | int) -> bool:
    if isinstance(data, Mapping):
        return part in data
    return isinstance(data, list) and isinstance(part, int) and part < len(data)


def _child(data: Any, part: str | int) -> Any:
    return data[part] if _has(data, part) else None


def _keys(shapes: Iterable[Shape]) -> list[str]:
    models = [shape.annotation for shape in _members(shapes) if _is_model(shape.annotation)]
    return [field.alias or name for model in models for name, field in model.model_fields.items()]


def _complaint(error: ErrorDetails, path: Path, shapes: list[Shape], value: Any) -> Complaint:
    kind = error["type"]
    if kind == "extra_forbidden":
        name, keys = str(path[-1]), _keys(shapes)
        text = f"unknown key {quote(name)} in {where(path[:-1])}"
        return Complaint(path, "unknown-key", text, did_you_mean(name, keys), at_key=True)
    if error["loc"] and error["loc"][-1] == "[key]":
        name, options = str(path[-1]), [str(option) for option in _key_options(error)]
        text = f"{quote(name)} cannot be a key of {where(path[:-1])}"
        hint = did_you_mean(name, options) if options else _reason(error, [], name)[0]
        return Complaint(path, "unknown-key" if options else "bad-value", text, hint, at_key=True)
    reason, hint = _reason(error, shapes, value)
    return Complaint(path, "bad-value", f"{where(path)} {reason}", hint or _example(shapes))


def _reason(error: ErrorDetails, shapes: list[Shape], value: Any) -> tuple[str, str]:
    """What follows the name of the place, and how to put it right."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        message = str(context.get("error", error["msg"]))
        secret = any(shape.annotation is SecretStr for shape in shapes)
        told = secret or not isinstance(value, str) or quote(value) in message
        return (f"is wrong: {message}" if told else f"cannot be {quote(value)}: {message}"), ""
    if value is None and kind not in {"too_short", "too_long"}:
        return "is empty", "write a value or remove the key"
    if kind in {"enum", "literal_error", "union_tag_invalid"}:
        return _choice(shapes, value, context)
    shown = quote(value)
    wanted = _WANTED.get(kind)
    if wanted is not None:
        return f"must be {wanted}, not {shown}", ""
    if kind in _LIMITS:
        sign, name = _LIMITS[kind]
        return f"must be {sign} {_bound(shapes, name, context)}, not {shown}", ""
    if kind == "too_short":
        return ("must not be empty" if context.get("min_length") == 1 else f"needs {context['min_length']} entries"), ""
    if kind == "string_too_short":
        return "must not be empty", ""
    if kind == "string_pattern_mismatch":
        return f"cannot be {shown}", "" if _example(shapes) else f"must match {context['pattern']}"
    message = error["msg"]
    return f"cannot be {shown}: {message[:1].lower()}{message[1:]}", ""


def _choice(shapes: list[Shape], value: Any, context: Mapping[str, Any]) -> tuple[str, str]:
    options: list[str] = []
    for shape in shapes:
        if get_origin(shape.annotation) is Literal:
            options += [str(option) for option in get_args(shape.annotation)]
        elif isinstance(shape.annotation, type) and issubclass(shape.annotation, Enum):
            options += [str(option.value) for option in shape.annotation]
    if "discriminator" in context:
        tag = str(context["discriminator"]).strip("'")
        options = [text.strip(" '") for text in str(context.get("expected_tags", "")).split(",")]
        value = value.get(tag) if isinstance(value, Mapping) else value
        return f"has an unknown {tag} {quote(value)}", did_you_mean(str(value), options)
    listed = ", ".join(options)
    near = nearest(str(value), options)
    return f"must be one of {listed}, not {quote(value)}", f'did you mean "{near}"?' if near else ""


def _key_options(error: ErrorDetails) -> list[str]:
    """pydantic tells the allowed literals only as text: `'critical' or 'warning'`."""
    if error["type"] != "literal_error":
        return []
    expected = str(error.get("ctx", {}).get("expected", ""))
    return [part.strip("' ") for part in expected.replace(" or ", ", ").split(", ")]


def _bound(shapes: list[Shape], name: str, context: Mapping[str, Any]) -> str:
    """pydantic gives a timedelta's limit as its repr, so the field is asked first."""
    for shape in shapes:
        for limit in shape.field.metadata if shape.field is not None else ():
            value = getattr(limit, name, None)
            if isinstance(value, timedelta):
                return f"{value.total_seconds():g}s"
    return str(context[name])


def _example(shapes: list[Shape]) -> str:
    for shape in shapes:
        if shape.field is not None and shape.field.examples:
            return "write for example " + " or ".join(str(example) for example in shape.field.examples)
    return ""


_TEXT, _NUMBER, _MAPPING, _LIST = "text", "a number", "a mapping (key: value)", "a list"
DATE = "a date such as 2026-11-02"
DATETIME = "a date and time such as 2026-12-24T18:00"
_WANTED = {
    "string_type": _TEXT,
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "union_tag_not_found": "a mapping with a kind",
    "tuple_type": _LIST,
    "list_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "date_type": DATE,
    "date_parsing": DATE,
    "date_from_datetime_parsing": DATE,
    "date_from_datetime_inexact": "a date without a time",
    "datetime_type": DATETIME,
    "datetime_parsing": DATETIME,
    "datetime_from_date_parsing": DATETIME,
    "time_delta_type": "a duration such as 5m",
    "time_delta_parsing": "a duration such as 5m",
}
_LIMITS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
    "string_too_long": ("no longer than", "max_length"),
    "too_long": ("no longer than", "max_length"),
}
