"""As much of Markdown as runbooks are written in: sections, paragraphs, lists and fenced code, each with its line.

Text comes out plain. What has no place in a plain text (pictures, tables, HTML) is told to the caller.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns, never a user's
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

Told = Callable[[int, str], None]
_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*?)\s*#*\s*")
_FENCE = re.compile(r"( *)(`{3,}|~{3,})\s*([\w+-]*).*")
_ITEM = re.compile(r"( *)([-*+]|\d{1,3}[.)])\s+(.*)")
_REFERENCE = re.compile(r" {0,3}(?:[-*+] )?\[([^\]]+)\](?:: *|\()<?(https?://[^\s>)]+(?:\([^\s)]*\)[^\s>)]*)?)[>)]?.*")
_LINK = re.compile(r"\[([^\]\[]*)\]\(<?([^()\s>]+(?:\([^()\s]*\)[^()\s>]*)?)>?(?:\s+\"[^\"]*\")?\)")
_NAMED = re.compile(r"\[([^\]\[]+)\](?:\[([^\]\[]*)\])")
_BARE = re.compile(r"<(https?://[^\s<>]+)>|(?<![\w(<\[/\"'=])(https?://[^\s<>)\]]+[^\s<>)\].,;:!?'\"])")
_IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]*(?:\s+[\w-]+(?:=(?:\"[^\"]*\"|'[^']*'|[^\s>]+))?)*\s*/?>|<!--.*?-->")
_HTML = "details|summary|br|p|b|i|em|strong|code|pre|a|div|span|ul|ol|li|h[1-6]|img|kbd|sub|sup|hr"
_KNOWN_TAG = re.compile(rf"</?(?:{_HTML})\b", re.IGNORECASE)  # others are most often <placeholders>
_SHORTCODE = re.compile(r"\{\{[<%]\s*(\w+)\s*(.*?)\s*[%>]\}\}")
_BOLD = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_ITALIC = re.compile(r"(?<![\w*])([*_])(?=[^\s*_])([^*_\n]+?)(?<=[^\s*_])\1(?![\w*])")
_CODE = re.compile(r"(`+)(.+?)\1")
_NOT_SHOWN = re.compile(r" {0,3}(?:\[[^\]]+\]: .*|([-*_])\s*(?:\1\s*){2,})")  # a link's definition, a rule
_TABLE = re.compile(r"\s*\|?\s*:?-{3,}:?\s*(\|\s*:?-{3,}:?\s*)*\|?\s*")


@dataclass(frozen=True)
class Block:
    """`level` is a heading's; `language` a fence's; `links` are (text, address) of what it links to."""

    kind: Literal["heading", "text", "item", "code"]
    line: int
    text: str
    level: int = 0
    language: str = ""
    numbered: bool = False
    links: tuple[tuple[str, str], ...] = ()


@dataclass
class _Reader:
    told: Told
    references: dict[str, str] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    kind: Literal["text", "item"] = "text"
    numbered: bool = False
    begun: int = 0
    lines: list[str] = field(default_factory=list)

    def flush(self) -> None:
        if self.lines:
            text, links = self._plain(" ".join(self.lines), self.begun)
            if text or links:
                self.blocks.append(Block(self.kind, self.begun, text, numbered=self.numbered, links=tuple(links)))
        self.kind, self.numbered, self.lines = "text", False, []

    def begin(self, kind: Literal["text", "item"], line: int, text: str, *, numbered: bool = False) -> None:
        self.flush()
        self.kind, self.begun, self.numbered, self.lines = kind, line, numbered, [text]

    def heading(self, line: int, level: int, text: str) -> None:
        self.flush()
        plain, links = self._plain(text, line)
        self.blocks.append(Block("heading", line, plain, level=level, links=tuple(links)))

    def _plain(self, text: str, line: int) -> tuple[str, list[tuple[str, str]]]:
        """Without markup; what stands between backticks is left as it is."""
        links: list[tuple[str, str]] = []
        out, end = "", 0
        for found in _CODE.finditer(text):
            out += self._words(text[end : found.start()], line, links) + found[2].strip()
            end = found.end()
        out += self._words(text[end:], line, links)
        return re.sub(r"\s+", " ", out).strip(), links

    def _words(self, text: str, line: int, links: list[tuple[str, str]]) -> str:
        def link(found: re.Match[str]) -> str:
            shown, target = found[1].strip(), found[2]
            if target.startswith(("https://", "http://")):
                links.append((shown or target, target))
            else:
                self.told(line, f'the link to "{target}" leads nowhere outside of that page')
            return shown

        def named(found: re.Match[str]) -> str:
            target = self.references.get((found[2] or found[1]).lower())
            if target is None:
                return found[0]
            links.append((found[1], target))
            return found[1]

        def bare(found: re.Match[str]) -> str:
            links.append((found[1] or found[2], found[1] or found[2]))
            return found[1] or found[2]

        def picture(found: re.Match[str]) -> str:
            self.told(line, f'a picture is left out: "{found[1]}"')
            return ""

        def shortcode(found: re.Match[str]) -> str:
            self.told(line, f"{found[0]} means something to the site's generator only")
            return found[2].strip("\"'")

        def tag(found: re.Match[str]) -> str:
            return " " if _KNOWN_TAG.match(found[0]) or found[0].startswith("<!--") else found[0]

        text = _IMAGE.sub(picture, _SHORTCODE.sub(shortcode, text))
        text = _BARE.sub(bare, _NAMED.sub(named, _LINK.sub(link, text)))
        text = _TAG.sub(tag, text)
        return _ITALIC.sub(r"\2", _BOLD.sub(r"\2", text))


def front_matter(text: str) -> tuple[dict[str, str], list[str], int]:
    """(its plain keys, the lines after it, how many lines it takes)."""
    lines = text.replace("\r\n", "\n").lstrip("\ufeff").split("\n")
    if lines[0].strip() != "---" or "---" not in (line.strip() for line in lines[1:]):
        return {}, lines, 0
    end = next(number for number, line in enumerate(lines[1:], 1) if line.strip() == "---")
    keys = {}
    for line in lines[1:end]:
        name, colon, value = line.partition(":")
        if colon and name.strip():
            keys[name.strip().lower()] = value.strip().strip("\"'")
    return keys, lines[end + 1 :], end + 1


def blocks(lines: list[str], first: int, told: Told) -> list[Block]:
    """`first`: how many lines of the file stand before; `told` hears of what is left out, with its line."""
    reader = _Reader(told)
    for line in lines:
        found = _REFERENCE.fullmatch(line)
        if found is not None:
            reader.references[found[1].lower()] = found[2]
    numbers = iter(enumerate(lines, first + 1))
    for number, line in numbers:
        _take(reader, number, line, numbers)
    reader.flush()
    return reader.blocks


def _take(reader: _Reader, number: int, line: str, rest: Iterator[tuple[int, str]]) -> None:
    fence = _FENCE.fullmatch(line)
    heading = _HEADING.fullmatch(line)
    item = _ITEM.fullmatch(line)
    if fence is not None:
        reader.flush()
        reader.blocks.append(_fenced(number, fence, rest, reader.told))
    elif not line.strip():
        reader.flush()
    elif heading is not None:
        reader.heading(number, len(heading[1]), heading[2])
    elif _NOT_SHOWN.fullmatch(line):
        reader.flush()
    elif item is not None:
        reader.begin("item", number, item[3], numbered=item[2][0].isdigit())
    elif _TABLE.fullmatch(line) and "|" in line:
        reader.told(number, "a table is left as lines of text")
    elif line.startswith(("    ", "\t")) and not reader.lines:
        _indented(reader, number, line)
    elif reader.lines:
        reader.lines.append(line.strip())
    else:
        reader.begin("text", number, line.strip())


def _indented(reader: _Reader, number: int, line: str) -> None:
    """Code by its indentation, line after line; below a list it belongs to the item and is text."""
    before = reader.blocks[-1] if reader.blocks else None
    if before is not None and before.kind == "item":
        reader.begin("text", number, line.strip())
        return
    text = line.removeprefix("\t").removeprefix("    ").rstrip()
    if before is not None and before.kind == "code" and before.language == "indented":
        reader.blocks[-1] = Block("code", before.line, f"{before.text}\n{text}", language="indented")
    else:
        reader.blocks.append(Block("code", number, text, language="indented"))


def _fenced(number: int, fence: re.Match[str], rest: Iterator[tuple[int, str]], told: Told) -> Block:
    indent, mark, language = len(fence[1]), fence[2], fence[3].lower()
    inside: list[str] = []
    for _, line in rest:
        if line.strip().startswith(mark) and not line.strip().strip(mark[0]):
            break
        inside.append(line[indent:] if not line[:indent].strip() else line)
    else:
        told(number, "the code that begins here is never closed")
    return Block("code", number, "\n".join(inside).strip("\n"), language=language or "plain")
