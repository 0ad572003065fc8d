"""Any JSON, by the templates of a bridge's `map`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bot.bridges.model import Body, PayloadError, Told, each_of
from bot.errors import TemplateError
from bot.settings import BridgeMap
from bot.templating import parse

_AT_MOST = 200


def read(body: Body, how: BridgeMap) -> list[Told]:
    """Raises PayloadError, naming the key of `map` that cannot be filled, with the alerts that could be read."""
    return each_of(_each(body, how.each), lambda one: _told(one, body, how))


def problems(how: BridgeMap) -> list[tuple[tuple[str, ...], str]]:
    """Templates that cannot be read: the place in `map`, and what is wrong."""
    found = []
    for place, template in _templates(how):
        try:
            parse(template)
        except TemplateError as error:
            found.append((place, str(error)))
    return found


def _templates(how: BridgeMap) -> Iterator[tuple[tuple[str, ...], str]]:
    yield from ((("alertname",), how.alertname), (("state",), how.state), (("key",), how.key))
    for kind, named in (("labels", how.labels), ("annotations", how.annotations)):
        for name, template in named.items():
            yield (kind, name), template


def _each(body: Body, path: str | None) -> list[Any]:
    if path is None:
        return [body]
    here: Any = body
    for part in path.split("."):
        here = here.get(part) if isinstance(here, dict) else None
    if not isinstance(here, list):
        raise PayloadError(f'there is no list at "{path}"')
    if len(here) > _AT_MOST:
        raise PayloadError(f'"{path}" has {len(here)} alerts; {_AT_MOST} at most in one request')
    return here


def _told(each: Any, body: Body, how: BridgeMap) -> Told:
    seen = {"it": each, "body": body}
    alertname = _needed("alertname", how.alertname, seen)
    state = _optional(how.state, seen).strip().lower()
    labels = {name: text for name, template in how.labels.items() if (text := _optional(template, seen))}
    said = {name: text for name, template in how.annotations.items() if (text := _optional(template, seen))}
    key = (
        _needed("key", how.key, seen)
        if how.key
        else ",".join(f"{k}={labels[k]}" for k in sorted(labels) if k != "severity")
    )
    over = state in {value.lower() for value in how.resolved}
    return Told(alertname, key, over, labels.pop("agent", ""), labels, said)


def _needed(name: str, template: str, seen: Body) -> str:
    try:
        text = parse(template).exact(seen).strip()
    except TemplateError as error:
        raise PayloadError(f"map.{name}: {error}") from None
    if not text:
        raise PayloadError(f"map.{name}: it is empty for this request")
    return text


def _optional(template: str, seen: Body) -> str:
    """What a request does not have has no label: not everybody sends everything."""
    try:
        return parse(template).exact(seen).strip()
    except TemplateError:
        return ""
