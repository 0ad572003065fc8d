"""What people ask for in words that concerns no incident yet: pages, tests, overrides, swaps, explanations."""

from __future__ import annotations

from bot.errors import UsageError
from bot.incidents.people import person_named
from bot.oncall import changes
from bot.oncall.changes import Plan
from bot.ports import Actor
from bot.slack import answers
from bot.slack.grammar import Request
from bot.slack.reception import Reception
from bot.slack.span_words import span_of

VERBS = frozenset({"page", "test", "override", "swap", "unoverride", "overrides", "explain", "web"})
_ME = {"me", "i", "myself"}


async def answer(at: Reception, request: Request, actor: Actor, key: str | None) -> answers.Answer:
    """Raises UsageError, ConflictError."""
    words, desks = list(request.words), at.desks
    match request.verb:
        case "page":
            if not words:
                raise UsageError('say whom to page, and why: page refund-agent "refunds are doubled"')
            outcome = await desks.paging.page(actor, words[0], " ".join(words[1:]), event_key=key)
            return answers.say(outcome.message)
        case "test":
            if len(words) > 1:
                raise UsageError("name one person, team or agent, or me: test me, test team:payments")
            outcome = await desks.paging.test(actor, words[0] if words else "me", event_key=key)
            return answers.say(outcome.message)
        case "override" | "swap":
            made = await desks.rotas.add(actor, _plan(at, request.verb, words, actor), event_key=key)
            zone = actor.person.timezone if actor.person else "UTC"
            told = f"{made.id}: {changes.told(made, at.book, zone)}. Incidents that are open keep the rota they began "
            return answers.say(f"{told}with. To take it back: unoverride {made.id}")
        case "unoverride":
            if not words:
                raise UsageError("name the override or swap: unoverride ROTA-3; `overrides` lists them")
            ended = await desks.rotas.end(actor, words[0], event_key=key)
            return answers.say(f"{ended.id} is taken back; the rota is as it was without it.")
        case "overrides":
            return answers.overrides(await desks.rotas.changes(), at.book, at.clock.now())
        case "explain":
            return answers.explained(await desks.explaining.explain(words), at.clock.now())
        case _:
            return answers.web(desks.explaining.external_url)


def _plan(at: Reception, verb: str, words: list[str], actor: Actor) -> Plan:
    """`override payments @ben 18:00..22:00 why`; a swap with one name is with whoever asks."""
    if len(words) < 2:
        example = "override payments @ben 18:00..22:00" if verb == "override" else "swap payments @ben 18:00..22:00"
        raise UsageError(f"name a schedule or team, a person, and a time: {example}")
    schedule, people = words[0], [_person(at, words[1], actor)]
    rest = words[2:]
    if verb == "swap":
        if rest and (other := _maybe_person(at, rest[0], actor)) is not None:
            people, rest = [*people, other], rest[1:]
        elif actor.person is not None:
            people = [actor.person.id, *people]
    zone = actor.person.timezone if actor.person else "UTC"
    start, until, why = span_of(rest, at.clock.now(), zone)
    return Plan("swap" if verb == "swap" else "override", schedule, tuple(people), start, until, " ".join(why))


def _person(at: Reception, word: str, actor: Actor) -> str:
    if word.lower() in _ME and actor.person is not None:
        return actor.person.id
    return person_named(word, at.book)


def _maybe_person(at: Reception, word: str, actor: Actor) -> str | None:
    try:
        return _person(at, word, actor)
    except UsageError:
        return None
