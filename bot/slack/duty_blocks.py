"""Hand-overs, digests, words about a shift, and things to mend: what stands in the page's own text, as blocks. Pure.

records/digest.py writes that text: the title, lines of figures, then headings with their items. Lines that are neither
heading nor item are told as they are, so any text makes a message.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern, never a user's
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.paging.model import Page, PageKind
from bot.records.digest import FIGURE, ITEM, is_note
from bot.slack.kit import HEADER_LIMIT, TEXT_LIMIT, Block, Part, actions, button, context, fields, fit, header, section
from bot.slack.text import clean, cut_escaped, moment, mrk

SIGNS = {
    PageKind.TASK: "🛠️ To mend:",
    PageKind.SHIFT: "📟",
    PageKind.HANDOVER: "🤝",
    PageKind.DIGEST: "📊",
}
TEST_MY_PAGE, NOTES = "duty.test", "duty.notes"
_WARNING = "⚠"
_FIGURES = 8  # four rows of a phone
_LINE = 400
_INSTANT = re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (\d{4}-\d\d-\d\d \d\d:\d\d) UTC\b")


@dataclass(frozen=True)
class _Passage:
    """A heading with its items; lines without items have no heading."""

    heading: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Sheet:
    title: str
    figures: tuple[tuple[str, str], ...]
    passages: tuple[_Passage, ...]


def text_of(page: Page) -> str:
    """The push message: the title, and what weighs most."""
    sheet = _read(page.text)
    warned = [passage.heading for passage in sheet.passages if passage.heading.startswith(_WARNING)]
    figures = [f"{name}: {value}" for name, value in sheet.figures[:2]] if page.kind is not PageKind.SHIFT else []
    told = ". ".join([f"{SIGNS[page.kind]} {sheet.title}", *warned, *figures])
    return cut_escaped(mrk(told, 2 * TEXT_LIMIT), TEXT_LIMIT)


def blocks_of(page: Page, now: datetime) -> list[Block]:
    sheet = _read(page.text)
    title = f"{SIGNS[page.kind]} {sheet.title}"
    parts = [Part(100, header(title))]
    if len(clean(title)) > HEADER_LIMIT:
        parts.append(Part(95, section(mrk(sheet.title, 2900))))
    if sheet.figures:
        pairs = [(mrk(name, 60), _localised(mrk(value, 200), now)) for name, value in sheet.figures[:_FIGURES]]
        parts.append(Part(90, fields(pairs)))
    parts += [Part(_worth(passage, index), _passage(passage, now)) for index, passage in enumerate(sheet.passages)]
    if buttons := _buttons(page):
        parts.append(Part(92, actions("duty", buttons)))
    about = f"{page.incident} · " if page.incident else ""
    parts.append(Part(10, context(about + mrk(page.reason, 300))))
    return fit(parts)


def _buttons(page: Page) -> list[Block]:
    if page.kind is PageKind.SHIFT and page.person:
        return [button("Test my page", TEST_MY_PAGE, page.person)]
    if page.kind is PageKind.HANDOVER and not is_note(page.id):
        return [button("Hand-over notes…", NOTES, page.id)]
    return []


def _worth(passage: _Passage, index: int) -> int:
    """What comes first was written first for a reason."""
    return 95 if passage.heading.startswith(_WARNING) else max(80 - index, 20)


def _passage(passage: _Passage, now: datetime) -> Block:
    lines = [_localised(mrk(line, _LINE), now) for line in passage.lines]
    if not passage.heading:
        return section(*lines)
    return section(f"*{mrk(passage.heading, 150)}*", *(f"{ITEM}{line}" for line in lines))


def _read(text: str) -> _Sheet:
    title, *rest = text.strip().split("\n")
    figures = [line.removeprefix(FIGURE).partition(": ") for line in rest if line.startswith(FIGURE)]
    others = [line for line in rest if line.strip() and not line.startswith(FIGURE)]
    return _Sheet(title, tuple((name, value) for name, _, value in figures), tuple(_passages(others)))


def _passages(lines: Sequence[str]) -> Iterator[_Passage]:
    """A line is a heading when an item follows it."""
    plain: list[str] = []
    index = 0
    while index < len(lines):
        end = index + 1
        while end < len(lines) and lines[end].startswith(ITEM):
            end += 1
        heading = "" if lines[index].startswith(ITEM) else lines[index]
        if end - index > 1 or not heading:
            if plain:
                yield _Passage("", tuple(plain))
                plain = []
            items = lines[index + 1 if heading else index : end]
            yield _Passage(heading, tuple(line.removeprefix(ITEM) for line in items))
        else:
            plain.append(lines[index])
        index = end
    if plain:
        yield _Passage("", tuple(plain))


def _localised(safe: str, now: datetime) -> str:
    """Instants of UTC as each reader's own."""

    def local(found: re.Match[str]) -> str:
        try:
            return moment(datetime.fromisoformat(found[1]).replace(tzinfo=UTC), now)
        except (ValueError, OverflowError):
            return found[0]

    return _INSTANT.sub(local, safe)
