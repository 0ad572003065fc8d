"""Which server a command asks, what token it shows and to whom, and what it says when it is refused. Over real HTTP."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner
from config_files import example

from bot.cli.main import cli

NAMES = ("AGENTPAGER_SERVER", "AGENTPAGER_TOKEN", "AGENTPAGER_TOKEN_FILE")


@dataclass
class Server:
    port: int = 0
    status: int = 200
    body: object = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, Authorization

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def server():
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state.seen.append((self.command, self.path, self.headers.get("Authorization", "")))
            raw = state.body if isinstance(state.body, bytes) else json.dumps(state.body).encode()
            self.send_response(state.status)
            for name, value in {"Content-Length": str(len(raw)), **state.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        state.port = http.server_address[1]
        yield state
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    """An empty directory, and nothing in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def run(*words: str, **env: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, list(words), env=env)
    return result.exit_code, result.stdout, result.stderr


def configured(port: int) -> None:
    """The sample configuration, listening there, with a token."""
    for name, text in example().items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        listen = f'listen: "127.0.0.1:{port}"\n  token: sixteen-characters'
        path.write_text(text.replace('listen: "127.0.0.1:9095"', listen))


def test_a_named_server_is_asked_without_any_configuration(server):
    assert run("incidents", "--server", server.url + "/", AGENTPAGER_TOKEN="secret") == (0, "no incidents\n", "")
    assert server.seen == [("GET", "/api/pager/incidents?state=open", "Bearer secret")]


def test_the_environment_names_it_too_and_the_option_goes_first(server):
    assert run("silence", "list", AGENTPAGER_SERVER=server.url)[0] == 0
    assert run("silence", "list", "--server", server.url, AGENTPAGER_SERVER="http://127.0.0.1:1")[0] == 0
    assert [path for _, path, _ in server.seen] == ["/api/pager/silences?state=open"] * 2


def test_it_may_stand_before_the_word_of_a_subcommand(server):
    server.body = {"message": "Written down.", "incident": None}
    code, told, _ = run("incidents", "--server", server.url, "note", "INC-7", "the", "vendor", "knows")
    assert (code, told) == (0, "Written down.\n")
    assert server.seen[0][:2] == ("POST", "/api/pager/incidents/INC-7/note")


def test_a_file_holds_the_token(server):
    Path("kept").write_text("from-file\n")
    run("incidents", "--server", server.url, AGENTPAGER_TOKEN_FILE="kept")
    run("incidents", "--server", server.url, AGENTPAGER_TOKEN_FILE="kept", AGENTPAGER_TOKEN="at-hand")
    assert [shown for _, _, shown in server.seen] == ["Bearer from-file", "Bearer at-hand"]
    code, _, told = run("incidents", "--server", server.url, AGENTPAGER_TOKEN_FILE="gone")
    assert (code, told) == (2, "agentpager: AGENTPAGER_TOKEN_FILE gone: No such file or directory\n")


def test_without_anything_said_it_is_the_one_of_the_configuration_with_its_token(server):
    configured(server.port)
    assert run("incidents")[0] == 0
    assert run("incidents", AGENTPAGER_TOKEN="mine")[0] == 0
    assert [shown for _, _, shown in server.seen] == ["Bearer sixteen-characters", "Bearer mine"]


def test_the_token_of_a_configuration_goes_to_no_other_server(server):
    configured(1)
    run("incidents", "--server", server.url)
    run("readiness", "--server", server.url)
    assert {path.partition("?")[0] for _, path, _ in server.seen} >= {"/api/pager/incidents", "/api/pager/readiness"}
    assert {shown for _, _, shown in server.seen} == {""}


def test_a_redirection_is_not_followed_with_a_token(server):
    server.status, server.headers = 302, {"Location": f"{server.url}/elsewhere"}
    code, _, told = run("incidents", "--server", server.url, AGENTPAGER_TOKEN="secret")
    assert (code, told) == (3, f"agentpager: what answers at {server.url} is not agentpager (status 302)\n")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "body", "token", "code", "told"),
    [
        (
            401,
            {"error": "no"},
            "",
            2,
            "URL asks for a token: export AGENTPAGER_TOKEN=…; agentpager token new makes one",
        ),
        (401, {"error": "it has expired"}, "old", 2, "URL does not take this token: it has expired"),
        (403, {"error": 'it lacks the scope "act"', "scope": "act"}, "t", 2, 'it lacks the scope "act"'),
        (429, {"error": "asked too often; wait 2 s"}, "t", 2, "asked too often; wait 2 s"),
        (503, {"error": "the watcher is not running"}, "t", 3, "the watcher is not running"),
        (200, b"<html>", "t", 3, "what answers at URL is not agentpager (status 200)"),
    ],
)
def test_a_refusal_says_what_to_do(server, status, body, token, code, told):
    server.status, server.body = status, body
    answer = run("ack", "INC-7", "--server", server.url, AGENTPAGER_TOKEN=token)
    assert answer == (code, "", f"agentpager: {told.replace('URL', server.url)}\n")


def test_nobody_there():
    code, _, told = run("incidents", "--server", "http://127.0.0.1:1")
    assert code == 3
    assert told == (
        "agentpager: no running server answers at http://127.0.0.1:1 (Connection refused); "
        "check --server and AGENTPAGER_SERVER\n"
    )


def test_a_token_that_would_leave_the_machine_in_the_clear_is_told():
    _, _, told = run("incidents", "--server", "http://pager.invalid", AGENTPAGER_TOKEN="secret")
    assert told.startswith("agentpager: the token goes to http://pager.invalid unencrypted; use https where you can\n")


def test_what_reads_the_files_asks_the_server_that_is_named_instead(server):
    server.body = {"at": "2026-11-04T02:00:00+00:00", "schedules": []}
    assert run("oncall", "--server", server.url, "--at", "2026-12-24T18:00:00Z")[0] == 0
    server.body = []
    assert run("agent", "list", AGENTPAGER_SERVER=server.url)[0] == 0
    server.status, server.body = 404, {"error": 'there is no agent "a/b"'}
    assert run("agent", "report", "a/b", "--server", server.url) == (2, "", 'agentpager: there is no agent "a/b"\n')
    assert [path for _, path, _ in server.seen] == [
        "/api/pager/oncall?at=2026-12-24T18:00:00%2B00:00",
        "/api/pager/agents",
        "/api/pager/agents/a%2Fb",
    ]
