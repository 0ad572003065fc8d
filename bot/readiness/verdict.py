"""All proofs of an agent, the waivers of its file and the stage it is judged for → one verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime

from bot.agents.model import Agent, Stage
from bot.agents.readiness import Domain, Status, counts, required
from bot.readiness.live import proofs
from bot.readiness.model import Dossier, Judged, Live, Proof, Verdict

# The worst first; what the stage does not ask for comes behind all it does.
_ORDER = (Status.NOT_STARTED, Status.IN_PROGRESS, Status.WAIVED, Status.DONE)


def verdicts(
    dossiers: Iterable[Dossier],
    agents: Mapping[str, Agent],
    live: Live | None,
    now: datetime,
    stage: Stage | None = None,
    before: Mapping[str, Mapping[Domain, Status]] | None = None,
) -> list[Verdict]:
    """`stage` instead of the one each file claims; `before`: statuses that still stand where nobody could be asked."""
    return [
        verdict(one, agents[one.agent], live, now, stage, (before or {}).get(one.agent, {}))
        for one in dossiers
        if one.agent in agents
    ]


def verdict(
    dossier: Dossier,
    agent: Agent,
    live: Live | None,
    now: datetime,
    stage: Stage | None = None,
    before: Mapping[Domain, Status] | None = None,
) -> Verdict:
    asked_for = stage or agent.stage
    needed = required(asked_for)
    found = proofs(dossier, agent, live)
    rows = [_judged(domain, found[domain], agent, domain in needed, now.date(), before or {}) for domain in Domain]
    rows.sort(key=lambda row: (not row.required, _ORDER.index(row.status)))  # stable: the domains keep their order
    blocking = tuple(row.domain for row in rows if row.required and row.status is Status.NOT_STARTED)
    return Verdict(
        agent=agent.id,
        title=agent.name,
        stage=asked_for,
        claimed_stage=agent.stage,
        ready=not blocking,
        blocking=blocking,
        domains=tuple(rows),
        facts=live.facts.get(agent.id) if live is not None else None,
    )


def _judged(
    domain: Domain, proof: Proof, agent: Agent, needed: bool, today: date, before: Mapping[Domain, Status]
) -> Judged:
    status, evidence = proof.status, proof.evidence
    if not proof.known and before.get(domain, Status.WAIVED) is not Status.WAIVED:
        status = before[domain]
    waiver = agent.waivers.get(domain.value)
    if waiver is None or status is Status.DONE:
        return Judged(domain=domain, status=status, evidence=evidence, hint=proof.hint, required=needed)
    if not counts(waiver, today):
        ended = f"{evidence}. The waiver by {waiver.by} ended on {waiver.until} and counts no more"
        hint = f"{proof.hint}; or somebody accepts it anew, with a later day"
        return Judged(domain=domain, status=status, evidence=ended, hint=hint, required=needed)
    told = f"accepted by {waiver.by} until {waiver.until}: {waiver.reason}. Without that: {evidence}"
    return Judged(domain=domain, status=Status.WAIVED, evidence=told, hint=proof.hint, required=needed, waiver=waiver)
