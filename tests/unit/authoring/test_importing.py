"""Runbooks in Markdown into ours: what becomes of each part, and that nothing is lost without a word."""

from __future__ import annotations

from datetime import date
from random import Random

import pytest

from bot.authoring.importing import Imported, Wanted, imported
from bot.runbooks.lint import problems
from bot.runbooks.model import Runbook
from bot.yamldoc import scan

WANTED = Wanted("DiskFull", "DiskFull", "team:storage", "your laptop", "schema/runbook.v1.json")
WHOLE = """---
title: Disk Full
weight: 20
---

# DiskFull

## Meaning

A disk of **{{ $labels.instance }}** is nearly full
([why][1]).

## Impact

Writes fail.

## Diagnosis

Look at what grows, and see [the board](https://board.example.com/d/disk).

How much is free:

```promql
disk_free_ratio{instance="x"} < 0.05
```

Find the largest directories:

```console
$ du -xh / \\
    | sort -h | tail
/var 80G
```

## Mitigation

### Delete old files

1. Ask the owner.
2. Delete what is older than `30d`.

### Grow the disk

TODO

[1]: https://wiki.example.com/disks
"""


def converted(text: str, wanted: Wanted = WANTED) -> tuple[Runbook, Imported]:
    made = imported(text, wanted, date(2026, 11, 21))
    document, findings = scan(made.text, "DiskFull.yaml")
    assert findings == []
    assert document is not None
    runbook = document.validate(Runbook)
    assert problems(runbook, "DiskFull") == []
    return runbook, made


def section(text: str) -> str:
    return f"# A\n\n## Impact\n\nAll.\n\n## Diagnosis\n\n{text}\n"


def remarks(text: str) -> list[str]:
    return [f"{one.line}: {one.text}" for one in converted(text)[1].remarks]


def test_the_four_sections_find_their_place():
    runbook, made = converted(WHOLE)
    assert (runbook.id, runbook.title, runbook.owner) == ("DiskFull", "Disk Full", "team:storage")
    assert runbook.applies_to == ('alertname="DiskFull"',)
    assert runbook.summary == "A disk of {{ alert.labels.instance }} is nearly full (why)."
    assert runbook.impact == "Writes fail."
    assert [(step.kind, step.title) for step in runbook.steps] == [
        ("manual", "Look at what grows, and see the board"),
        ("check", "How much is free"),
        ("command", "Find the largest directories"),
        ("manual", "Ask the owner"),
        ("manual", "Delete what is older than 30d"),
        ("escalate", "Wake the next level"),
    ]
    look, free, find, *_, up = runbook.steps
    assert look.url == "https://board.example.com/d/disk"
    assert (free.query, free.expect) == ('disk_free_ratio{instance="x"}', ">= 0.05")
    assert (find.text, find.run_on) == ("du -xh / \\\n    | sort -h | tail", "your laptop")
    assert up.to == "level:2"
    assert [(link.title, link.url) for link in runbook.links] == [
        ("why", "https://wiki.example.com/disks"),
        ("the board", "https://board.example.com/d/disk"),
    ]
    assert [f"{one.line}: {one.text}" for one in made.remarks] == [
        "23: a query became a check that expects >= 0.05: look whether that is meant",
        "29: what the command prints is left out",
        '44: "TODO" is left out: nobody can do that',
    ]
    assert runbook.reviewed_on is None


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        (section("```promql\nup\n```"), "9: a query that says nothing of what is good is kept as text"),
        (section("```promql\nup ==\n```"), "9: this is no PromQL that could be asked"),
        (section("```yaml\na: b\n```"), "9: yaml is kept as text: it is no command"),
        (section("![graph](x.png) See."), '9: a picture is left out: "graph"'),
        (section("See [that](other.md)."), '9: the link to "other.md" leads nowhere outside of that page'),
        (section('See {{< ref "x" >}}.'), '9: {{< ref "x" >}} means something to the site\'s generator only'),
        (section("| a | b |\n|---|---|\n| 1 | 2 |"), "10: a table is left as lines of text"),
        (section("```sh\nrun <pod>\n```"), "9: <pod> is for people to fill in"),
        (section("```sh\nrun"), "9: the code that begins here is never closed"),
        (section("Do.\n\n## Notes\n\nx"), '11: the section "Notes" has no place in a runbook: it is left out'),
        (section("word " * 400), "9: longer than Slack has room for, cut after 1500 characters"),
        (section("Do."), "0: there is no check"),
        ("# A\n\n## Diagnosis\n\nDo.\n", "0: it says nothing of the impact: say who suffers"),
        (section("TODO"), "0: it says nothing that can be done: write the steps"),
        (section("\n".join(f"1. Do {n}." for n in range(40))), "38: a runbook has at most 30 steps"),
        (section("\n".join(f"- [{n}](https://x.example/{n})" for n in range(30))), "0: a runbook has at most 20 links"),
        (section("Do.").replace("All.", "All.\n\n```\nx\n```"), "7: code in the impact is left out"),
    ],
)
def test_what_does_not_fit_is_told_with_its_line(text, remark):
    assert [one for one in remarks(text) if one.startswith(remark)], remarks(text)


def test_braces_of_others_stand_for_themselves():
    command = "kubectl get nodes -o template --template='{{range .items}}{{.name}}{{end}}'"
    runbook, _ = converted(section(f"```sh\n{command} {{{{ $labels.pod }}}}\n```"))
    raw = "{% raw %}" + command + " {% endraw %}{{ alert.labels.pod }}{% raw %}{% endraw %}"
    assert runbook.steps[0].text == raw


def test_every_step_has_an_id_of_its_own():
    runbook, _ = converted(section("1. Up\n2. Up\n3. ¿?\n4. Restart the thing now, and do look at it\n"))
    assert [step.id for step in runbook.steps] == ["up-2", "up-3", "step", "restart-the-thing-now-and", "up"]


HOSTILE = [
    "{{ x }}",
    "{% endraw %}",
    "{# a",
    "a: b # c",
    "- x",
    "> y",
    "'",
    '"',
    "\\",
    "```",
    "## Impact",
    "# A",
    "* * *",
]
HOSTILE += [
    "\x07",
    "\u202ex",
    "é\t",
    "[a](b",
    "<b",
    "![",
    "| - |",
    "---",
    "`",
    "``",
    "1. ",
    "    code",
    "😀",
    "&amp;",
    "%}",
    "~~~",
    "\x00v\x01",
]


def test_whatever_stands_in_it_the_outcome_is_a_sound_runbook():
    random = Random(7)
    for _ in range(300):
        lines = [" ".join(random.choices(HOSTILE, k=random.randint(1, 4))) for _ in range(random.randint(0, 14))]
        converted("\n".join(["# A", "## Meaning", *lines[:3], "## Diagnosis", *lines]))
