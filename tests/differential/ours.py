"""Our engine behind the pager's own HTTP server, filled with the same series."""

from __future__ import annotations

import asyncio
import socket
import threading
from datetime import UTC, datetime
from typing import Any

import numpy as np
import uvicorn

from bot.promql.cells import STALE as STALE_NAN
from bot.promql.store import SeriesStore
from bot.queries import Queries
from bot.settings import Http, Query, RateLimit
from bot.web.api import build

from .answer import Answer
from .data import GRID_MS, STALE, Line
from .query import Question
from .wire import Client

UNLIMITED = Http(limit=RateLimit(per_second=0))
EPOCH = datetime.fromtimestamp(0, UTC)


class Ours:
    def __init__(self, lines: list[Line]) -> None:
        self.store = SeriesStore(1e9)
        fill(self.store, lines)
        self._queries = Queries(self.store, lambda: EPOCH, None)
        self._queries.adjust(Query(experimental_functions=True))
        self._asked = 0

    async def ask_prometheus(self, path: str, fields: Any, *, pack: bool) -> tuple[dict[str, Any], bytes]:
        """What the server asks its backend; in the product the answer comes from the watcher's process."""
        self._asked += 1
        answer = await self._queries.answer(self._asked, path, fields, pack=pack)
        return {"status": answer.status, "packed": answer.packed}, answer.body

    def __enter__(self) -> Ours:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as bot.app does
        config = uvicorn.Config(build(self, lambda: UNLIMITED), log_level="error", lifespan="off", access_log=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self._client = Client(self._socket.getsockname()[1])
        return self

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def ask(self, question: Question) -> Answer:
        return self._client.ask(question.query.text(), question)


def fill(store: SeriesStore, lines: list[Line]) -> None:
    """Half of the series comes as from one target, half with times of its own: the two ways samples are kept."""
    ids = [store.intern(line.labels) for line in lines]
    for slot in range(max(len(line.samples) for line in lines)):
        there = [n for n, line in enumerate(lines) if slot < len(line.samples) and line.samples[slot] is not None]
        at = slot * GRID_MS / 1000
        for own in (False, True):
            some = [n for n in there if (n % 2 == 1) is own]
            values = np.array([_value(lines[n].samples[slot]) for n in some], np.float64)
            these = np.array([ids[n] for n in some], np.int64)
            if own:
                store.append_at(these, np.full(len(some), at), values)
            elif some:
                store.append("target", at, these, values)


def _value(sample: float | str | None) -> float:
    assert sample is not None
    return float(STALE_NAN) if sample == STALE else float(sample)
