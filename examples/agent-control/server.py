#!/usr/bin/env python3
"""A small control plane for AI agents, to run beside agentpager: it pauses an agent, lowers its autonomy, switches its
model, revokes a credential, and takes each of these back. Needs nothing but Python 3.11.

    AGENT_CONTROL_TOKEN=... python3 server.py --listen 127.0.0.1:9301 --database agent-control.db

Agents ask it before each run what they may do: `GET /agents/<id>`. It shows how such a service has to behave so that
actions of runbooks are safe:

* who asks shows a token; without one, nothing is told or done;
* each change carries an `Idempotency-Key`. The change and its answer are kept together, in one transaction, so that a
  request which comes again is answered and not carried out again, also after a crash of either side;
* the same key with another request is refused with 422, a change without a key with 400.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

LEVELS = ("observe", "suggest", "approve", "autonomous")  # the least autonomy first
BEGINNING = {"paused": False, "autonomy": "autonomous", "model": "primary", "revoked": []}
MAX_BODY = 64 * 1024
SCHEMA = """
CREATE TABLE IF NOT EXISTS agents (id TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS requests (
    key TEXT PRIMARY KEY, digest TEXT NOT NULL, status INTEGER NOT NULL, answer TEXT NOT NULL,
    at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);
CREATE TABLE IF NOT EXISTS changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, agent TEXT NOT NULL, what TEXT NOT NULL,
    at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);
"""

State = dict[str, Any]
Change = Callable[[State, dict[str, Any], str], str]


class RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


def pause(state: State, body: dict[str, Any], _name: str) -> str:
    state["paused"] = True
    return f"paused: {body.get('reason') or 'no reason given'}"


def resume(state: State, _body: dict[str, Any], _name: str) -> str:
    state["paused"] = False
    return "resumed"


def set_autonomy(state: State, body: dict[str, Any], _name: str) -> str:
    """Only ever lowers it: an incident is no time to give an agent more freedom."""
    level = body.get("level")
    if level not in LEVELS:
        raise RefusedError(400, f"level is one of {', '.join(LEVELS)}")
    if LEVELS.index(level) > LEVELS.index(state["autonomy"]):
        raise RefusedError(409, f"autonomy is {state['autonomy']}; this only lowers it, DELETE gives it back")
    state["autonomy"] = level
    return f"autonomy lowered to {level}"


def restore_autonomy(state: State, _body: dict[str, Any], _name: str) -> str:
    state["autonomy"] = BEGINNING["autonomy"]
    return f"autonomy is {state['autonomy']} again"


def set_model(state: State, body: dict[str, Any], _name: str) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise RefusedError(400, "model is the name of a model")
    state["model"] = model
    return f"model is {model}"


def restore_model(state: State, _body: dict[str, Any], _name: str) -> str:
    state["model"] = BEGINNING["model"]
    return f"model is {state['model']} again"


def revoke(state: State, _body: dict[str, Any], name: str) -> str:
    state["revoked"] = sorted({*state["revoked"], name})
    return f"credential {name} revoked"


def reinstate(state: State, _body: dict[str, Any], name: str) -> str:
    state["revoked"] = [one for one in state["revoked"] if one != name]
    return f"credential {name} works again"


CHANGES: dict[tuple[str, str], Change] = {
    ("POST", "/agents/*/pause"): pause,
    ("POST", "/agents/*/resume"): resume,
    ("PUT", "/agents/*/autonomy"): set_autonomy,
    ("DELETE", "/agents/*/autonomy"): restore_autonomy,
    ("PUT", "/agents/*/model"): set_model,
    ("DELETE", "/agents/*/model"): restore_model,
    ("POST", "/agents/*/credentials/*/revoke"): revoke,
    ("POST", "/agents/*/credentials/*/reinstate"): reinstate,
}


def matched(method: str, path: str) -> tuple[Change, str, str] | None:
    """The change, the agent, and what else the path names."""
    parts = path.split("/")
    for (wanted, pattern), change in CHANGES.items():
        shape = pattern.split("/")
        pairs = list(zip(parts, shape, strict=False))
        fits = wanted == method and len(shape) == len(parts)
        if fits and all(part if want == "*" else part == want for part, want in pairs):
            names = [unquote(part) for part, want in pairs if want == "*"]
            return change, names[0], names[-1]
    return None


class Control:
    """The state of all agents, and every request that has changed it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.Lock()
        with closing(self._open()) as connection:
            connection.executescript(SCHEMA)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=10)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def state(self, agent: str) -> State:
        with closing(self._open()) as connection:
            return self._read(connection, agent)

    def changes(self, agent: str) -> list[dict[str, str]]:
        with closing(self._open()) as connection:
            rows = connection.execute("SELECT key, what, at FROM changes WHERE agent = ? ORDER BY number", (agent,))
            return [{"key": key, "what": what, "at": at} for key, what, at in rows]

    def carry_out(self, key: str, method: str, path: str, raw: bytes) -> tuple[int, str, bool]:
        """Status, answer, and whether it is the answer to an earlier request of this key."""
        digest = hashlib.sha256(b"\n".join((method.encode(), path.encode(), raw))).hexdigest()
        with self._turn, closing(self._open()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            known = connection.execute("SELECT digest, status, answer FROM requests WHERE key = ?", (key,)).fetchone()
            if known is not None:
                connection.execute("ROLLBACK")
                if known[0] != digest:
                    raise RefusedError(422, "this Idempotency-Key has been used for another request")
                return known[1], known[2], True
            try:
                status, answer = self._change(connection, key, method, path, raw)
            except RefusedError:
                connection.execute("ROLLBACK")
                raise
            connection.execute(
                "INSERT INTO requests (key, digest, status, answer) VALUES (?, ?, ?, ?)", (key, digest, status, answer)
            )
            connection.execute("COMMIT")
        return status, answer, False

    def _change(self, connection: sqlite3.Connection, key: str, method: str, path: str, raw: bytes) -> tuple[int, str]:
        found = matched(method, path)
        if found is None:
            raise RefusedError(404, f"there is no {method} {path}")
        change, agent, name = found
        state = self._read(connection, agent)
        what = change(state, _object(raw), name)
        connection.execute(
            "INSERT INTO agents VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state",
            (agent, json.dumps(state)),
        )
        connection.execute("INSERT INTO changes (key, agent, what) VALUES (?, ?, ?)", (key, agent, what))
        return 200, json.dumps({"agent": agent, "did": what, "state": state})

    def _read(self, connection: sqlite3.Connection, agent: str) -> State:
        row = connection.execute("SELECT state FROM agents WHERE id = ?", (agent,)).fetchone()
        return dict(json.loads(row[0])) if row else json.loads(json.dumps(BEGINNING))


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        raise RefusedError(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise RefusedError(400, "the body is not a JSON object")
    return body


class Handler(BaseHTTPRequestHandler):
    control: Control
    token: str
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        self._answered(self._read)

    def do_POST(self) -> None:
        self._answered(self._change)

    def do_PUT(self) -> None:
        self._answered(self._change)

    def do_DELETE(self) -> None:
        self._answered(self._change)

    def _answered(self, work: Callable[[], None]) -> None:
        try:
            given = self.headers.get("Authorization", "")
            if self.path != "/-/healthy" and not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
                raise RefusedError(401, "send Authorization: Bearer <token>")
            work()
        except RefusedError as refusal:
            self.close_connection = True  # the body may not have been read
            self._send(refusal.status, json.dumps({"error": str(refusal)}))

    def _read(self) -> None:
        parts = self.path.split("/")
        if self.path == "/-/healthy":
            self._send(200, json.dumps({"ok": True}))
        elif len(parts) == 3 and parts[1] == "agents" and parts[2]:
            self._send(200, json.dumps(self.control.state(unquote(parts[2]))))
        elif len(parts) == 4 and parts[1] == "agents" and parts[3] == "changes":
            self._send(200, json.dumps(self.control.changes(unquote(parts[2]))))
        else:
            raise RefusedError(404, f"there is no {self.path}")

    def _change(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            raise RefusedError(413, f"a body has {MAX_BODY} bytes at most, and says how many")
        raw = self.rfile.read(int(length))
        key = self.headers.get("Idempotency-Key", "")
        if not key or len(key) > 200:
            raise RefusedError(400, "a change carries an Idempotency-Key")
        status, answer, again = self.control.carry_out(key, self.command, self.path, raw)
        self._send(status, answer, {"Idempotent-Replayed": "true"} if again else {})

    def _send(self, status: int, text: str, more: dict[str, str] | None = None) -> None:
        body = (text + "\n").encode()
        self.send_response(status, HTTPStatus(status).phrase)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(more or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        key = self.headers.get("Idempotency-Key", "-") if hasattr(self, "headers") else "-"
        sys.stderr.write(f"{self.log_date_time_string()} {key} {format % args}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="A small control plane for AI agents.")
    parser.add_argument("--listen", default="127.0.0.1:9301", help="address and port (default %(default)s)")
    parser.add_argument("--database", type=Path, default=Path("agent-control.db"), help="SQLite file")
    options = parser.parse_args()
    token = os.environ.get("AGENT_CONTROL_TOKEN", "")
    if len(token) < 16:
        sys.exit("set AGENT_CONTROL_TOKEN to at least 16 characters: whoever has it may stop your agents")
    Handler.control, Handler.token = Control(options.database), token
    host, _, port = options.listen.rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), Handler)
    sys.stderr.write(f"agent-control on http://{options.listen}\n")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
