"""How a test of somebody's page looks: never like something that is wrong. Pure, like blocks.py."""

from __future__ import annotations

from bot.incidents.exercise import asked_by, result_of
from bot.incidents.model import State
from bot.slack.facts import Scene, actor_name
from bot.slack.kit import TEXT_LIMIT, Block, Part, actions, button, context, fit, header, section
from bot.slack.text import cut_escaped, due, mrk

ACK = "inc.ack"


def test_text(scene: Scene) -> str:
    """The push message."""
    incident = scene.incident
    if incident.state is State.OPEN:
        return f"🧪 TEST page: nothing is wrong. Press Acknowledge to show that it reached you. {incident.id}"
    return cut_escaped(f"{_sign(scene)}. {_sentence(result_of(incident))} {incident.id}", TEXT_LIMIT)


def test_blocks(scene: Scene) -> list[Block]:
    incident = scene.incident
    if incident.state is not State.OPEN:
        parts = [Part(100, header(_sign(scene))), Part(90, section(_sentence(result_of(incident))))]
        if incident.acked_by:
            parts.append(Part(80, section(f"Acknowledged by *{actor_name(incident.acked_by, scene.book)}*.")))
        return fit([*parts, Part(10, context(f"{incident.id} · a test: it counts in no report"))])
    person = scene.book.people.get(scene.page.person or "")
    mention = f"<@{person.slack}> " if person else ""
    asker = asked_by(incident)
    own = person is not None and asker == f"person:{person.id}"
    asked = "" if own else f"*{actor_name(asker, scene.book)}* asked for it."
    told = f"{mention}this only tries whether a page reaches you. {asked}".rstrip()
    how = "Press *Acknowledge*: it is over then, and says how long it took."
    ends = f"Without an answer it ends by itself {due(incident.next_at, scene.now)}" if incident.next_at else ""
    return fit(
        [
            Part(100, header("🧪 TEST PAGE · nothing is wrong")),
            Part(95, section(told, how)),
            Part(
                90,
                actions(
                    f"{incident.id}.{incident.revision}",
                    [button("Acknowledge", ACK, f"{incident.id}|{incident.revision}", "primary")],
                ),
            ),
            Part(10, context(" · ".join(filter(None, [incident.id, ends, "nobody else is woken"])))),
        ]
    )


def _sign(scene: Scene) -> str:
    incident = scene.incident
    if result_of(incident).startswith("passed"):
        return "✅ TEST PASSED"
    if incident.acked_by:
        return "⚠️ TEST PROVES NOTHING"
    return "⚪ TEST NOT ANSWERED" if incident.how_resolved == "cleared" else "⚪ TEST CLOSED"


def _sentence(result: str) -> str:
    """`passed: Slack had it after 0.8 s; …` without the word that the header says."""
    head, colon, rest = result.partition(": ")
    text = rest if colon and head in {"passed", "not answered", "proves nothing"} else result
    text = text or "Closed by hand, so it shows nothing"
    return mrk(text[:1].upper() + text[1:], 600) + "."
