"""As whom a request acts, by its token and by what it says; and that the audit names the token."""

from __future__ import annotations

import asyncio
from contextvars import copy_context

import pytest
from core_world import BOOK, NOW
from starlette.requests import Request

from bot.audit import through
from bot.audit.model import Entry
from bot.errors import UsageError
from bot.store.database import Database
from bot.web import alertmanager
from bot.web.door import Caller
from bot.web.operation import Call, actor_of
from bot.web.request import Nothing, RefusedError

NOBODY = Caller()  # this machine without tokens, or http.token
CI = Caller("ci", None, anybody=False)
ANAS = Caller("ana-laptop", "ana", anybody=False)
BOSS = Caller("boss", None, anybody=True)
GONE = Caller("old", "zoe", anybody=False)


@pytest.mark.parametrize(
    ("caller", "person", "by", "actor", "name"),
    [
        (NOBODY, None, None, "cli:api", "api"),
        (NOBODY, None, "root", "cli:root", "root"),
        (NOBODY, "ana", "root", "person:ana", "Ana"),
        (CI, None, None, "token:ci", "ci"),
        (CI, None, "root", "token:ci", "root (ci)"),
        (ANAS, None, None, "person:ana", "Ana"),
        (ANAS, None, "root", "person:ana", "Ana"),
        (ANAS, "ana", None, "person:ana", "Ana"),
        (BOSS, None, None, "token:boss", "boss"),
        (BOSS, "ben", None, "person:ben", "Ben"),
    ],
)
def test_who_acts(caller, person, by, actor, name):
    acting = copy_context().run(actor_of, caller, person, by, BOOK)
    assert (acting.id, acting.name, acting.via) == (actor, name, "api")


@pytest.mark.parametrize(("caller", "person"), [(CI, "ana"), (ANAS, "ben"), (ANAS, "nobody"), (CI, "")])
def test_acting_for_somebody_else_needs_a_scope(caller, person):
    with pytest.raises(RefusedError) as refused:
        actor_of(caller, person, None, BOOK)
    assert (refused.value.status, refused.value.more) == (403, {"scope": "impersonate"})


@pytest.mark.parametrize(("caller", "person"), [(BOSS, "zoe"), (NOBODY, "zoe"), (GONE, None)])
def test_a_person_there_is_not(caller, person):
    with pytest.raises(UsageError, match='there is no person "zoe"'):
        actor_of(caller, person, None, BOOK)


async def test_the_audit_names_the_token_beside_its_person_and_beside_nobody_else(tmp_path):
    store = Database("sqlite:///t.db", tmp_path)
    await store.open()

    async def act(caller: Caller | None) -> None:
        """One request: in a task of its own, as the server does."""
        actor = actor_of(caller, None, None, BOOK).id if caller else "person:ana"
        async with store.transaction() as tx:
            rows = [Entry(at=NOW, actor=who, action="incident.acked", subject="INC-1") for who in (actor, "agentpager")]
            await tx.append_audit(rows)

    for caller in (ANAS, CI, None):
        await asyncio.create_task(act(caller))
    rows = await store.history.audit_of("INC-1")
    await store.close()
    assert [(row.actor, row.detail) for row in rows] == [
        ("person:ana", {"token": "ana-laptop"}),
        ("agentpager", {}),
        ("token:ci", {}),
        ("agentpager", {}),
        ("person:ana", {}),
        ("agentpager", {}),
    ]


def test_without_a_token_nothing_is_added():
    entry = Entry(at=NOW, actor="person:ana", action="incident.acked", subject="INC-1")
    assert through.told(entry) is entry


# Silences that amtool makes name an author


@pytest.mark.parametrize(
    ("caller", "author", "actor"),
    [
        (NOBODY, "ana", "person:ana"),
        (NOBODY, "grafana", "cli:grafana"),
        (BOSS, "ben", "person:ben"),
        (BOSS, "grafana", "token:boss"),
        (CI, "ana", "token:ci"),
        (ANAS, "ben", "person:ana"),
    ],
)
def test_the_author_of_a_silence_counts_where_the_token_may_act_for_anybody(caller, author, actor):
    request = Request({"type": "http", "headers": []})
    call = Call(request, caller, Nothing(), None)
    assert copy_context().run(alertmanager._actor, call, author, BOOK).id == actor
