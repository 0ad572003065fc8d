"""Several replicas on one PostgreSQL: a change of leader in a storm, rolling restarts, what a further watcher brings.

    python -m benchmarks.replicas --fail-over
    python -m benchmarks.replicas --watchers 1,2,4 [--groups N] [--rules N] [--series N]
    python -m benchmarks.replicas --restarts 10

Ends with 1 when something was lost, came twice more often than once a change of leader, or took longer than promised.
Real processes, a PostgreSQL server of its own, one exporter, one Slack that writes down every call.
tests/acceptance/test_replicas.py uses the same installation.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.contenders import write
from benchmarks.machine import describe
from benchmarks.processes import children, cpu_seconds, end, fetch, spawn, together, until
from benchmarks.storm import LATE_OWNERS, Installation, Storm
from tests.fault_proxy import Proxy
from tests.ports import free_port
from tests.postgres_server import Server, running

READY = 60.0


@dataclass
class Sliced(Storm):
    """A storm whose alerts belong to `slices` rule groups, in turn."""

    slices: int = 8
    rules: int = 1  # of each group; those beyond the first never fire

    def page(self) -> bytes:
        self.scraped_at.setdefault(len(self.crossed), time.time())
        lines = ["# TYPE storm_errors gauge"]
        for number in range(self.alerts + self.late):
            agent = self.agent(number) if number < self.alerts else self.late_agent(number)
            owner = self.owner(agent) if number < self.alerts else number % LATE_OWNERS
            labels = f'agent="agent-{agent}",owner="team:o{owner}",tool="t{number}",slice="{number % self.slices}"'
            lines.append(f"storm_errors{{{labels}}} {38 if number in self.crossed else 0}")
        return ("\n".join(lines) + "\n").encode()


@dataclass
class Replica:
    """One `agentpager serve`. Through `proxy` it reaches the database, and only so."""

    number: int
    config: Path
    port: int
    proxy: Proxy
    process: asyncio.subprocess.Process | None = None
    log: Path = field(default_factory=Path)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def ready(self) -> dict[str, Any] | None:
        found = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                found = await fetch(f"http://127.0.0.1:{self.port}/-/ready")
        return found if isinstance(found, dict) else None

    async def stands(self, what: str) -> bool:
        """`leads` or `watching`, as it says itself."""
        found = await self.ready()
        return bool(found and found["ready"] and found["replicas"][0][what])


class Replicas(Installation):
    """`count` of them, on a database of their own."""

    def __init__(self, directory: Path, storm: Sliced, server: Server, count: int) -> None:
        super().__init__(directory, storm)
        self._sliced, self._server = storm, server
        self._database = server.migrated()
        self.replicas: list[Replica] = []
        self._count = count

    async def __aenter__(self) -> Replicas:
        await super().__aenter__()
        for number in range(self._count):
            proxy = Proxy("127.0.0.1", self._server.port)
            await proxy.start()
            port = free_port()
            files = self._files()["agentpager.yaml"]
            files["http"]["listen"] = f"127.0.0.1:{port}"
            files["store"] = {"url": f"postgresql://pager@127.0.0.1:{proxy.port}/{self._database}"}
            write(self.directory, {f"r{number}.yaml": files})
            self.replicas.append(Replica(number, self.directory / f"r{number}.yaml", port, proxy))
        return self

    async def __aexit__(self, *args: object) -> None:
        for one in self.replicas:
            with contextlib.suppress(ProcessLookupError):
                if one.alive:
                    os.kill(one.pid, signal.SIGCONT)
        await asyncio.gather(*(end(one.process) for one in self.replicas))
        for one in self.replicas:
            await one.proxy.stop()
        await super().__aexit__(*args)

    async def begin(self, one: Replica) -> None:
        one.log = self.directory / f"replica{one.number}-{time.time():.0f}.log"
        command = (sys.executable, "-m", "bot", "serve", "--config", str(one.config))
        one.process = await spawn(command, one.log)

    async def begin_all(self) -> None:
        for one in self.replicas:
            await self.begin(one)
        for one in self.replicas:
            await self.watching(one)

    async def watching(self, one: Replica) -> None:
        await until(lambda: one.stands("watching"), f"replica {one.number} is ready", READY)

    async def leader(self, seconds: float = READY) -> Replica:
        """Whoever says of itself that it leads, once one does."""

        async def found() -> list[Replica]:
            return [one for one in self.replicas if one.alive and await one.stands("leads")]

        for _ in range(round(seconds / 0.1)):
            if leaders := await found():
                return leaders[0]
            await asyncio.sleep(0.1)
        raise TimeoutError(f"nobody led within {seconds} s")

    async def follows(self, one: Replica) -> bool:
        """It is ready, sees all the others, and does not lead."""
        found = await one.ready() if one.alive else None
        there = bool(found and found["ready"] and not found["replicas"][0]["leads"])
        return there and len(found["replicas"] if found else ()) == self._count

    async def shared_out(self, among: int) -> None:
        """So many know of each other, and every rule group has its place at one of them."""

        async def known() -> bool:
            there = [one for one in self.replicas if one.alive]
            seen = [await self.metric(one, "agentpager_replicas") for one in there]
            groups = [await self.groups(one) for one in there]
            return seen == [among] * among and sum(groups) == self._sliced.slices + 1

        await until(known, "the rule groups are shared out", READY)

    async def groups(self, one: Replica) -> int:
        return int(await self.metric(one, "agentpager_rule_groups") or 0)

    async def metric(self, one: Replica, name: str) -> float | None:
        from aiohttp import ClientError, ClientSession  # noqa: PLC0415

        try:
            async with (
                asyncio.timeout(2),
                ClientSession() as session,
                session.get(f"http://127.0.0.1:{one.port}/metrics") as answer,
            ):
                text = await answer.text()
        except (ClientError, OSError, TimeoutError):
            return None
        found = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(found[0].split()[1]) if found else None

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self._server.connect(self._database) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]

    def logs(self) -> str:
        return "".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.directory.glob("*.log")))

    def sent(self) -> int:
        """Incidents with a page that is written down as sent; cheap, for Slack lives in this very loop."""
        return int(self.rows("select count(distinct incident) from pages where kind = 'page' and state = 'sent'")[0][0])

    def posted_twice(self) -> int:
        """Messages beyond the first of the same page."""
        named = [call["args"]["metadata"] for call in self.posts()]
        pages = [json.loads(each) if isinstance(each, str) else each for each in named]
        return sum(count - 1 for count in Counter(each["event_payload"]["page_id"] for each in pages).values())

    def shown(self) -> dict[str, float]:
        """Alerts by their tool, and when Slack accepted the message that shows a page for their incident."""
        landed = {(call["answer"]["channel"], call["answer"]["ts"]): float(call["at"]) for call in self.posts()}
        at: dict[str, float] = {}
        for (doc,) in self.rows("select doc from pages where kind = 'page' and state = 'sent'"):
            page = json.loads(doc)
            address = (page["slack_channel"], page["ts"])
            if address in landed:
                at[page["incident"]] = min(landed[address], at.get(page["incident"], landed[address]))
        return {
            alert["labels"]["tool"]: at[name]
            for name, doc in self.rows("select id, doc from incidents")
            if name in at
            for alert in json.loads(doc)["alerts"]
            if "tool" in alert["labels"]
        }

    def _files(self) -> dict[str, Any]:
        files = super()._files()
        files["agents/all.yaml"] = {"agents": {}}  # each series says whose it is
        files["alerts/storm.yaml"] = {
            "groups": [
                {
                    "name": f"slice{number}",
                    "rules": [
                        {
                            "alert": "ToolErrors",
                            "expr": f'storm_errors{{slice="{number}"}} > 5',
                            "labels": {"severity": "critical", "slice": str(number)},
                            "annotations": {"summary": "{{ $labels.agent }}: {{ $value }} errors"},
                        },
                        *(_quiet(number, place) for place in range(1, self._sliced.rules)),
                    ],
                }
                for number in range(self._sliced.slices)
            ]
        }
        return files


def _quiet(group: int, place: int) -> dict[str, Any]:
    expr = f'avg_over_time(storm_errors{{slice="{group}"}}[{place}m]) > 1000'
    return {"alert": f"Quiet{place}", "expr": expr, "for": "1m", "labels": {"severity": "warning"}}


@contextlib.asynccontextmanager
async def installed(directory: Path, storm: Sliced, count: int) -> AsyncIterator[Replicas]:
    with running(tcp=True) as server:
        async with Replicas(directory, storm, server, count) as place:
            yield place


# A change of leader in a storm

SLICES = 8
PROMISED = 20.0  # seconds until a page that is due is out, whatever became of the leader
SETTLED = 60.0  # what was under way is looked for first


@dataclass(frozen=True)
class Change:
    """`slowest` of the alerts that began when the leader was hit, `last` of all, in seconds from then."""

    hit: str
    slowest: float
    last: float
    lost: int
    twice: int

    def __str__(self) -> str:
        return f"| {self.hit} | {self.slowest:.1f} s | {self.last:.1f} s | {self.lost} | {self.twice} |"

    @property
    def kept(self) -> bool:
        return self.slowest <= PROMISED and self.lost == 0 and self.twice <= 1


async def in_a_storm(place: Replicas, leader: Replica, numbers: range, late: range, hit: str) -> Change:
    """The leader is hit when the first message of the storm is out; at the same moment one more alert of each rule
    group begins."""
    messages, twice = len(place.posts()), place.posted_twice()
    place.storm.crossed |= set(numbers)

    async def some() -> bool:
        return len(place.posts()) > messages

    await until(some, "the first message of the storm is out", SETTLED)
    at = time.time()
    if hit == "cut":
        leader.proxy.cut()
    else:
        os.kill(leader.pid, getattr(signal, hit))
    place.storm.crossed |= set(late)

    async def told() -> bool:
        return await asyncio.to_thread(place.sent) == len(place.storm.crossed)

    with contextlib.suppress(SystemExit):
        await until(told, "everybody is told", SETTLED)
    landed = await asyncio.to_thread(place.shown)
    waited = {number: landed.get(f"t{number}", at + 999) - at for number in (*numbers, *late)}
    lost = sum(f"t{number}" not in landed for number in place.storm.crossed)
    slowest = max(waited[number] for number in late)
    return Change(hit, slowest, max(waited.values()), lost, place.posted_twice() - twice)


async def fail_over(alerts: int, directory: Path) -> int:
    """One installation for all three, because every change of leader takes the ten seconds of a lease."""
    storm = Sliced(alerts=3 * alerts, agents=3 * alerts, owners=10, critical=10, late=3 * SLICES, slices=SLICES)
    changes: list[Change] = []
    print(f"Three replicas, {alerts} alerts at once, the leader hit when the first message is out:\n")
    print("| the leader | an alert that begins then is out after | the last of the storm after | lost | twice |")
    print("| --- | --- | --- | --- | --- |")
    async with installed(directory, storm, 3) as place:
        await place.begin_all()
        await place.shared_out(3)
        for turn, hit in enumerate(("SIGKILL", "SIGSTOP", "cut")):
            leader = await place.leader()
            first = storm.alerts + turn * SLICES
            numbers = range(turn * alerts, (turn + 1) * alerts)
            changes.append(await in_a_storm(place, leader, numbers, range(first, first + SLICES), hit))
            print(changes[-1], flush=True)
            if hit == "SIGKILL":
                await place.begin(leader)
            elif hit == "SIGSTOP":
                os.kill(leader.pid, signal.SIGCONT)
            else:
                leader.proxy.mend()
            await until(lambda one=leader: place.follows(one), f"who led goes on as a follower after {hit}", SETTLED)
        one_leads = len([one for one in place.replicas if await one.stands("leads")]) == 1
        rows = place.rows("select count(*), count(*) filter (where state = 'open') from incidents")
        every = len(storm.crossed)
        if not all(change.kept for change in changes) or not one_leads:
            print(place.logs(), file=sys.stderr)
    print(f"\n{rows[0][0]} incidents of {every} alerts, {rows[0][1]} open; {describe()}")
    kept = all(change.kept for change in changes) and one_leads and rows == [(every, every)]
    return 0 if kept else 1


# Rolling restarts


async def restarts(count: int, directory: Path) -> int:
    """Replicas in turn are stopped in good order and started again, while a new alert begins each second."""
    total = 10 * count + 600
    storm = Sliced(alerts=total, agents=total, owners=10, critical=10, late=0, slices=8)
    async with installed(directory, storm, 3) as place:
        place.slack.limits = False  # ten restarts in a few minutes open more connections than Slack allows
        await place.begin_all()
        await place.shared_out(3)
        crossed: dict[str, float] = {}

        async def load() -> None:
            for number in range(total):
                crossed[f"t{number}"] = time.time()
                storm.crossed.add(number)
                await asyncio.sleep(1)

        loading = asyncio.create_task(load())
        changes = 0
        for number in range(count):
            one = place.replicas[number % len(place.replicas)]
            changes += await one.stands("leads")
            await end(one.process)
            await place.begin(one)
            await place.watching(one)
        loading.cancel()

        async def told() -> bool:
            return await asyncio.to_thread(place.sent) >= len(storm.crossed)

        with contextlib.suppress(SystemExit):
            await until(told, "everybody is told", READY)
        landed = await asyncio.to_thread(place.shown)
        waits = sorted(landed[tool] - at for tool, at in crossed.items() if tool in landed)
        lost, twice = len(crossed.keys() - landed.keys()), place.posted_twice()
        print(f"{count} restarts, {changes} changes of leader, {len(crossed)} alerts: {lost} lost, {twice} twice")
        print(f"from crossing to Slack: p50 {waits[len(waits) // 2]:.1f} s, longest {waits[-1]:.1f} s")
        print(describe())
        return int(lost > 0 or twice > changes)


# Several watchers


async def watchers(counts: Sequence[int], options: argparse.Namespace, directory: Path) -> int:
    print("| watchers | rule groups of each | alerts' part of a round, busiest, cores | all watchers, cores |")
    print("| --- | --- | --- | --- |")
    for count in counts:
        storm = Sliced(
            alerts=options.series,
            agents=options.series,
            owners=10,
            critical=10,
            late=0,
            slices=options.groups,
            rules=options.rules,
        )
        folder = directory / str(count)
        folder.mkdir()
        async with installed(folder, storm, count) as place:
            await place.begin_all()
            await place.shared_out(count)
            await asyncio.sleep(options.settle)
            before = [await _spent(place, one) for one in place.replicas]
            await asyncio.sleep(options.seconds)
            after = [await _spent(place, one) for one in place.replicas]
            groups = [await place.groups(one) for one in place.replicas]
            rules = [(b[0] - a[0]) / options.seconds for a, b in zip(before, after, strict=True)]
            whole = [(b[1] - a[1]) / options.seconds for a, b in zip(before, after, strict=True)]
            shown = " + ".join(str(number) for number in groups)
            print(f"| {count} | {shown} | {max(rules):.2f} | {sum(whole):.2f} |", flush=True)
    print(f"\n{options.series} series, {options.groups} groups of {options.rules} rules every second. {describe()}")
    return 0


async def _spent(place: Replicas, one: Replica) -> tuple[float, float]:
    """Processor seconds of a replica's rules, and of its watcher in all."""
    (watcher,) = [pid for pid in children(one.pid) if "bot.watcher" in Path(f"/proc/{pid}/cmdline").read_text()]
    rules = await place.metric(one, "agentpager_rule_group_duration_seconds_sum") or 0.0
    return rules, cpu_seconds(watcher)


async def main(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as folder:
        if options.fail_over:
            return await fail_over(options.alerts, Path(folder))
        if options.restarts:
            return await restarts(options.restarts, Path(folder))
        return await watchers([int(each) for each in options.watchers.split(",")], options, Path(folder))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fail-over", action="store_true")
    parser.add_argument("--alerts", type=int, default=1000, help="of the storm in which the leader is hit")
    parser.add_argument("--watchers", default="1,2,4")
    parser.add_argument("--groups", type=int, default=40)
    parser.add_argument("--rules", type=int, default=10, help="of each group")
    parser.add_argument("--series", type=int, default=4000)
    parser.add_argument("--settle", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--restarts", type=int, default=0)
    sys.exit(together(main(parser.parse_args())))
