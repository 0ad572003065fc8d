"""One change that a person asked for, by a button or in words: from its verb to the Commands port."""

from __future__ import annotations

from bot.errors import UsageError
from bot.ports import Actor, Commands, Outcome
from bot.slack.grammar import OF_INCIDENT

_COMMANDS = OF_INCIDENT - {"note", "mark", "step"}  # those that are commands of the same name


async def carry_out(
    commands: Commands, verb: str, actor: Actor, reference: str | None, key: str | None, more: str = ""
) -> Outcome:
    """`more` is what some words need besides the incident: until when, or who. `key` makes a second delivery of one
    click harmless."""
    match verb:
        case "take":
            return await commands.take(actor, reference, event_key=key)
        case "escalate":
            return await commands.escalate(actor, reference, event_key=key)
        case "snooze":
            return await commands.snooze(actor, reference, more, event_key=key)
        case "note":
            return await commands.note(actor, reference, more, event_key=key)
        case "mark":
            return await commands.mark(actor, reference, more, event_key=key)
        case "step":
            return await _step(commands, actor, reference, key, more)
        case "hand":
            return await commands.hand(actor, reference, more, event_key=key)
        case "ack":
            return await commands.ack(actor, reference, event_key=key)
        case "ack_all":
            return await commands.ack_all(actor, reference or "", event_key=key)
        case "pass":
            return await commands.decline(actor, reference, event_key=key)
        case "release":
            return await commands.release(actor, reference, event_key=key)
        case _:
            return await commands.resolve(actor, reference, event_key=key)


_STATES = {"done": "done", "skip": "skipped", "skipped": "skipped", "failed": "failed", "fail": "failed"}
_STATES |= {"undone": "undone", "undo": "undone"}


async def _step(commands: Commands, actor: Actor, reference: str | None, key: str | None, more: str) -> Outcome:
    """`3 done`, `rotate skip no access`, `which Credential`: a step by number or id, and what became of it. Other words
    are the choice of a decision."""
    step, _, said = more.partition(" ")
    if not step:
        raise UsageError("name the step and what became of it: step INC-7 3 done")
    first, _, text = said.strip().partition(" ")
    state = _STATES.get(first.lower())
    if state is None:
        state, text = "done", said
    return await commands.step(actor, reference, step, state, text.strip(), event_key=key)


def broken(verb: str, reference: str | None) -> str:
    """What a person is told when something failed inside agentpager."""
    otherwise = f", or run `agentpager {verb} {reference or 'INC-…'}`" if verb in _COMMANDS else ""
    return f"Not recorded: something failed inside agentpager. Try again{otherwise}."
