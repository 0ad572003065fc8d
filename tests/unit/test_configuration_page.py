"""docs/configuration.md lists every key that the models have, with its default, and no other."""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns
from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from bot.config import AgentsFile, OncallFile
from bot.incidents.policy import IncidentRules
from bot.oncall.turns import Every
from bot.schema import format_duration
from bot.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()


def documented() -> dict[str, str]:
    """Dotted path → the text of its default."""
    found: dict[str, str] = {}
    places: list[str] = []
    for line in PAGE.splitlines():
        if line.startswith("###"):
            places = re.findall("`([^`]+)`", line)
        row = re.match(r"\| `([a-z0-9_]+)` \|[^|]*\|([^|]*)\|", line)
        if row:
            found.update({f"{place}.{row[1]}": row[2].strip() for place in places})
    return found


def fields(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key that holds a value, `[]` standing for an entry of a list and `<id>` for a name."""
    for name, field in model.model_fields.items():
        if name == "id":  # given by the name of the entry
            continue
        here = f"{path}.{field.alias or name}".removeprefix(".")
        inner, suffix = model_inside(field.annotation)
        if inner is None or suffix == "[]" or "." in here:
            yield here, field
        if inner is not None:
            yield from fields(inner, here + suffix)


def model_inside(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    origin, args = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    if origin is Annotated:
        return model_inside(args[0])
    if origin in {Union, UnionType}:
        return next((found for found in map(model_inside, args) if found[0] is not None), (None, ""))
    if origin is tuple:
        return model_inside(args[0])[0], "[]"
    if origin is dict:
        return model_inside(args[1])[0], ".<id>"
    return None, ""


KEYS = {path: field for model in (Settings, AgentsFile, OncallFile, IncidentRules) for path, field in fields(model)}
# Keys of the top of a file: a heading of their own, and no row of a table.
HEADED = {
    "fallback": "",
    "grouping": "[]",
    "inhibit_rules": "[]",
    "maintenance": "[]",
    "reopen_window": "",
    "routes": "",
    "routing": "[]",
}
IN_TABLES = {path: field for path, field in KEYS.items() if path not in {*HEADED, "metrics.scrape"}}


def test_the_page_has_every_key_and_no_other():
    assert sorted(documented()) == sorted(IN_TABLES)
    assert [name for name, suffix in HEADED.items() if f"### `{name}{suffix}`" not in PAGE] == []


@pytest.mark.parametrize("path", IN_TABLES)
def test_the_default_on_the_page_is_the_default(path):
    field, text = IN_TABLES[path], documented()[path]
    if field.is_required():
        assert text == "required"
        return
    default = field.default
    match default:
        case None | BaseModel() | dict():
            assert not text.startswith(("`", "required"))
        case ():
            assert text == "none"
        case SecretStr():
            written = default.get_secret_value()
            assert text == (f"`{written}`" if written else "empty")
        case "":
            assert text == "empty"
        case _:
            assert text == f"`{shown(default)}`"


def shown(value: Any) -> str:
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, Every):
        return str(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, tuple) else str(value)
