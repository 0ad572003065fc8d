"""Group commit: company is never waited for, and everybody gets their own answer."""

from __future__ import annotations

import asyncio

import pytest

from bot.batched import Batched


async def test_what_gathers_while_one_lot_is_worked_in_goes_together_and_each_gets_its_own_answer():
    lots: list[list[int]] = []
    open_gate = asyncio.Event()

    async def double(numbers):
        lots.append(list(numbers))
        await open_gate.wait()
        return [2 * number for number in numbers]

    batched = Batched(double)
    first = asyncio.create_task(batched(1))
    while not lots:
        await asyncio.sleep(0)
    others = [asyncio.create_task(batched(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    open_gate.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6]
    assert lots == [[1], [2, 3]]


async def test_a_failure_goes_to_all_of_the_lot_and_to_nobody_else():
    async def work(numbers):
        if 13 in numbers:
            raise OSError("disk is full")
        return numbers

    batched = Batched(work)
    with pytest.raises(OSError, match="disk is full"):
        await batched(13)
    assert await batched(7) == 7
