"""What a running server is asked about the readiness of agents, and what its answers show. Who asks is elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from bot.agents.model import Agent
from bot.agents.readiness import Domain, Signal, Status
from bot.readiness.model import Dossier, Drill, Facts, Live, Proof, TrackRecord, Watch
from bot.readiness.paper import LASTS, as_percent, begun, dollars, few, lacking, shown, unasked, writing

MOST = 500  # questions in one round
SETTLING = timedelta(minutes=10)  # after a start; until then a series that is not there proves nothing
RECORD_DAYS = 28
LONG_ENOUGH = timedelta(days=7)
MANY_RUNS = 50
SCRAPED = "group by (agent) (up)"
ANSWERING = "group by (agent) (up == 1)"
AUDIT = "agent_audit_records_total"
PASS8 = 'min by (agent, suite) (agent_eval_pass_k{k="8"})'

_DOMAIN = {
    Signal.ERRORS: Domain.ALERT_ERRORS,
    Signal.LATENCY: Domain.ALERT_LATENCY,
    Signal.COST: Domain.ALERT_COST,
    Signal.QUALITY: Domain.ALERT_QUALITY,
}
_UNNOTICED = {
    Signal.ERRORS: ("that it fails", "alerts/success.yaml of the catalogue does"),
    Signal.LATENCY: ("that it is slow", "AgentLatencyHigh of the catalogue does"),
    Signal.COST: ("what it costs", "alerts/cost.yaml of the catalogue does"),
    Signal.QUALITY: ("that its answers get worse", "alerts/quality.yaml of the catalogue does"),
}


def who_has(metric: str) -> str:
    """The agents that have it now."""
    return f"group by (agent) ({{__name__={json.dumps(metric, ensure_ascii=False)}}})"


def questions(dossiers: Iterable[Dossier], agents: Iterable[Agent]) -> list[str]:
    """PromQL, each once; beyond MOST the rest is not asked, criteria last."""
    metrics = {
        metric: None
        for one in dossiers
        for watches in one.watches.values()
        for watch in watches
        for metric in watch.metrics
    }
    criteria = [criterion for agent in agents for criterion in agent.acceptance.values()]
    asked = [SCRAPED, ANSWERING, PASS8, who_has(AUDIT), *(who_has(metric) for metric in metrics), *criteria]
    return list(dict.fromkeys(asked))[:MOST]


def proofs(dossier: Dossier, agent: Agent, live: Live | None) -> dict[Domain, Proof]:
    """Every domain. Without a server what it alone knows is not known, and said so."""
    facts = live.facts.get(agent.id) if live is not None else None
    found = dict(dossier.proofs)
    for signal, domain in _DOMAIN.items():
        found[domain] = _alert(signal, dossier.watches.get(signal, ()), agent, live, facts)
    found[Domain.ACCEPTANCE] = _acceptance(agent, live, facts)
    found[Domain.AUDIT] = _audit(found[Domain.AUDIT], agent, live, facts)
    found[Domain.TRACK_RECORD] = _track_record(agent, live, facts)
    found[Domain.DRILL] = _drill(agent, live, facts)
    if facts is not None:
        found[Domain.PEOPLE] = _people(found[Domain.PEOPLE], dossier, facts)
        found[Domain.BUDGET] = _budget(found[Domain.BUDGET], agent, facts.record)
    return found


# Series ---------------------------------------------------------------------------------------------------------------


def _has(metric: str, agent: str, live: Live) -> bool | None:
    """None: it could not be asked."""
    having = live.agents(who_has(metric))
    return None if having is None else agent in having


def _alert(signal: Signal, watches: Sequence[Watch], agent: Agent, live: Live | None, facts: Facts | None) -> Proof:
    if not watches:
        unnoticed, hint = _UNNOTICED[signal]
        return lacking(f"no alert would notice {unnoticed}", f"write a rule, {hint}")
    names = few(watch.alert for watch in watches)
    if live is None:
        return unasked(f"{names}; nobody was asked whether this agent has the series")
    alive = {watch.alert: [metric for metric in watch.metrics if _has(metric, agent.id, live)] for watch in watches}
    if working := [alert for alert, metrics in alive.items() if metrics]:
        series = few(metric for metrics in alive.values() for metric in metrics)
        return shown(f"{few(working)}, on {series}")
    metrics = list(dict.fromkeys(metric for watch in watches for metric in watch.metrics))
    if any(_has(metric, agent.id, live) is None for metric in metrics):
        return unasked(f"{names}; the server could not say whether there is data", "ask again")
    return _silent(f"{names}: this agent has no {few(metrics)}", agent, live, facts)


def _silent(text: str, agent: Agent, live: Live, facts: Facts | None) -> Proof:
    """A series that is not there proves nothing while the agent does not answer, or has hardly been looked at."""
    scraped, answering = live.agents(SCRAPED), live.agents(ANSWERING)
    if scraped is not None and answering is not None and agent.id in scraped - answering:
        return unasked(f"{text}; its process does not answer just now", "see AgentDown")
    if facts is not None and live.at - facts.watched_since < SETTLING:
        return unasked(f"{text} yet; it has been watched since {facts.watched_since:%H:%M} UTC", "ask again later")
    seen = scraped is None or agent.id in scraped
    hint = "docs/instrumentation.md says how to emit them" if seen else "let it be scraped under its name"
    return lacking(text, hint)


def _acceptance(agent: Agent, live: Live | None, facts: Facts | None) -> Proof:
    hint = "acceptance: {name: PromQL} in its file, each of which returns something while it holds"
    if not agent.acceptance:
        return lacking("nobody has written what was agreed", hint)
    if live is None:
        names = few(agent.acceptance)
        return unasked(f"{_count(len(agent.acceptance), 'criterion', 'criteria')} ({names}); nobody was asked")
    holding: list[str] = []
    broken: list[str] = []
    unknown: list[str] = []
    for name, criterion in agent.acceptance.items():
        answer = live.answers.get(criterion)
        if answer is None or isinstance(answer, str):
            unknown.append(f"{name} ({answer or 'not asked'})")
        else:
            (holding if answer else broken).append(name)
    told = f"{len(holding)} of {_count(len(agent.acceptance), 'criterion holds', 'criteria hold')}"
    if unknown:
        return unasked(f"{told}; could not be asked: {few(unknown)}", "ask again")
    if not broken:
        return shown(f"{told}: {few(holding)}")
    text = f"{told}; not {few(broken)}"
    if facts is not None and live.at - facts.watched_since < SETTLING:
        return unasked(f"{text}; it has been watched since {facts.watched_since:%H:%M} UTC", "ask again later")
    return begun(text, "see what fails, or agree anew") if holding else lacking(text, "see what fails, or agree anew")


def _audit(paper: Proof, agent: Agent, live: Live | None, facts: Facts | None) -> Proof:
    if paper.status is Status.NOT_STARTED or live is None:
        return paper
    declared = paper.evidence.partition(";")[0]
    flows = _has(AUDIT, agent.id, live)
    if flows:
        return shown(f"{declared}; records arrive ({AUDIT})")
    writes = writing(agent)
    if not writes and "tools" in agent.model_fields_set:
        return shown(f"{declared}; none of its tools writes")
    if flows is None:
        return unasked(f"{declared}; the server could not say whether records arrive", "ask again")
    text = f"{declared}; no {AUDIT} from it" + (f", and {few(writes)} writes" if writes else "")
    silent = _silent(text, agent, live, facts)
    return silent if not silent.known else begun(text, f"count each record as {AUDIT}")


# What is kept ---------------------------------------------------------------------------------------------------------


def _track_record(agent: Agent, live: Live | None, facts: Facts | None) -> Proof:
    if live is None:
        return unasked("nobody was asked what it has done so far")
    if facts is None:
        return lacking("the server does not know this agent, so it has no record", "let it run at an earlier stage")
    record = facts.record
    if record is None:
        return unasked("the server does not know its track record just now", "ask again")
    if not record.runs or record.since is None:
        if live.at - facts.watched_since < SETTLING:
            return unasked(f"no run counted yet; it has been watched since {facts.watched_since:%H:%M} UTC")
        return lacking("no run of it has been counted", "let it run at an earlier stage, with agent:runs recorded")
    told, wrong = _done(record), _short_of(agent, record, live.at)
    if wrong:
        return begun(f"{told}; {' and '.join(wrong)}", "let it run on at its stage until the record holds")
    return shown(told)


def _done(record: TrackRecord) -> str:
    parts = [f"{round(record.runs or 0):,} runs since {record.since:%Y-%m-%d}"]
    parts += [f"{as_percent(record.success)} good"] if record.success is not None else []
    parts += [f"pass^8 {value:.2f} ({suite})" for suite, value in sorted(record.pass8.items())[:3]]
    parts += [_count(record.incidents, "incident")] if record.incidents is not None else []
    return ", ".join(parts)


def _short_of(agent: Agent, record: TrackRecord, now: datetime) -> list[str]:
    """What it lacks of the record that its file aims at."""
    assert record.since is not None
    wrong = []
    if (record.runs or 0) < MANY_RUNS:
        wrong.append(f"fewer than {MANY_RUNS} runs")
    if now - record.since < LONG_ENOUGH:
        wrong.append(f"fewer than {LONG_ENOUGH.days} days")
    if agent.slo is not None and record.success is not None and record.success < agent.slo.target:
        wrong.append(f"the target is {agent.slo.target:.4g}")
    if agent.pass8_target is not None:
        low = [suite for suite, value in record.pass8.items() if value < agent.pass8_target]
        wrong += [f"pass^8 of {few(low)} is under {agent.pass8_target:.4g}"] if low else []
        wrong += ["no pass^8 is known"] if not record.pass8 else []
    return wrong


def _drill(agent: Agent, live: Live | None, facts: Facts | None) -> Proof:
    hint = f"agentpager drill {agent.id}"
    if live is None:
        return unasked("nobody was asked whether a drill was passed")
    if facts is None:
        return lacking("the server does not know this agent, so nobody has drilled it", f"{hint}, once it is running")
    drill = facts.drill
    if drill is None:
        return lacking("nobody has drilled it", hint)
    if drill.passed_at is None:
        return lacking(f"the last one, on {drill.at:%Y-%m-%d}, was not passed: {drill.summary}", hint)
    told = f"passed on {drill.passed_at:%Y-%m-%d}: {drill.summary}" if drill.passed else _failed_since(drill)
    if live.at - drill.passed_at > LASTS:
        return begun(f"{told}; over {LASTS.days} days ago", hint)
    return shown(told) if drill.passed else begun(told, hint)


def _failed_since(drill: Drill) -> str:
    return f"passed on {drill.passed_at:%Y-%m-%d}, but not on {drill.at:%Y-%m-%d}: {drill.summary}"


def _people(paper: Proof, dossier: Dossier, facts: Facts) -> Proof:
    """What Slack says of their accounts counts for more than what the files say."""
    lost = [person for person in (*dossier.owners, *dossier.deputies) if person in facts.unreachable]
    if not lost or paper.status is Status.NOT_STARTED:
        return paper
    hint = "correct them under people, or name somebody else"
    told = few(f"{person} ({facts.unreachable[person]})" for person in lost)
    if all(person in facts.unreachable for person in (*dossier.owners, *dossier.deputies)):
        return lacking(f"no page reaches {told}", hint)
    return begun(f"{paper.evidence}; no page reaches {told}", hint)


def _budget(paper: Proof, agent: Agent, record: TrackRecord | None) -> Proof:
    """What runs really cost, against the same budget."""
    each = record.cost_per_run_usd if record is not None else None
    if each is None or agent.budget_usd_day is None or paper.status is Status.NOT_STARTED:
        return paper
    if agent.runs_per_day is None:
        return paper.model_copy(update={"evidence": f"{paper.evidence}; a run has cost {dollars(each)}"})
    real = each * agent.runs_per_day
    told = f"{paper.evidence}; measured: {dollars(each)} a run, {dollars(real)} a day"
    if real > agent.budget_usd_day:
        return begun(f"{told}: over the budget of {dollars(agent.budget_usd_day)}", "find out why: agentpager forecast")
    return paper.model_copy(update={"evidence": told})


def _count(number: int, noun: str, nouns: str = "") -> str:
    return f"{number} {noun if number == 1 else nouns or f'{noun}s'}"
