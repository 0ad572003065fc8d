"""Public holidays of countries and their parts, by the `holidays` package. The one door to it; it is an extra."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from bot.oncall.almanac import remembered

EXTRA = "agentpager[holidays]"


def problem(country: str, subdivision: str | None) -> tuple[str, str] | None:
    """What is wrong and the way out, None when the package knows the place."""
    try:
        import holidays  # noqa: PLC0415 - an extra that may not be installed
    except ImportError:
        return "public holidays need the holidays package", f"pip install '{EXTRA}'"
    try:
        holidays.country_holidays(country, subdiv=subdivision)
    except NotImplementedError as error:
        known = holidays.list_supported_countries().get(country)
        hint = f"known: {', '.join(known[:40])}" if known and subdivision else "write two letters, for example ES"
        return str(error).strip().replace("`", '"'), hint
    return None


def public_holidays(country: str, subdivision: str | None) -> Callable[[int], Mapping[date, str]]:
    """Year → its holidays."""

    def year_of(year: int) -> Mapping[date, str]:
        import holidays  # noqa: PLC0415 - as above; `problem` has been asked

        return dict(holidays.country_holidays(country, subdiv=subdivision, years=year, language="en_US"))

    return remembered(year_of)
