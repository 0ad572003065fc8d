"""A storm is written in as many statements as one alert, and read back without a row being parsed twice."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from core_world import GROUP, NOW, WORLD, after, alert

from bot import pipeline
from bot.agents.model import Agent
from bot.incidents.decision import World
from bot.incidents.model import Incident
from bot.joint import Update
from bot.paging.model import Page
from bot.store.database import Database


async def opened(folder: Path, number: int) -> tuple[Database, World, Update, list[str]]:
    """A store in which that many agents have just got an incident each, and the statements that wrote them."""
    folder.mkdir()
    store = Database("sqlite:///pager.db", folder)
    await store.open()
    statements: list[str] = []
    sa.event.listen(
        store._writer.sync_engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: statements.append(statement),
    )
    agents = {f"a{n}": Agent(id=f"a{n}", owner="team:payments", channel="#c") for n in range(number)}
    world = World(agents, WORLD.book, WORLD.channel)
    alerts = tuple(alert(labels={"agent": name}) for name in agents)
    update = Update(group=GROUP, evaluated_at=NOW, alerts=alerts, still=(), state=None)
    await pipeline.observe(store, update, world, NOW, frozenset({"ErrorsHigh"}))
    return store, world, update, statements


async def test_three_hundred_incidents_take_the_statements_of_one(tmp_path):
    one, _, _, few = await opened(tmp_path / "one", 1)
    many, _, _, as_few = await opened(tmp_path / "many", 300)
    assert len(as_few) == len(few)
    assert len(await many.unresolved()) == 300
    assert {page.incident for page in await many.waiting(NOW)} == {i.id for i in await many.unresolved()}
    rows = await many.audit_rows()
    assert [row.subject for _, row, _ in rows if row.action == "incident.fired"] == [
        incident.id for incident in await many.unresolved()
    ]
    assert await many.broken_audit_row() is None
    await one.close()
    await many.close()


async def test_what_was_written_here_is_not_parsed_and_what_changed_is_parsed_once(tmp_path, monkeypatch):
    store, world, _, _ = await opened(tmp_path / "store", 50)
    parsed: list[str] = []
    for model in (Incident, Page):
        honest = model.model_validate_json
        monkeypatch.setattr(model, "model_validate_json", lambda doc, honest=honest: parsed.append(doc) or honest(doc))
    unchanged = Update(group="other", evaluated_at=NOW, alerts=(), still=(), state=None)
    assert len(await store.unresolved()) == 50
    await store.waiting(NOW)
    await pipeline.observe(store, unchanged, world, after(seconds=1), frozenset())
    assert parsed == []
    other = Database("sqlite:///pager.db", tmp_path / "store")
    incident = (await other.unresolved())[7]
    parsed.clear()
    async with other.transaction() as tx:
        await tx.save_incident(incident.model_copy(update={"title": "changed elsewhere"}))
    for _ in range(3):
        assert [one.title for one in await store.unresolved()].count("changed elsewhere") == 1
    assert len(parsed) == 1
    await other.close()
    await store.close()
