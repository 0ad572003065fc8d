"""What matchers see of an alert besides its own labels: where its agent stands in `agents/*.yaml`. Pure.

The names begin with `agent_`, so that none of them is a label that rules give. They are looked up when they are asked
for and kept nowhere: a changed file counts at once, and no page or key of an incident grows by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from bot.agents.model import Agent
from bot.agents.series import info
from bot.labels import Labels

Agents = Mapping[str, Agent]

NOBODY: Agents = MappingProxyType({})
NAMES = frozenset({"agent_provider", "agent_model", "agent_tier", "agent_stage", "agent_team"})


def any_of(names: Iterable[str]) -> bool:
    return not NAMES.isdisjoint(names)


def seen(labels: Labels, agents: Agents) -> Labels:
    """The labels, and those of `NAMES` that are known.

    An alert that names a provider or a model itself, as one about an outage does, is about that one: so it can be
    compared with alerts of agents that use it.
    """
    agent = agents.get(labels.get("agent", ""))
    extra = _of(agent) if agent is not None else {}
    for name in ("provider", "model"):
        if own := labels.get(name):
            extra[f"agent_{name}"] = own
    return {**extra, **labels} if extra else labels


def _of(agent: Agent) -> dict[str, str]:
    known = {f"agent_{name}": text for name, text in info(agent).items() if text}
    return {name: text for name, text in known.items() if name in NAMES}
