"""PostgreSQL: replicas that share one database, what becomes of them when it is away, and what it refuses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from core_world import GROUP, NOW, WORLD, alert, opened
from fault_proxy import proxied
from sqlalchemy.ext.asyncio import AsyncConnection
from store_places import Place, lent

from bot import delivery, pipeline
from bot.audit.model import Entry
from bot.commands import Desk
from bot.errors import ConflictError, LeaseLostError, RemoteError, StaleReplicaError, UsageError
from bot.incidents.model import Incident, State
from bot.joint import Update
from bot.paging.model import Page, PageKind, PageState
from bot.ports import Actor
from bot.renderings import Renderings
from bot.store import migrate
from bot.store.calendars import kept_changes
from bot.store.database import Database
from bot.store.troubles import without_password


@pytest.fixture
def place(postgres, tmp_path) -> Iterator[Place]:
    with lent(postgres, tmp_path) as found:
        yield found


@pytest.fixture
async def trio(place):
    """Three replicas; the first leads."""
    stores = [place.database() for _ in range(3)]
    for store in stores:
        await store.open(lease_at=NOW)
    yield stores
    for store in stores:
        await store.close()


def incident(number: int, **changes) -> Incident:
    return opened().model_copy(update={"id": f"INC-{number}", "key": f"key {number}", **changes})


def page(number: int = 1) -> Page:
    name = f"INC-1.{number}.page.ana"
    return Page(id=name, incident="INC-1", kind=PageKind.PAGE, channel="U0ANA", due_at=NOW, reason="because")


async def save(store, *incidents: Incident) -> None:
    async with store.transaction() as tx:
        await tx.save_incidents(incidents)


def pass_by(place: Place, seconds: float, *stores: Database) -> None:
    """So long ago have these replicas, or all, renewed for the last time."""
    which = f"WHERE id IN ({', '.join(repr(store.me) for store in stores)})" if stores else ""
    place.execute(f"UPDATE replicas SET expires_at = expires_at - {seconds} {which}")
    holder = f"WHERE holder IN ({', '.join(repr(store.me) for store in stores)})" if stores else ""
    place.execute(f"UPDATE lease SET expires_at = expires_at - {seconds} {holder}")


# Who leads


async def test_one_of_several_leads_and_each_may_write(trio):
    first, second, third = trio
    assert [store.leads for store in trio] == [True, False, False]
    first.announce(url="http://a:9095", groups=["g"], watching=True)
    await first.renew(NOW)
    await second.renew(NOW)
    assert [store.leads for store in trio] == [True, False, False]
    for number, store in enumerate(trio, start=1):
        await save(store, incident(number))
    assert [[one.id for one in await store.unresolved()] for store in trio] == [["INC-1", "INC-2", "INC-3"]] * 3
    assert not first.alone
    known = await third.replicas()
    assert [(one.id, one.leads) for one in known] == [(first.me, True), (second.me, False), (third.me, False)]
    assert (known[0].url, known[0].groups, known[0].watching) == ("http://a:9095", frozenset({"g"}), True)
    async with first.leading.transaction() as tx:
        await tx.add_pages([page()])
    for store in (second, third):
        with pytest.raises(LeaseLostError):
            async with store.leading.transaction():
                pass


async def test_who_gives_no_sign_of_life_for_ten_seconds_is_replaced_and_changes_nothing(trio, place):
    first, second, _ = trio
    pass_by(place, 9.0, first)
    await second.renew(NOW)
    assert not second.leads
    pass_by(place, 2.0, first)
    assert [one.id for one in await second.replicas()] == [store.me for store in trio[1:]]
    await second.renew(NOW)
    assert second.leads
    for way in (first, first.leading):
        with pytest.raises(StaleReplicaError):
            await save(way, incident(1))
    assert await second.unresolved() == []
    assert first.incarnation == 1
    await first.renew(NOW)
    assert (first.leads, first.incarnation) == (False, 2)
    await save(first, incident(1))
    with pytest.raises(LeaseLostError):
        await save(first.leading, incident(2))
    await save(second.leading, incident(2))


async def test_what_was_found_out_before_the_others_took_over_is_not_written_after_the_come_back(trio, place):
    """A report and the sign of life both wait for the database; the sign of life is there first."""
    first, second, _ = trio
    found = first.as_of(first.incarnation)
    await save(found, incident(1))
    pass_by(place, 11.0, first)
    async with second.transaction():
        comes_back = asyncio.create_task(first.renew(NOW))
        await asyncio.sleep(0.3)
        writes = asyncio.create_task(save(found, incident(2)))
        await asyncio.sleep(0.3)
    await comes_back
    for written in (writes, save(found, incident(3))):
        with pytest.raises(StaleReplicaError):
            await written
    await save(first.as_of(first.incarnation), incident(4))
    assert {one.id for one in await second.unresolved()} == {"INC-1", "INC-4"}


async def test_who_never_hears_that_its_come_back_was_recorded_is_another_one_all_the_same(trio, place, monkeypatch):
    first, *_ = trio
    found, commit = first.as_of(first.incarnation), first._home._commit

    async def unheard(*args) -> None:
        await commit(*args)
        raise OSError("gone")

    pass_by(place, 11.0, first)
    monkeypatch.setattr(first._home, "_commit", unheard)
    with pytest.raises(OSError, match="gone"):
        await first.renew(NOW)
    monkeypatch.undo()
    await first.renew(NOW)
    with pytest.raises(StaleReplicaError):
        await save(found, incident(1))


async def test_nobody_took_over_so_the_same_one_leads_on_and_knows_that_it_was_away(trio, place):
    first, *_ = trio
    pass_by(place, 11.0, first)
    await first.renew(NOW)
    assert (first.leads, first.incarnation) == (True, 2)
    await save(first.leading, incident(1))


async def test_a_take_over_waits_for_the_write_that_is_under_way_and_sees_it(trio, place):
    first, second, _ = trio
    async with first.leading.transaction() as tx:
        await tx.save_incident(opened())
        pass_by(place, 11.0, first)
        takes_over = asyncio.create_task(second.renew(NOW))
        await asyncio.sleep(0.2)
        assert not takes_over.done()
        await tx.add_pages([page()])
    await takes_over
    assert second.leads
    assert [one.id for one in await second.waiting(NOW)] == [page().id]


async def test_a_sign_of_life_stands_in_no_queue(trio):
    """Not behind the writers of others, nor behind its own: in a storm there is always one."""
    first, second, _ = trio
    async with second.transaction():
        waits = asyncio.create_task(save(first, incident(1)))
        async with asyncio.timeout(5):
            await first.renew(NOW)
            assert first.leads
        assert not waits.done()
    await waits


async def test_a_write_that_waited_for_its_turn_sees_who_took_over_meanwhile(trio, place):
    """PostgreSQL goes on with what a statement saw before it waited for a lock: another one has to look."""
    first, second, _ = trio
    with place.server.connect(place.name) as other:
        other.execute("BEGIN")
        other.execute("SELECT value FROM counters WHERE name = 'version' FOR UPDATE")
        writes = asyncio.create_task(save(first.leading, opened()))
        await waits_for_a_lock(place)
        other.execute(f"UPDATE lease SET epoch = epoch + 1, holder = '{second.me}' WHERE name = 'pager'")
        other.execute("COMMIT")
    with pytest.raises(LeaseLostError):
        await writes
    assert await second.unresolved() == []


async def waits_for_a_lock(place: Place) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with asyncio.timeout(10):
        while place.execute(query) == [(0,)]:
            await asyncio.sleep(0.01)


async def test_whoever_could_not_renew_relies_on_its_lease_for_eight_seconds(trio, monkeypatch):
    first, *_ = trio
    began = 0.0

    def seconds() -> float:
        return began

    monkeypatch.setattr("bot.store.postgres.through_suspend", seconds)
    await first.renew(NOW)
    began = 7.9
    assert first.leads
    began = 8.1
    assert not first.leads


async def test_whoever_stops_gives_its_place_back_at_once(trio):
    first, second, _ = trio
    await first.close()
    await second.renew(NOW)
    assert second.leads
    assert first.me not in {one.id for one in await second.replicas()}


async def test_a_command_beside_the_replicas_writes_without_taking_part(trio, place):
    command = place.database()
    await command.open()
    await save(command.leading, incident(1))
    assert len(await command.replicas()) == 3
    await command.close()
    assert len(await trio[0].unresolved()) == 1


async def test_a_session_that_stops_inside_a_transaction_keeps_nobody_out(trio, place, monkeypatch):
    """Its process was stopped: the server ends it, here after one second instead of five."""
    first, second, _ = trio
    place.execute("ALTER DATABASE " + place.name + " SET idle_in_transaction_session_timeout = '1s'")
    monkeypatch.setattr("bot.store.postgres._WRITER", "SELECT 1")
    stuck = place.database()
    await stuck.open()
    with contextlib.suppress(sa.exc.DBAPIError):
        async with stuck.transaction() as tx:
            await tx.save_incident(incident(1))
            await save(second, incident(2))
            await tx.save_incident(incident(3))
    assert [one.id for one in await first.unresolved()] == ["INC-2"]
    await stuck.close()


# What people do at different replicas


class Standing:
    def now(self):
        return NOW


class DeadWatcher:
    async def ask(self, method: str, params: dict, seconds: float) -> None:
        raise RemoteError("the watcher is not running", code="watcher_down")


def desk(store: Database) -> Desk:
    renderings = Renderings(store, DeadWatcher(), Standing(), on_late=lambda _: None)
    return Desk(store, renderings, Standing(), lambda: WORLD, lambda _: {}, lambda _: None)


async def press(desk: Desk, verb: str, person: str, key: str):
    actor = Actor(f"person:{person}", person.title(), "slack", WORLD.book.people[person])
    try:
        return await getattr(desk, verb)(actor, "INC-1", event_key=key)
    except ConflictError as error:
        return error


async def fires(store: Database) -> None:
    await pipeline.observe(store, Update(group=GROUP, evaluated_at=NOW, alerts=(alert(),)), WORLD, NOW)


async def test_of_forty_acks_at_once_at_three_replicas_exactly_one_wins(trio):
    await fires(trio[0])
    desks = [desk(store) for store in trio]
    people = ("ana", "ben", "cat", "dan")
    # Each of the four clicks is delivered ten times, and lands anywhere.
    clicks = [press(desks[number % 3], "ack", people[number % 4], f"click {number % 4}") for number in range(40)]
    answers = await asyncio.gather(*clicks)
    won = [answer for answer in answers if not isinstance(answer, ConflictError) and answer.changed]
    assert len(won) == 1
    for store in trio:
        found = await store.incident("INC-1")
        assert found is not None
        assert (found.state, found.acked_by) == (State.ACKED, won[0].incident.acked_by)
    actions = [row.action for row in await trio[1].history.audit_of("INC-1")]
    assert actions.count("incident.acked") == 1
    assert await trio[2].broken_audit_row() is None


async def test_after_an_ack_at_another_replica_the_leader_claims_nothing(trio):
    first, second, _ = trio
    await fires(first)
    pages = [one for one in await first.waiting(NOW) if one.kind is PageKind.PAGE]
    assert pages
    await press(desk(second), "ack", "ben", "click")
    assert [await delivery.claim(first.leading, one.id, NOW) for one in pages] == [None] * len(pages)
    assert {one.kind for one in await first.waiting(NOW)} & {PageKind.PAGE} == set()


# What others do is heard of


async def test_what_another_one_commits_is_heard_of_at_once(trio):
    first, second, _ = trio
    heard = asyncio.Event()
    first.on_change(heard.set)
    async with asyncio.timeout(10):
        while not heard.is_set():  # until it listens
            await save(second, incident(1))
            await asyncio.sleep(0.05)
        heard.clear()
        await asyncio.sleep(0.1)
        heard.clear()
        await save(first, incident(2))
        await asyncio.sleep(0.1)
        assert not heard.is_set(), "its own are no news"
        async with second.transaction() as tx:
            await tx.first_time("click", NOW)  # nothing that has a version
        await heard.wait()


async def test_what_was_not_heard_of_is_found_by_the_next_sign_of_life(place):
    first, second = place.database(), place.database()
    await first.open(lease_at=NOW)
    await first._home._ear.stop()
    await second.open(lease_at=NOW)
    heard: list[int] = []
    first.on_change(lambda: heard.append(1))
    await save(first, incident(1))
    await first.renew(NOW)
    assert heard == []
    await save(second, incident(2))
    await first.renew(NOW)
    assert heard == [1]
    await first.close()
    await second.close()


# The start


async def test_several_that_start_on_an_empty_database_at_once_make_one_schema(postgres, tmp_path):
    url = postgres.url(postgres.empty())
    stores = [Database(url, tmp_path) for _ in range(4)]
    await asyncio.gather(*(store.open(lease_at=NOW) for store in stores))
    assert sum(store.leads for store in stores) == 1
    await asyncio.gather(*(save(store, incident(number)) for number, store in enumerate(stores, start=1)))
    assert len(await stores[0].unresolved()) == 4
    for store in stores:
        await store.close()


async def refusal(url: str, folder: Path) -> str:
    store = Database(url, folder)
    with pytest.raises(UsageError) as caught:
        await store.open(lease_at=NOW)
    await store.close()
    return str(caught.value)


async def test_a_database_of_a_newer_release_is_refused_in_plain_words(place):
    place.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "written by a newer release of agentpager" in await refusal(place.url, place.folder)


async def test_what_is_wrong_with_the_server_is_said_with_the_way_out(postgres, tmp_path, monkeypatch):
    monkeypatch.setattr("bot.store.postgres._START_PATIENCE", 0.0)
    assert "Make it with: createdb --owner" in await refusal(postgres.url("nowhere"), tmp_path)
    latin = postgres.empty("TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    assert "createdb --encoding UTF8" in await refusal(postgres.url(latin), tmp_path)
    with postgres.connect() as connection:
        connection.execute("CREATE ROLE stranger LOGIN")
    stranger = postgres.url(postgres.empty()).replace("pager@", "stranger:secret@")
    why = await refusal(stranger, tmp_path)
    assert "GRANT CREATE, USAGE ON SCHEMA public" in why
    assert "secret" not in why
    standby = postgres.empty()
    with postgres.connect() as connection:
        connection.execute(f"ALTER DATABASE {standby} SET default_transaction_read_only = on")
    assert "read-only standby" in await refusal(postgres.url(standby), tmp_path)


async def test_a_server_that_is_not_there_is_said_to_be_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr("bot.store.postgres._START_PATIENCE", 0.0)
    why = await refusal("postgresql://ana:secret@127.0.0.1:1/pager?password=secret", tmp_path)
    assert "cannot be reached" in why
    assert "psql 'postgresql://ana@127.0.0.1:1/pager'" in why


async def test_who_only_looks_does_without_a_server_that_is_not_there(postgres, tmp_path):
    for url in ("postgresql://127.0.0.1:1/pager", postgres.url("nowhere"), postgres.url(postgres.empty())):
        assert await kept_changes(url, tmp_path, NOW) == []


def test_an_address_that_makes_no_sense_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"store\.url makes no sense: .*colour"):
        Database("postgresql://host/db?colour=blue", tmp_path)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ana:p%40ss@db/pager", "postgresql://ana@db/pager"),
        (
            "postgresql+psycopg://ana:x@a,b:5433/pager?sslmode=require",
            "postgresql://ana@a,b:5433/pager?sslmode=require",
        ),
        ("postgres://db/pager?password=x&user=ana", "postgres://db/pager?user=ana"),
        ("postgresql:///pager?host=/run/postgresql", "postgresql:///pager?host=/run/postgresql"),
    ],
)
def test_addresses_are_shown_without_their_password(url, shown):
    assert without_password(url) == shown


def test_without_the_driver_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(UsageError, match=r"pip install 'agentpager\[postgres\]'"):
        Database("postgresql://db/pager", tmp_path)


def test_the_newest_schema_is_known_without_alembic():
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    where = Path(migrate.__file__).parent / "migrations"
    assert ScriptDirectory(str(where)).get_current_head() == migrate.HEAD


# Values


async def test_text_that_postgresql_has_no_place_for_is_kept_all_the_same(trio):
    first, second, _ = trio
    strange = incident(1, key="a\x00b", title="a\x00b \ud7ff 🏠")
    await save(first, strange)
    assert await second.incident("INC-1") == strange
    async with second.transaction() as tx:
        assert await tx.unresolved_with("a\x00b") == strange
        entry = Entry(at=NOW, actor="agentpager", action="x", subject="a\x00b")
        await tx.append_audit([entry])
    assert await first.broken_audit_row() is None
    assert [row for _, row, _ in await first.audit_rows("a\x00b")] == [entry]


async def test_a_key_of_any_length_is_unique_among_what_is_not_over(trio):
    first, second, _ = trio
    letters = "".join(chr(0x4E00 + n * 7919 % 20000) for n in range(20_000))  # does not compress to an index entry
    await save(first, incident(1, key=letters))
    with pytest.raises(sa.exc.IntegrityError):
        await save(second, incident(2, key=letters))
    await save(second, incident(1, key=letters, state=State.RESOLVED), incident(2, key=letters))
    await save(second, incident(2, key=letters), incident(2, key="other"), incident(3, key=letters))
    assert {one.id for one in await first.unresolved()} == {"INC-2", "INC-3"}
    assert await first.counts() == {"incidents": {"open": 2, "resolved": 1}, "pages": {}}


async def test_a_role_that_owns_the_database_can_do_everything_but_change_the_audit(postgres, tmp_path):
    name = postgres.empty()
    with postgres.connect() as connection:
        connection.execute("CREATE ROLE owner LOGIN")
        connection.execute(f"ALTER DATABASE {name} OWNER TO owner")
    url = postgres.url(name).replace("pager@", "owner@")
    store = Database(url, tmp_path)
    await store.open(lease_at=NOW)
    async with store.transaction() as tx:
        await tx.save_incident(opened())
        await tx.append_audit([Entry(at=NOW, actor="agentpager", action="x", subject="INC-1")])
        await tx.remove_incidents({"INC-1": 1})
    await store.close()
    with psycopg.connect(url, autocommit=True) as owner:
        for statement in ("UPDATE audit SET at = 0", "DELETE FROM audit", "TRUNCATE audit"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                owner.execute(statement)


async def test_every_text_is_compared_by_its_code_points_and_has_no_length(place):
    query = (
        "SELECT table_name, column_name, data_type, collation_name FROM information_schema.columns WHERE "
        "table_schema = 'public' AND table_name <> 'alembic_version' AND data_type IN ('text', 'character varying')"
    )
    columns = place.execute(query)
    assert len(columns) > 40
    assert {(kind, collation) for _, _, kind, collation in columns} == {("text", "C")}


async def test_a_session_waits_for_the_disk_and_ends_when_it_is_stopped_or_cut_off(place):
    """Whatever the server's own defaults are."""
    place.execute(f"ALTER DATABASE {place.name} SET synchronous_commit = off")
    store = place.database()
    async with store.transaction() as tx:
        names = ("synchronous_commit", "idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout")
        found = [await tx._connection.scalar(sa.text(f"SHOW {name}")) for name in names]
    assert found == ["on", "5s", "8s", "12s"]
    async with store.reading() as connection:
        found = [
            await connection.scalar(sa.text(f"SHOW {name}"))
            for name in ("transaction_isolation", "transaction_read_only")
        ]
    assert found == ["repeatable read", "on"]
    await store.close()


async def test_a_page_is_read_in_the_order_in_which_it_was_added(trio):
    first, second, _ = trio
    numbers = [7, 3, 9, 1]
    async with first.transaction() as tx:
        await tx.add_pages([page(number) for number in numbers])
    async with second.transaction() as tx:
        await tx.save_pages([page(3).model_copy(update={"state": PageState.SENT})])
    assert [one.id for one in await second.pages_of("INC-1")] == [page(number).id for number in numbers]


# The server goes away


@pytest.fixture
async def pair(place):
    stores = [place.database() for _ in range(2)]
    for store in stores:
        await store.open(lease_at=NOW)
    yield stores
    for store in stores:
        await store.close()


class Load:
    """Incidents saved by several tasks; each is tried again until it has been said to be there."""

    def __init__(self, stores: list[Database]) -> None:
        self.stores, self.saved, self.failed = stores, set[str](), 0
        self._running = True

    async def one(self, number: int) -> None:
        store = self.stores[number % len(self.stores)]
        while True:
            try:
                await save(store, incident(number))
            except (sa.exc.SQLAlchemyError, OSError, TimeoutError):
                self.failed += 1
                await asyncio.sleep(0.2)
            except StaleReplicaError:
                with contextlib.suppress(sa.exc.SQLAlchemyError, OSError, TimeoutError):
                    await store.renew(NOW)
            else:
                self.saved.add(f"INC-{number}")
                return

    async def worker(self, start: int) -> None:
        number = start
        while self._running:
            await self.one(number)
            number += 4

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.create_task(self.worker(start)) for start in range(1, 5)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        async with asyncio.timeout(60):
            await asyncio.gather(*self._tasks)

    async def more(self, count: int = 8) -> None:
        until = len(self.saved) + count
        async with asyncio.timeout(60):
            while len(self.saved) < until:
                await asyncio.sleep(0.02)


async def test_a_server_that_is_killed_and_comes_back_has_lost_nothing_that_was_said_to_be_saved(pair, postgres):
    async with Load(pair) as load:
        for _ in range(2):
            await load.more()
            await asyncio.to_thread(postgres.stop, "immediate")
            await asyncio.to_thread(postgres.start)
            await load.more()
    there = {one.id for one in await pair[0].unresolved()}
    assert load.saved <= there
    assert len(load.saved) >= 32
    assert {one.id for one in await pair[1].unresolved()} == there


async def test_what_became_of_a_commit_whose_answer_was_lost_is_asked(place, tmp_path):
    """It is there once and nobody is told otherwise, or not there, and an error says so."""
    async with proxied("127.0.0.1", place.server.port) as proxy:
        store = Database(f"postgresql://pager@127.0.0.1:{proxy.port}/{place.name}", tmp_path)
        await store.open(lease_at=NOW)
        proxy.swallow = b"COMMIT"
        await save(store, incident(1))
        proxy.swallow = b"INSERT INTO incidents"
        with pytest.raises(sa.exc.OperationalError):
            await save(store, incident(2))
        await save(store, incident(3))
        assert [one.id for one in await store.unresolved()] == ["INC-1", "INC-3"]
        await store.close()


async def test_a_commit_that_a_crash_took_back_is_not_taken_for_another_one(pair, postgres, monkeypatch):
    """After a crash the server gives the number of a transaction that it has forgotten to the next one."""
    first, second = pair
    honest = AsyncConnection.commit

    async def crash(connection) -> None:
        monkeypatch.setattr(AsyncConnection, "commit", honest)
        await asyncio.to_thread(postgres.stop, "immediate")
        await asyncio.to_thread(postgres.start)
        for number in (2, 3):
            await save(second, incident(number))
        await connection.commit()

    monkeypatch.setattr(AsyncConnection, "commit", crash)
    with pytest.raises(sa.exc.OperationalError):
        await save(first, incident(1))
    assert [one.id for one in await first.unresolved()] == ["INC-2", "INC-3"]


async def test_a_network_that_is_cut_is_found_out_and_what_was_to_be_saved_is_saved_after_it(
    place, tmp_path, monkeypatch
):
    """Nothing is closed, nothing answers: for one second and limits of half a second, in reality a minute and 15."""
    monkeypatch.setattr("bot.store.postgres._TRANSACTION", 0.5)
    async with proxied("127.0.0.1", place.server.port) as proxy:
        url = f"postgresql://pager@127.0.0.1:{proxy.port}/{place.name}?connect_timeout=2"
        stores = [Database(url, tmp_path), place.database()]
        for store in stores:
            await store.open(lease_at=NOW)
        async with Load(stores) as load:
            await load.more()
            proxy.cut()
            await asyncio.sleep(1.0)
            await load.more()  # of the one that is not behind it
            proxy.mend()
            await load.more()
        there = {one.id for one in await stores[0].unresolved()}
        assert load.saved <= there
        assert {one.id for one in await stores[1].unresolved()} == there
        for store in stores:
            await store.close()


async def test_a_server_that_hangs_holds_nobody_for_ever(pair, postgres, monkeypatch):
    first, _ = pair
    await save(first, incident(1))
    monkeypatch.setattr("bot.store.postgres._TRANSACTION", 0.5)
    monkeypatch.setattr("bot.store.postgres._PATIENCE", 0.0)
    with postgres.frozen():
        for ask in (lambda: save(first, incident(2)), lambda: first.recent(1)):
            async with asyncio.timeout(8):
                with pytest.raises(sa.exc.SQLAlchemyError):
                    await ask()
    monkeypatch.undo()
    with contextlib.suppress(StaleReplicaError):
        await save(first, incident(3))
    await first.renew(NOW)
    await save(first, incident(4))
    assert "INC-4" in {one.id for one in await first.unresolved()}


async def test_another_server_behind_the_same_address_is_believed_and_not_what_was_seen_before(pair):
    """After a fail-over to a standby that had not everything: what is remembered was taken back."""
    first, _ = pair
    await save(first, incident(1), incident(2))
    assert len(await first.unresolved()) == 2
    async with first._readers.connect() as connection:
        dsn = (await connection.get_raw_connection()).driver_connection.info.dsn
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute("DELETE FROM incidents WHERE id = 'INC-2'")
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                      "AND datname = current_database()")  # fmt: skip
    await save(first, incident(3))
    assert [one.id for one in await first.unresolved()] == ["INC-1", "INC-3"]


async def test_a_newer_release_changes_the_schema_while_this_one_works_on(pair, place):
    """As its migration would: it waits for its turn, adds a column, and nobody here notices."""
    async with Load(pair) as load:
        await load.more()
        await asyncio.to_thread(
            place.execute,
            "BEGIN",
            "SELECT value FROM counters WHERE name = 'version' FOR UPDATE",
            "ALTER TABLE incidents ADD COLUMN colour text",
            "ALTER TABLE pages ADD COLUMN colour text NOT NULL DEFAULT 'red'",
            "UPDATE alembic_version SET version_num = '9999'",
            "COMMIT",
        )
        await load.more()
        async with pair[0].leading.transaction() as tx:
            await tx.add_pages([page()])
    assert load.failed == 0
    assert [one.id for one in await pair[1].waiting(NOW)] == [page().id]
    assert "written by a newer release" in await refusal(place.url, place.folder), "once it is started anew"
