"""What targets say about their metrics: TYPE, HELP and UNIT lines, one `Family` each, shared by targets that agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

MAX_FAMILIES = 10_000  # of one target
MAX_HELP = 1_000  # characters; a page is somebody else's text, and this stays in memory


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family as exposed. `type` is in OpenMetrics' words."""

    name: str
    type: str
    help: str
    unit: str


def families(types: Mapping[str, str], helps: Mapping[str, str], units: Mapping[str, str]) -> tuple[Family, ...]:
    """In order of first mention; a family may lack any of the three."""
    names = list({**types, **helps, **units})[:MAX_FAMILIES]
    return _shared(tuple(_family(name, types, helps, units) for name in names))


def _family(name: str, types: Mapping[str, str], helps: Mapping[str, str], units: Mapping[str, str]) -> Family:
    kind = types.get(name, "unknown")
    return Family(
        name, "unknown" if kind == "untyped" else kind, helps.get(name, "")[:MAX_HELP], units.get(name, "")[:MAX_HELP]
    )


@lru_cache(maxsize=256)
def _shared(found: tuple[Family, ...]) -> tuple[Family, ...]:
    """A fleet of equal agents keeps one copy."""
    return found


def metadata_json(
    pages: Iterable[Iterable[Family]], metric: str = "", limit: int = -1, limit_per_metric: int = -1
) -> dict[str, list[dict[str, str]]]:
    """Prometheus' /api/v1/metadata: by family name every different thing said. Negative limits are none."""
    found: dict[str, dict[Family, None]] = {}
    for page in dict.fromkeys(map(tuple, pages)):
        for family in page:
            if metric and family.name != metric:
                continue
            told = found.setdefault(family.name, {})
            if limit_per_metric <= 0 or len(told) < limit_per_metric:
                told[family] = None
    names = list(found) if limit < 0 else list(found)[:limit]
    return {name: [said(family) for family in found[name]] for name in names}


def said(family: Family) -> dict[str, str]:
    return {"type": family.type, "help": family.help, "unit": family.unit}
