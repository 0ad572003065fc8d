"""What people ask for in words besides changes of an incident: pages, tests, overrides, swaps, requests of runbooks,
explanations."""

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

_LADDER = "ladder"
_ME = {"me", "i", "myself"}


async def answer(at: Reception, request: Request, actor: Actor, key: str | None) -> answers.Answer:
    """Raises UsageError, ConflictError."""
    return await _ANSWERS[request.verb](at, request, actor, key)


async def _page(at: Reception, request: Request, actor: Actor, key: str | None) -> answers.Answer:
    if not request.words:
        raise UsageError('say whom to page, and why: page refund-agent "refunds are doubled"')
    target, *why = request.words
    return answers.say((await at.desks.paging.page(actor, target, " ".join(why), event_key=key)).message)


async def _test(at: Reception, request: Request, actor: Actor, key: str | None) -> answers.Answer:
    if len(request.words) > 1:
        raise UsageError("name one person, team or agent, or me: test me, test team:payments")
    target = request.words[0] if request.words else "me"
    return answers.say((await at.desks.paging.test(actor, target, event_key=key)).message)


async def _drill(at: Reception, request: Request, actor: Actor, key: str | None) -> answers.Answer:
    if not request.words or at.desks.drills is None:
        raise UsageError("name the agent whose page to try: drill refund-agent; `status` lists the agents")
    agent, *more = request.words
    ladder = _LADDER in more
    runbook = next((word for word in more if word != _LADDER), "")
    begun = await at.desks.drills.start(actor, agent, runbook=runbook, whole_ladder=ladder, event_key=key)
    return answers.say(begun.message)


async def _override(at: Reception, request: Request, actor: Actor, key: str | None) -> answers.Answer:
    plan = _plan(at, request.verb, list(request.words), actor)
    made = await at.desks.rotas.add(actor, plan, event_key=key)
    zone = actor.person.timezone if actor.person else "UTC"
    told = f"{made.id}: {changes.told(made, at.book, zone)}. Incidents that are open keep the rota they began "
    return answers.say(f"{told}with. To take it back: unoverride {made.id}")


async def _unoverride(at: Reception, request: Request, actor: Actor, key: str | None) -> answers.Answer:
    if not request.words:
        raise UsageError("name the override or swap: unoverride ROTA-3; `overrides` lists them")
    ended = await at.desks.rotas.end(actor, request.words[0], event_key=key)
    return answers.say(f"{ended.id} is taken back; the rota is as it was without it.")


async def _overrides(at: Reception, _request: Request, _actor: Actor, _key: str | None) -> answers.Answer:
    return answers.overrides(await at.desks.rotas.changes(), at.book, at.clock.now())


async def _settle(at: Reception, request: Request, actor: Actor, key: str | None) -> answers.Answer:
    if not request.words:
        raise UsageError(f"name the incident, or the request: {request.verb} INC-7, {request.verb} RUN-3")
    settle = at.desks.acting.agree if request.verb == "approve" else at.desks.acting.refuse
    return answers.say((await settle(actor, request.words[0], event_key=key)).message)


async def _actions(at: Reception, request: Request, _actor: Actor, _key: str | None) -> answers.Answer:
    if not request.words:
        raise UsageError("name the incident: actions INC-7")
    return answers.runs(request.words[0], await at.desks.acting.runs(request.words[0]))


async def _explain(at: Reception, request: Request, _actor: Actor, _key: str | None) -> answers.Answer:
    return answers.explained(await at.desks.explaining.explain(request.words), at.clock.now())


async def _web(at: Reception, _request: Request, _actor: Actor, _key: str | None) -> answers.Answer:
    return answers.web(at.desks.explaining.external_url)


_ANSWERS = {
    "page": _page,
    "test": _test,
    "drill": _drill,
    "override": _override,
    "swap": _override,
    "unoverride": _unoverride,
    "overrides": _overrides,
    "approve": _settle,
    "refuse": _settle,
    "actions": _actions,
    "explain": _explain,
    "web": _web,
}
VERBS = frozenset(_ANSWERS)


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
