"""Notes and marks: what is kept, what is refused."""

from __future__ import annotations

import pytest
from core_world import WORLD, after, ended, observe, opened

from bot.errors import ConflictError, UsageError
from bot.incidents import notes, people
from bot.incidents.model import Event, Note, State


def test_a_note_is_kept_with_its_author_and_wakes_nobody():
    before = opened()
    decision = notes.note(before, "person:ana", "  restarted the worker\n", after(minutes=3))
    assert decision.incident.notes == (Note(at=after(minutes=3), by="person:ana", text="restarted the worker"),)
    assert (decision.event, decision.why, decision.actor) == (Event.NOTED, "restarted the worker", "person:ana")
    assert (decision.wake, decision.channels, decision.say, decision.cancel) == ((), (), (), False)
    # Nothing but the notes is changed: deadlines, state and the messages stay as they are.
    assert decision.incident.model_copy(update={"notes": ()}) == before


@pytest.mark.parametrize("state", State)
def test_notes_and_marks_are_taken_in_every_state(state):
    incident = opened().model_copy(update={"state": state})
    assert notes.note(incident, "cli:root", "seen", after()).incident.state is state
    assert notes.mark(incident, "cli:root", "noise").incident.state is state


def test_what_cannot_be_seen_is_taken_out_and_lines_stay():
    written = notes.note(opened(), "cli:root", "one\x1b[31m\u202e\r\n\ttwo\x00", after()).incident.notes[0].text
    assert written == "one[31m\n two"


@pytest.mark.parametrize("text", ["", " \n\t", "\x00\u200b"])
def test_an_empty_note_is_refused(text):
    with pytest.raises(UsageError, match="empty"):
        notes.note(opened(), "cli:root", text, after())


def test_a_note_has_a_thousand_characters_at_most():
    assert len(notes.note(opened(), "cli:root", "x" * 1000, after()).why) == 1000
    with pytest.raises(UsageError, match="1001 characters, 1000 at most"):
        notes.note(opened(), "cli:root", "x" * 1001, after())


def test_an_incident_has_a_hundred_notes_at_most():
    incident = opened()
    for number in range(100):
        incident = notes.note(incident, "cli:root", f"note {number}", after()).incident
    with pytest.raises(ConflictError, match="INC-1 has 100 notes"):
        notes.note(incident, "cli:root", "one more", after())


def test_the_last_mark_counts():
    first = notes.mark(opened(), "person:ana", "right")
    second = notes.mark(first.incident, "person:ben", "noise")
    assert (first.incident.mark, first.incident.marked_by, first.why) == (
        "right",
        "person:ana",
        "it was right to wake somebody",
    )
    assert (second.incident.mark, second.incident.marked_by, second.event) == ("noise", "person:ben", Event.MARKED)


def test_a_mark_is_right_or_noise():
    with pytest.raises(UsageError, match='"meh" is no mark; write right or noise'):
        notes.mark(opened(), "person:ana", "meh")


def test_notes_and_marks_outlive_what_comes_later():
    incident = notes.mark(notes.note(opened(), "person:ana", "a", after()).incident, "person:ana", "noise").incident
    acked = people.ack(incident, "person:ana", after(minutes=1)).incident
    (cleared,) = observe([ended(alert, after(minutes=2)) for alert in acked.alerts], [acked], after(minutes=2))
    assert (cleared.incident.state, len(cleared.incident.notes), cleared.incident.mark) == (State.RESOLVED, 1, "noise")


def test_a_mark_is_shown_so_its_messages_are_drawn_anew():
    assert notes.mark(opened(), "person:ana", "noise").incident.revision == opened().revision + 1


def test_what_is_no_real_problem_is_marked_noted_and_filed_with_its_owner():
    decision = notes.no_problem(opened(), "person:ana", "sensitive", "spikes at every deploy", WORLD, after())
    assert (decision.event, decision.why) == (Event.MARKED, "it was noise: too sensitive: spikes at every deploy")
    assert (decision.incident.mark, decision.incident.marked_by) == ("noise", "person:ana")
    assert decision.incident.notes[-1].text == "No real problem, too sensitive: spikes at every deploy"
    assert (decision.wake, decision.say, decision.cancel) == ((), (), False)
    (task,) = decision.tasks
    assert task.channel == "#payments-agents"
    assert task.text.split("\n") == [
        "ErrorsHigh: no real problem, too sensitive",
        "Ana says so of INC-1, ErrorsHigh of refund-agent.",
        "In their words: spikes at every deploy",
        "What it is about",
        "• Rule ErrorsHigh (alerts/agents.yaml, group agents)",
        "• Owner team:payments, owner of agent refund-agent",
        "Raise its limit, lengthen its `for`, or lower its severity.",
    ]


def test_without_words_the_kind_says_it():
    decision = notes.no_problem(opened(), "person:ana", "duplicate", " ", WORLD, after())
    assert decision.why == "it was noise: a duplicate"


def test_a_kind_of_noise_that_there_is_not_is_refused():
    with pytest.raises(UsageError, match='"boring" is no kind of noise; write one of sensitive, known'):
        notes.no_problem(opened(), "person:ana", "boring", "", WORLD, after())
