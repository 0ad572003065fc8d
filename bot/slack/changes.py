"""One change that a person asked for, by a button or in words: from its verb to the Commands port."""

from __future__ import annotations

from bot.ports import Actor, Commands, Outcome
from bot.slack.grammar import CHANGES

_COMMANDS = CHANGES - {"silence", "unsilence", "note", "mark"}  # those that are commands of the same name


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


def broken(verb: str, reference: str | None) -> str:
    """What a person is told when something failed inside agentpager."""
    otherwise = f", or run `agentpager {verb} {reference or 'INC-…'}`" if verb in _COMMANDS else ""
    return f"Not recorded: something failed inside agentpager. Try again{otherwise}."
