"""`agentpager readiness`: exit codes, JSON, and what a server adds, on a real directory and over real HTTP."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from click.testing import CliRunner
from ports import free_port
from readiness_world import ANSWERS, FACTS, FILES, agent_file, judged

from bot.cli.main import cli
from bot.clock import SystemClock
from bot.readiness.model import Facts


def write(folder: Path, changes=None, port: int | None = None) -> Path:
    files = {**FILES, **(changes or {})}
    main = files["agentpager.yaml"].replace("http: {", f'http: {{listen: "127.0.0.1:{port or free_port()}", ')
    for name, text in {**files, "agentpager.yaml": main}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("2026-11-01}", "2026-11-20}"))
    return folder


def ask(folder: Path, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, ["readiness", *arguments, "--config", str(folder)])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def server():
    """Answers as a pager does; `state` can be changed while it runs."""
    state = {"status": 200, "rows": [judged().model_dump(mode="json")], "token": "", "answers": ANSWERS}

    class Handler(BaseHTTPRequestHandler):
        def _send(self, status: int, body: object) -> None:
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def do_GET(self) -> None:
            state["token"] = self.headers.get("Authorization", "")
            told = state["rows"] if state["status"] == 200 else {"error": "send Authorization"}
            self._send(state["status"], told)

        def do_POST(self) -> None:
            query = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["query"][0]
            rows = [{"metric": labels, "value": [0, str(value)]} for labels, value in state["answers"].get(query, [])]
            self._send(200, {"status": "success", "data": {"resultType": "vector", "result": rows}})

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        state["port"] = http.server_address[1]
        yield state
        http.shutdown()
        thread.join()


def test_without_a_server_the_files_decide_and_the_output_says_who_was_not_asked(tmp_path):
    code, output, _ = ask(write(tmp_path))
    assert code == 0
    assert output.startswith("refund-agent: ready for run, 8 of 17 not finished\n")
    assert "No server was asked (http://127.0.0.1:" in output
    assert "Connection refused" in output


def test_a_server_that_runs_is_asked_without_being_named(tmp_path, server):
    code, output, _ = ask(write(tmp_path, port=server["port"]))
    assert (code, output.splitlines()[0]) == (0, "refund-agent: ready for run")
    assert output.splitlines()[-1] == f"Asked the server at http://127.0.0.1:{server['port']}."


def test_json_has_the_shape_that_other_tools_rely_on(tmp_path, server):
    code, output, _ = ask(write(tmp_path), "-o", "json", "--server", f"http://127.0.0.1:{server['port']}/")
    (row,) = json.loads(output)
    assert code == 0
    assert (row["agent"], row["stage"], row["ready"]) == ("refund-agent", "run", True)
    assert {frozenset(one) for one in row["domains"]} == {
        frozenset({"domain", "status", "evidence", "hint", "required", "waiver"})
    }
    assert len(row["domains"]) == 17
    assert row["server"] == f"http://127.0.0.1:{server['port']}"
    assert Facts.model_validate(row["facts"]) == FACTS


def test_a_domain_that_is_not_started_is_exit_code_1(tmp_path):
    code, output, _ = ask(write(tmp_path, agent_file(", tested_on: 2026-11-01")), "-o", "json")
    (row,) = json.loads(output)
    assert (code, row["ready"], row["blocking"], row["server"]) == (1, False, ["kill_switch"], None)


def test_a_promotion_is_judged_before_it_is_merged(tmp_path):
    changes = agent_file("stage: run", "stage: pilot")
    changes["agents/refund.yaml"] = changes["agents/refund.yaml"].replace(", tested_on: 2026-11-01", "")
    folder = write(tmp_path, changes)
    assert ask(folder)[0] == 0
    code, output, _ = ask(folder, "refund-agent", "--stage", "walk", "-o", "markdown")
    assert code == 1
    assert output.startswith("# Refund agent (`refund-agent`): pilot → walk\n\n**Not ready**: `kill_switch`")


def test_an_agent_that_there_is_not_is_exit_code_2(tmp_path):
    code, _, error = ask(write(tmp_path), "refund-agnt")
    assert code == 2
    assert 'there is no agent "refund-agnt"; did you mean "refund-agent"?' in error


def test_a_broken_file_is_exit_code_2_with_its_line(tmp_path):
    code, _, error = ask(write(tmp_path, {"agents/refund.yaml": "agents: {a: {owner: team:payments, stag: run}}\n"}))
    assert code == 2
    assert "agents/refund.yaml:1:" in error


def test_a_server_that_was_named_and_is_not_there_is_exit_code_3(tmp_path):
    code, _, error = ask(write(tmp_path), "--server", f"http://127.0.0.1:{free_port()}")
    assert code == 3
    assert "Connection refused" in error


@pytest.mark.parametrize("url", ["nonsense", "http://"])
def test_an_address_that_is_none_is_exit_code_3(tmp_path, url):
    code, _, error = ask(write(tmp_path), "--server", url)
    assert code == 3
    assert "cannot be asked" in error


def test_a_server_that_refuses_is_told_and_the_files_decide(tmp_path, server):
    server["status"] = 401
    folder = write(tmp_path, port=server["port"])
    code, output, _ = ask(folder)
    assert code == 0
    assert "refuses with status 401: send Authorization" in output
    assert ask(folder, "--server", f"http://127.0.0.1:{server['port']}")[0] == 3


def test_what_the_server_has_known_still_stands_while_it_has_just_begun_to_look(tmp_path, server):
    just_begun = FACTS.model_copy(update={"watched_since": SystemClock().now()})
    told = judged().model_copy(update={"facts": just_begun})
    server["rows"], server["answers"] = [told.model_dump(mode="json")], {}
    _, output, _ = ask(write(tmp_path, port=server["port"]), "-o", "json")
    (row,) = json.loads(output)
    assert {one["domain"]: one["status"] for one in row["domains"]}["alert_errors"] == "done"


def test_something_else_on_that_port_is_no_server_of_ours(tmp_path, server):
    server["rows"] = {"hello": "world"}
    code, output, _ = ask(write(tmp_path, port=server["port"]))
    assert code == 0
    assert "does not answer as agentpager does" in output


def test_the_token_is_sent(tmp_path, server):
    folder = write(tmp_path, port=server["port"])
    main = folder / "agentpager.yaml"
    main.write_text(main.read_text().replace("http: {", "http: {token: s3cret-s3cret-s3cret, "))
    ask(folder)
    assert server["token"] == "Bearer s3cret-s3cret-s3cret"


def test_no_agents_at_all_are_ready(tmp_path):
    code, output, _ = ask(write(tmp_path, {"agents/refund.yaml": "agents: {}\n"}), "-o", "json")
    assert (code, json.loads(output)) == (0, [])
