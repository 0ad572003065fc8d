"""Asks one server for answers, over a connection for each thread."""

from __future__ import annotations

import http.client
import json
import threading
from urllib.parse import urlencode

from .answer import Answer, read
from .query import Question

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Client:
    def __init__(self, port: int) -> None:
        self._port = port
        self._own = threading.local()

    def close(self) -> None:
        connection = getattr(self._own, "connection", None)
        if connection is not None:
            connection.close()
        self._own.connection = None

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        except OSError:
            self.close()
            raise

    def ask(self, text: str, question: Question) -> Answer:
        fields = {"query": text}
        if question.step_ms:
            path = "query_range"
            times = {"start": question.start_ms, "end": question.end_ms, "step": question.step_ms}
        else:
            path, times = "query", {"time": question.start_ms}
        fields |= {name: f"{ms / 1000:.3f}" for name, ms in times.items()}
        _, body = self.request("POST", f"/api/v1/{path}", urlencode(fields).encode(), _FORM)
        return read(json.loads(body))
