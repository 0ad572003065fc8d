"""Group commit: what several tasks ask for at about the same time is done together, and each gets its own answer.

While one lot is being worked in the next one gathers, so nobody waits for company.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Batched(Generic[Asked, Answer]):
    """`work` gets everything that has gathered and returns the answers in that order. What it raises goes to all who
    asked with it."""

    def __init__(self, work: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]]) -> None:
        self._work = work
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, asked: Asked) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, answer))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run(), name="batched")
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            lot, self._waiting = self._waiting, []
            try:
                answers = await self._work([asked for asked, _ in lot])
            except Exception as error:  # noqa: BLE001 - each of them handles it as if it had been alone
                for _, future in lot:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), answer in zip(lot, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
