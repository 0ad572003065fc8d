"""What the pager does with updates that come faster than it works them in, or that it cannot work in."""

from __future__ import annotations

import asyncio

from core_world import NOW, alert, ended

from bot.joint import Update
from bot.supervisor import WatcherProcess


def update(*alerts, still=None):
    return Update(group="f;g", evaluated_at=NOW, alerts=alerts, still=still)


async def nothing():
    return {}


async def test_an_update_that_could_not_be_worked_in_is_tried_again_with_what_came_since():
    worked_in, done = [], asyncio.Event()

    async def work_in(message):
        worked_in.append(message)
        if len(worked_in) == 1:
            raise OSError("database is locked")
        done.set()

    watcher = WatcherProcess(nothing, work_in)
    passing = asyncio.create_task(watcher._pass_on())
    watcher._take(update(alert(), alert("Other")))
    while not watcher._failed:
        await asyncio.sleep(0)
    watcher._take(update(ended(alert(), NOW)))
    await done.wait()
    passing.cancel()
    assert worked_in[1] == update(ended(alert(), NOW), alert("Other"))


async def test_a_failed_update_is_tried_again_at_the_next_heartbeat_though_nothing_comes():
    worked_in, done = [], asyncio.Event()

    async def work_in(message):
        worked_in.append(message)
        if len(worked_in) == 1:
            raise OSError("database is locked")
        done.set()

    watcher = WatcherProcess(nothing, work_in)
    passing = asyncio.create_task(watcher._pass_on())
    watcher._take(update(alert()))
    while not watcher._failed:
        await asyncio.sleep(0)
    watcher._try_again()
    await done.wait()
    passing.cancel()
    assert worked_in == [update(alert())] * 2
