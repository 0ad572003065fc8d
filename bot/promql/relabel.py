"""label_replace and label_join: work on each distinct value once, whatever the number of series."""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, never a user's
from typing import Any

import numpy as np

from bot.errors import QueryError
from bot.labels import compile_regex
from bot.promql.nodes import NAME
from bot.promql.space import Space
from bot.promql.value import Vector

_REFERENCE = re.compile(r"\$(?:(\$)|([A-Za-z0-9_]+)|\{([A-Za-z0-9_]+)\})")


def label_replace(vector: Vector, target: str, replacement: str, source: str, pattern: str) -> Vector:
    """Raises QueryError on a bad pattern or label name, and when two rows end up with the same labels."""

    def build() -> Space:
        try:
            regex = compile_regex(pattern)
        except ValueError:
            raise QueryError(f"invalid regular expression in label_replace(): {pattern}", "execution") from None
        if not target:
            raise QueryError("invalid destination label name in label_replace(): ", "execution")
        space = vector.space
        zero = np.zeros(space.size, np.int32)
        distinct, inverse = np.unique(space.columns.get(source, zero), return_inverse=True)
        results = [_replaced(regex, text, replacement) for text in space.pool.texts(distinct.tolist())]
        fresh = space.pool.encode("" if text is None else text for text in results)[inverse]
        matched = np.array([text is not None for text in results], np.bool_)[inverse]
        column = np.where(matched, fresh, space.columns.get(target, zero)).astype(np.int32)
        return Space(space.pool, space.size, {**space.columns, target: column})

    space = vector.space.derive(("label_replace", target, replacement, source, pattern), build)
    return vector.at(space, vector.values).checked()


def _replaced(regex: Any, text: str, replacement: str) -> str | None:
    match = regex.fullmatch(text)
    return None if match is None else _expanded(match, replacement)


def _expanded(match: Any, template: str) -> str:
    """Go's Regexp.Expand: $1, $name, ${name}, $$; a group that does not exist is empty."""

    def value(reference: re.Match[str]) -> str:
        if reference.group(1):
            return "$"
        name = reference.group(2) or reference.group(3)
        try:
            found = match.group(int(name) if name.isdigit() else name)
        except (IndexError, KeyError, LookupError):
            return ""
        return found or ""

    return _REFERENCE.sub(value, template)


def label_join(vector: Vector, target: str, separator: str, sources: tuple[str, ...]) -> Vector:
    """Raises QueryError on a bad label name, and when two rows end up with the same labels."""
    if not all(sources):
        raise QueryError("invalid source label name in label_join(): ", "execution")
    if not target:
        raise QueryError("invalid destination label name in label_join(): ", "execution")

    def build() -> Space:
        space = vector.space
        groups = space.group(frozenset(sources), without=False, keep_name=NAME in sources)
        rows = [groups.space.labels(row) for row in range(groups.count)]
        joined = space.pool.encode(separator.join(row.get(source, "") for source in sources) for row in rows)
        column = joined[groups.ids] if space.size else np.zeros(0, np.int32)
        return Space(space.pool, space.size, {**space.columns, target: column})

    space = vector.space.derive(("label_join", target, separator, sources), build)
    return vector.at(space, vector.values).checked()
