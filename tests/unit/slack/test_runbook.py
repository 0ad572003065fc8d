"""What the thread has room for."""

from __future__ import annotations

import pytest
from core_world import NOW, alert, opened

from bot.runbooks.rendered import Rendered, RenderedLink, RenderedStep
from bot.slack.runbook import losses, thread_parts

INCIDENT = opened(alert())


def rendered(*steps, **changes):
    return Rendered(runbook="slow", title="Slow", steps=tuple(steps), rendered_at=NOW, **changes)


def manual(number, text="do it"):
    return RenderedStep(number=number, id=f"s{number}", kind="manual", title=f"Step {number}", text=text)


def command(text):
    return RenderedStep(number=1, id="c", kind="command", title="C", command=text, run_on="here")


def test_texts_are_shortened_before_a_single_step_goes():
    steps = [manual(number, "x" * 1500) for number in range(1, 9)]  # one too many for 12,000 characters
    told = str(thread_parts(INCIDENT, rendered(*steps), NOW))
    assert all(f"*{number} · Step {number}*" in told for number in range(1, 9))
    assert [lost for _, lost in losses(INCIDENT, rendered(*steps), NOW)] == ["the text is cut"] * 8


@pytest.mark.parametrize(
    ("what", "lost"),
    [
        (rendered(manual(1)), []),
        (rendered(command("x" * 900)), []),
        (rendered(command("x" * 901)), [("c", "the command is cut, and cannot be copied")]),
        (rendered(command("<" * 226)), [("c", "the command is cut, and cannot be copied")]),  # &lt; each
        (rendered(manual(1, "x" * 1500)), []),
        (rendered(manual(1, "x" * 1501)), [("s1", "the text is cut")]),
        (rendered(manual(1), summary="x" * 801), [("", "the summary is cut")]),
        (rendered(manual(1), impact="x" * 601), [("", "the impact is cut")]),
        (
            rendered(manual(1), links=tuple(RenderedLink(title="x", url="https://x.example") for _ in range(11))),
            [("", "not all of its links are shown")],
        ),
    ],
)
def test_what_does_not_fit_is_named(what, lost):
    assert losses(INCIDENT, what, NOW) == lost


def test_steps_beyond_the_last_block_are_named():
    steps = [manual(number) for number in range(1, 22)]
    lost = losses(INCIDENT, rendered(*steps), NOW)
    shown = str(thread_parts(INCIDENT, rendered(*steps), NOW))
    assert lost
    for step in steps:
        assert (f"Step {step.number}*" in shown) is ((step.id, "it is left out") not in lost)
