"""How `agentpager serve` begins: the watcher loads beside the pager, reads the files beforehand, and judges them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from bot import spawn

DIGEST = "d1"
ALIVE = {"kind": "heartbeat", "at": "2026-11-21T18:00:00Z", "ready": False}


def answered(*messages: Any) -> Any:
    """A watcher that has said these, and ended."""
    stdout = asyncio.StreamReader()
    for message in messages:
        stdout.feed_data((message if isinstance(message, str) else json.dumps(message)).encode() + b"\n")
    stdout.feed_eof()
    return SimpleNamespace(stdout=stdout)


@pytest.mark.parametrize(
    ("said", "vouched"),
    [
        ([ALIVE, {"kind": "reply", "id": 0, "result": {"sound": DIGEST}}], True),
        ([{"kind": "reply", "id": 0, "result": {"sound": "of other files"}}], False),
        ([{"kind": "reply", "id": 0, "result": {}}], False),
        ([{"kind": "reply", "id": 0, "result": None, "error": "it broke"}], False),
        (["no JSON"], False),
        (["[]"], False),
        ([ALIVE], False),
        ([], False),
    ],
)
async def test_only_a_word_about_these_very_files_counts(said, vouched):
    assert await spawn.vouches(answered(*said), DIGEST) is vouched


async def test_where_there_is_no_watcher_yet_nobody_vouches():
    assert not await spawn.vouches(None, DIGEST)


def test_a_runbook_that_does_not_render_is_refused_and_no_watcher_stays(tmp_path):
    """The pager itself does not look at this one when the watcher finds nothing wrong."""
    (tmp_path / "oncall.yaml").write_text("people: {ana: {name: Ana, slack: U0ANA}}\nfallback: 'person:ana'\n")
    (tmp_path / "slow.yaml").write_text(
        "schema: runbook/v1\nid: slow\ntitle: Slow\nowner: person:ana\napplies_to: ['alertname=\"Slow\"']\n"
        "reviewed_on: 2026-11-01\nsummary: It is slow.\n"
        "steps: [{id: look, kind: action, title: 'Look at {{ nonsense.of }}'}]\n"
    )
    (tmp_path / "agentpager.yaml").write_text(
        "oncall: {files: [oncall.yaml]}\nrunbooks: {files: [slow.yaml]}\nrules: {files: []}\nagents: {files: []}\n"
        "incidents: {files: []}\nslack: {bot_token: x, app_token: x}\nhttp: {listen: '127.0.0.1:0'}\n"
    )
    # Whoever inherits standard error keeps it open: `run` returns once the watcher is gone, too.
    done = subprocess.run(
        [sys.executable, "-m", "bot", "serve", "--config", str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "slow.yaml:8:" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert not (tmp_path / "agentpager.db").exists()


def test_the_pager_loads_no_numpy():
    """Nor what reads samples: that is the watcher's, and a tenth of the pager's start and memory."""
    code = "import sys; sys.modules['numpy'] = None; import bot.app"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
