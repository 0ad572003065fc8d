"""A runbook in Markdown, as prometheus-operator's are written (Meaning, Impact, Diagnosis, Mitigation), into
`runbook/v1`. What does not fit is told with its line: nothing is lost without a word."""

from __future__ import annotations

import json
import re  # noqa: TID251 - fixed patterns, never a user's
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from bot.authoring.markdown import Block, blocks, front_matter
from bot.authoring.schema import MODELINE
from bot.authoring.template import matchers, scalar, spoken
from bot.charts.observed import observed
from bot.errors import QueryError
from bot.promql.parse import parse as parse_query

MOST_STEPS = 29  # and one that escalates
_MOST_TEXT = 1500  # characters that the thread has room for
_MOST_TITLE = 90
_MOST_LINKS = 20
_SECTIONS = {
    "meaning": "meaning",
    "overview": "meaning",
    "summary": "meaning",
    "description": "meaning",
    "impact": "impact",
    "diagnosis": "steps",
    "diagnostics": "steps",
    "investigation": "steps",
    "troubleshooting": "steps",
    "mitigation": "steps",
    "resolution": "steps",
    "remediation": "steps",
    "recovery": "steps",
}
_SHELLS = {"shell", "sh", "bash", "console", "zsh", "terminal", "shell-session", "cmd", "powershell"}
_VAGUE = {"here", "docs here", "this", "link", "see here", "docs", "documentation"}
_NOTHING = re.compile(r"(?:todo|tbd|n/?a|none|fixme|to be (?:done|written|determined))\W*", re.IGNORECASE)
_LABEL = re.compile(r"\{\{\s*\$labels\.(\w+)\s*\}\}")
_VALUE = re.compile(r"\{\{\s*\$value\s*\}\}")
_PLACEHOLDER = re.compile(r"<[a-zA-Z][\w .-]*>|\$\{?[A-Z][A-Z_]{2,}\}?")
_EXPECT = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!=", "!=": "=="}


class Remark(NamedTuple):
    line: int
    text: str


@dataclass(frozen=True)
class Wanted:
    """`alert` is the alert it is for, `schema` the path of the JSON Schema as seen from the new file."""

    id: str
    alert: str
    owner: str
    run_on: str
    schema: str


@dataclass(frozen=True)
class Imported:
    """`text` is the new file. `remarks` say what did not map, or was guessed."""

    text: str
    steps: int
    remarks: tuple[Remark, ...]


@dataclass
class _Step:
    kind: str
    title: str
    line: int
    text: str = ""
    query: str = ""
    expect: str = ""
    url: str = ""


@dataclass
class _Book:
    run_on: str
    meaning: list[str] = field(default_factory=list)
    impact: list[str] = field(default_factory=list)
    steps: list[_Step] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)

    def told(self, line: int, text: str) -> None:
        self.remarks.append(Remark(line, text))


def imported(text: str, wanted: Wanted, today: date) -> Imported:
    shown = "".join(one for one in text if one.isprintable() or one in "\n\t")
    keys, lines, first = front_matter(shown)
    book = _Book(wanted.run_on)
    found = blocks(lines, first, book.told)
    heading = next((one.text for one in found if one.kind == "heading" and one.level == 1), "")
    title = keys.get("title") or heading or wanted.id
    sections = _sections(found, book)
    for name, heading_block, inside in sections:
        if name == "steps":
            _steps(heading_block, inside, book)
        else:
            _told_texts(name, inside, book)
    _what_is_missing(book, [name for name, _, _ in sections])
    del book.steps[MOST_STEPS:]
    return Imported(
        _written(book, wanted, title if " " in title else spoken(title), today),
        len(book.steps) + 1,
        tuple(sorted(set(book.remarks))),
    )


def _sections(found: Sequence[Block], book: _Book) -> list[tuple[str, Block, list[Block]]]:
    """(what it is for us, its heading, what stands in it), as the headings of the second level part them."""
    parts: list[tuple[Block | None, list[Block]]] = [(None, [])]
    for block in found:
        if block.kind == "heading" and block.level <= 2:
            if block.level == 2:
                parts.append((block, []))
        else:
            parts[-1][1].append(block)
    sections = []
    for heading, inside in parts:
        name = _SECTIONS.get(heading.text.lower().strip(" :"), "") if heading is not None else "meaning"
        if heading is None and inside:
            sections.append((name, inside[0], inside))
        elif heading is not None and name:
            sections.append((name, heading, inside))
        elif heading is not None:
            book.told(heading.line, f'the section "{heading.text}" has no place in a runbook: it is left out')
    return sections


def _told_texts(name: str, inside: Sequence[Block], book: _Book) -> None:
    into = book.meaning if name == "meaning" else book.impact
    for block in inside:
        _keep_links(block, book)
        if block.kind in {"text", "item"} and not _NOTHING.fullmatch(block.text):
            into.append(f"• {block.text}" if block.kind == "item" else block.text)
        elif block.kind == "code":
            book.told(block.line, f"code in the {name} is left out")


def _keep_links(block: Block, book: _Book) -> None:
    for title, url in block.links:
        book.links.setdefault(url, title if title.lower() not in _VAGUE else url.split("//", 1)[1])


def _steps(heading: Block, inside: Sequence[Block], book: _Book) -> None:
    """A step for each stretch of text under one heading, for each numbered item and for each piece of code."""
    title, before = "", len(book.steps)
    pending: list[Block] = []
    for block in inside:
        _keep_links(block, book)
        if block.kind == "heading":
            _close(title, pending, book)
            title, pending = block.text, []
        elif block.kind == "code":
            lead = _last_sentence(pending[-1].text) if pending else ""
            if (
                len(pending) != 1 or pending[0].links or lead != pending[0].text.rstrip(".: ")
            ):  # else the title says all
                _close(title, pending, book)
            pending = []
            _code(block, title, lead, book)
        elif block.numbered:
            _close(title, pending, book)
            title, pending = "", []
            _close("", [block], book)
        elif _NOTHING.fullmatch(block.text):
            book.told(block.line, f'"{block.text}" is left out: nobody can do that')
        else:
            pending.append(block)
    _close(title, pending, book)
    if len(book.steps) == before:
        book.told(heading.line, f'the section "{heading.text}" says nothing that can be done')


def _close(heading: str, pending: Sequence[Block], book: _Book) -> None:
    """What has been read so far as a step that a person does."""
    if pending and all(block.links and block.text in {title for title, _ in block.links} for block in pending):
        return  # a list of links: they are kept as such
    lines = [f"• {one.text}" if one.kind == "item" and len(pending) > 1 else one.text for one in pending]
    if not lines:
        return
    text = "\n".join(lines)
    if len(text) > _MOST_TEXT:
        book.told(pending[0].line, f"longer than Slack has room for, cut after {_MOST_TEXT} characters")
        text = text[: _MOST_TEXT - 1].rstrip() + "…"
    urls = {url for block in pending for _, url in block.links}
    title = heading or _first_sentence(pending[0].text)
    step = _Step("manual", title, pending[0].line, text)
    step.url = next(iter(urls)) if len(urls) == 1 else ""
    book.steps.append(step)


def _code(block: Block, heading: str, lead: str, book: _Book) -> None:
    if not block.text.strip():
        return
    title = lead or heading
    if block.language in {"promql", "promql-query"} or (
        block.language in {"plain", "indented"} and _is_query(block.text)
    ):
        _query(block, title, book)
        return
    command, output = _command(block)
    if command:
        if output:
            book.told(block.line, "what the command prints is left out")
        for placeholder in dict.fromkeys(_PLACEHOLDER.findall(command)):
            text = f"{placeholder} is for people to fill in; of an alert's label it is {{{{ alert.labels.NAME }}}}"
            book.told(block.line, text)
        book.steps.append(_Step("command", title or f"Run {command.split()[0]}", block.line, command))
        return
    book.told(block.line, f"{block.language} is kept as text: it is no command")
    book.steps.append(_Step("manual", title or "Compare with this", block.line, block.text))


def _command(block: Block) -> tuple[str, bool]:
    """The lines to type, and whether something else stood between them. Empty when it is no command."""
    lines = block.text.splitlines()
    prompted = any(line.startswith(("$ ", "# ")) and block.language != "plain" for line in lines)
    prompted = prompted or any(line.startswith("$ ") for line in lines)
    if not prompted:
        return (block.text.strip(), False) if block.language in _SHELLS else ("", False)
    typed: list[str] = []
    output = goes_on = False
    for line in lines:
        if line.startswith("$ ") or goes_on or (line.startswith("# ") and block.language == "console"):
            typed.append(line if goes_on else line[2:])
            goes_on = line.rstrip().endswith("\\")
        elif line.strip():
            output = True
    return "\n".join(typed).strip(), output


def _is_query(text: str) -> bool:
    """Of code without a language: a function of PromQL is called, or a selector stands in it."""
    if "$ " in text or not re.search(r"[a-z_:]+\{[^}]*=|\[\d+[smhd]\]", text):
        return False
    try:
        parse_query(text)
    except QueryError:
        return False
    return True


def _query(block: Block, title: str, book: _Book) -> None:
    """One that compares with a number is a check: what it looks for is what is bad."""
    try:
        seen = observed(parse_query(block.text).node)
    except QueryError as error:
        book.told(block.line, f"this is no PromQL that could be asked: {error}")
        book.steps.append(_Step("manual", title or "Ask", block.line, block.text))
        return
    if seen.threshold is None or seen.comparison not in _EXPECT:
        text = "a query that says nothing of what is good is kept as text: make it a check with expect"
        book.told(block.line, text)
        book.steps.append(_Step("manual", title or "Ask", block.line, block.text))
        return
    expect = f"{_EXPECT[seen.comparison]} {seen.threshold:g}"
    book.told(block.line, f"a query became a check that expects {expect}: look whether that is meant")
    book.steps.append(_Step("check", title or "Ask", block.line, query=_left(block.text, seen.query), expect=expect))


def _left(text: str, query: str) -> str:
    """What its author wrote before the comparison at the end; `query` is the same in the engine's words."""
    found = re.fullmatch(r"(.*?)\s*(?:[<>]=?|[!=]=)\s*[-+.\w]+\s*", text, re.DOTALL)
    try:
        return found[1] if found is not None and parse_query(found[1]).node.key == query else query
    except QueryError:
        return query


def _first_sentence(text: str) -> str:
    end = re.search(r"[.:!?](?:\s|$)", text)
    first = (text[: end.start()] if end else text).strip(" -•")
    return first if len(first) <= _MOST_TITLE else first[: _MOST_TITLE - 1].rsplit(" ", 1)[0] + "…"


def _last_sentence(text: str) -> str:
    """Of what stands before a piece of code, if it is short enough for a title."""
    last = re.split(r"[.:!?]\s+", text.rstrip(".: "))[-1].strip(" -•")
    return last if len(last) <= _MOST_TITLE else _first_sentence(last)


def _what_is_missing(book: _Book, names: Sequence[str]) -> None:
    if "impact" not in names or not book.impact:
        book.told(0, "it says nothing of the impact: say who suffers")
    if not book.steps:
        book.told(0, "it says nothing that can be done: write the steps")
    if not any(step.kind == "check" for step in book.steps):
        book.told(0, "there is no check: begin with one that tells whether it is still going on")
    if len(book.steps) > MOST_STEPS:
        left = book.steps[MOST_STEPS]
        book.told(left.line, f"a runbook has at most {MOST_STEPS + 1} steps: what comes from here on is left out")
    if len(book.links) > _MOST_LINKS:
        book.told(0, f"a runbook has at most {_MOST_LINKS} links: {len(book.links) - _MOST_LINKS} are left out")


# Written --------------------------------------------------------------------------------------------------------------


def _written(book: _Book, wanted: Wanted, title: str, today: date) -> str:
    out = [
        f"{MODELINE}{wanted.schema}",
        f"# Imported on {today.isoformat()}. Nobody has gone through it yet: set reviewed_on when somebody has.",
        "schema: runbook/v1",
        f"id: {scalar(wanted.id)}",
        f"title: {_text(title)}",
        f"owner: {scalar(wanted.owner)}",
        "applies_to: ['" + matchers(wanted.alert, ()).replace("'", "''") + "']",
    ]
    out += _block("summary", "\n".join(book.meaning)[:_MOST_TEXT], "")
    out += _block("impact", "\n".join(book.impact)[:_MOST_TEXT], "")
    out.append("steps:")
    ids: set[str] = {"up"}
    for step in book.steps:
        out += _step_lines(step, _id(step.title, ids), book.run_on)
    out += ["  - id: up", "    kind: escalate", "    title: Wake the next level", '    to: "level:2"', "    after: 20m"]
    if book.links:
        out.append("links:")
        for url, name in list(book.links.items())[:_MOST_LINKS]:
            out.append(f"  - {{title: {_quoted(_template(name)[:_MOST_TITLE])}, url: {_quoted(_template(url))}}}")
    return "\n".join(out) + "\n"


def _step_lines(step: _Step, step_id: str, run_on: str) -> list[str]:
    lines = [f"  - id: {scalar(step_id)}", f"    kind: {step.kind}", f"    title: {_text(step.title)}"]
    if step.kind == "check":
        return [*lines, *_block("query", step.query, "    "), f"    expect: {_quoted(step.expect)}"]
    if step.kind == "command":
        lines.append(f"    run_on: {_text(run_on)}")
    lines += _block("text", step.text, "    ")
    return lines + ([f"    url: {_quoted(_template(step.url))}"] if step.url else [])


def _id(title: str, taken: set[str]) -> str:
    words = re.findall(r"[a-z0-9]+", title.lower())
    name = "-".join(words[:5])[:40].strip("-") or "step"
    found, number = name, 2
    while found in taken:
        found, number = f"{name}-{number}", number + 1
    taken.add(found)
    return found


def _template(text: str) -> str:
    """Prometheus' labels and values as ours; any other brace stands for itself."""
    text = _VALUE.sub("\x00value\x01", _LABEL.sub("\x00labels.\\1\x01", text))
    if re.search(r"\{[{%#]|[}%#]\}", text):
        text = "{% raw %}" + text.replace("{% endraw", "{ % endraw") + "{% endraw %}"
        text = re.sub("\x00([^\x01]*)\x01", r"{% endraw %}{{ alert.\1 }}{% raw %}", text)
    return re.sub("\x00([^\x01]*)\x01", r"{{ alert.\1 }}", text)


def _text(text: str) -> str:
    """On one line."""
    return scalar(_template(" ".join(text.split())))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _block(key: str, text: str, indent: str) -> list[str]:
    """A key with a text of one line or more; without text no key."""
    text = _template(text).replace("\t", "  ")
    lines = [line.rstrip() for line in text.strip("\n").split("\n")]
    if not any(lines):
        return []
    if len(lines) == 1:
        return [f"{indent}{key}: {scalar(lines[0])}"]
    if lines[0].startswith(" "):
        return [f"{indent}{key}: {_quoted(chr(10).join(lines))}"]
    return [f"{indent}{key}: |-", *(f"{indent}  {line}".rstrip() for line in lines)]
