"""One agent as its owner describes it in `agents/*.yaml`."""

from __future__ import annotations

from enum import StrEnum

from bot.labels import Labels
from bot.schema import Channel, Model


class Stage(StrEnum):
    PILOT = "pilot"
    CRAWL = "crawl"
    WALK = "walk"
    RUN = "run"
    RETIRED = "retired"


class Agent(Model):
    id: str = ""
    title: str = ""
    owner: str
    escalation: str | None = None
    stage: Stage = Stage.PILOT
    channel: Channel | None = None

    @property
    def name(self) -> str:
        return self.title or self.id


def registry_series(agents: dict[str, Agent]) -> list[tuple[Labels, float]]:
    """`agent_registry_info{agent,owner,escalation,stage}` is 1 for each agent, for rules to join on."""
    return [
        (
            {
                "__name__": "agent_registry_info",
                "agent": agent.id,
                "owner": agent.owner,
                "escalation": agent.escalation or "",
                "stage": agent.stage.value,
            },
            1.0,
        )
        for agent in agents.values()
    ]
