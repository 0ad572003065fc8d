"""Silences as amtool and karma post them. Pure."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from bot.alertmanager.incoming import PostedError
from bot.incidents.model import Severity
from bot.incidents.silences import Draft
from bot.labels import Matcher, Op


class _Matcher(BaseModel):
    name: Annotated[str, Field(min_length=1)]
    value: str
    isRegex: bool  # noqa: N815 - its name there
    isEqual: bool = True  # noqa: N815


class _Posted(BaseModel):
    id: str = ""
    matchers: Annotated[list[_Matcher], Field(min_length=1)]
    startsAt: AwareDatetime  # noqa: N815
    endsAt: AwareDatetime  # noqa: N815
    createdBy: str  # noqa: N815
    comment: str


def read(body: Any) -> tuple[str, str, Draft]:
    """The id of the silence that it replaces, or empty; its author; what it hides. Raises PostedError."""
    try:
        posted = _Posted.model_validate(body)
        matchers = tuple(str(_ours(one)) for one in posted.matchers)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise PostedError(f"{'.'.join(str(part) for part in first['loc']) or 'body'}: {first['msg']}") from None
    except ValueError as error:
        raise PostedError(str(error)) from None
    start, end = posted.startsAt.astimezone(UTC), posted.endsAt.astimezone(UTC)
    # Whoever comes from Alertmanager expects it to hide whatever it matches.
    return posted.id, posted.createdBy, Draft(matchers, end, posted.comment, start, Severity.CRITICAL)


def _ours(posted: _Matcher) -> Matcher:
    """Raises ValueError for a regular expression that is none."""
    kinds = {(True, False): Op.EQUAL, (False, False): Op.NOT_EQUAL, (True, True): Op.REGEX, (False, True): Op.NOT_REGEX}
    return Matcher(posted.name, kinds[posted.isEqual, posted.isRegex], posted.value)
