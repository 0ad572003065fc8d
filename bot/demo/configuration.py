"""Writes the directory that configures the demo's bot: the shipped catalogue, the demo's people, this run's ports."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from bot.clock import SystemClock
from bot.demo.gateway import GATEWAY
from bot.demo.state import App
from bot.shipped import folder

MARKER = ".agentpager-demo"

# A minute is a long time in front of a screen: the demo waits five seconds before it calls an agent down.
SHORTENED = {
    "alerts/availability.yaml": {"for: 1m": "for: 5s", "for a minute": "for 5 seconds"},
}


class NotOursError(Exception):
    """The directory holds something that this demo did not write."""


@dataclass(frozen=True)
class Addresses:
    """Where everything listens in this run."""

    workspace_url: str
    pager_port: int
    agent_ports: Mapping[str, int]

    @property
    def pager_url(self) -> str:
        return f"http://127.0.0.1:{self.pager_port}"


@contextlib.contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """Empties `directory` and keeps other demos out of it. NotOursError when it is not a demo's, or in use."""
    if directory.exists() and not directory.is_dir():
        raise NotOursError(f"{directory} is a file; name another place with --dir")
    if directory.is_dir() and any(directory.iterdir()) and not (directory / MARKER).exists():
        raise NotOursError(f"{directory} holds files that no demo has written; name another place with --dir")
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / MARKER).open("a+", encoding="utf-8") as marker:
        try:
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise NotOursError(f"a demo is running in {directory}; name another place with --dir") from None
        for path in directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != MARKER:
                path.unlink()
        yield


def write(directory: Path, addresses: Addresses, app: App, slack_mode: str, today: date | None = None) -> Path:
    """Writes a fresh configuration into a claimed `directory` and returns the path of its agentpager.yaml."""
    today = today or SystemClock().now().date()
    values = {
        "workspace_url": addresses.workspace_url,
        "pager_url": addresses.pager_url,
        "pager_port": str(addresses.pager_port),
        "slack_mode": slack_mode,
        "targets": _targets(addresses.agent_ports),
        "today": today.isoformat(),
        "in_60_days": (today + timedelta(days=60)).isoformat(),
    }
    for name, source in _sources():
        text = source.read_text(encoding="utf-8")
        if name == "agentpager.yaml" or name.startswith("agents/"):
            text = _filled(text, values)
        for words, shorter in SHORTENED.get(name, {}).items():
            text = text.replace(words, shorter)
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    _write_secrets(directory / "secrets", app)
    return directory / "agentpager.yaml"


def _filled(text: str, values: Mapping[str, str]) -> str:
    for key, value in values.items():
        text = text.replace("{{" + key + "}}", value)
    return text


def _targets(ports: Mapping[str, int]) -> str:
    return "\n".join(
        f'      - {{url: "http://127.0.0.1:{port}/metrics", labels: {{{_labels(name)}, env: demo}}}}'
        for name, port in ports.items()
    )


def _labels(name: str) -> str:
    """The gateway is no agent: it speaks of all of them."""
    return "gateway: litellm" if name == GATEWAY else f"agent: {name}"


def _sources() -> Iterator[tuple[str, Traversable]]:
    """Later ones replace earlier ones of the same name."""
    for kind in ("alerts", "runbooks"):
        for item in folder(kind).iterdir():
            if item.name.endswith(".yaml"):
                yield f"{kind}/{item.name}", item
    yield "incidents/agents.yaml", folder("starter") / "incidents" / "agents.yaml"
    yield from _files(resources.files("bot.demo") / "config", "")


def _files(source: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for item in sorted(source.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _files(item, f"{prefix}{item.name}/")
        elif item.name.endswith(".yaml"):
            yield f"{prefix}{item.name}", item


def _write_secrets(directory: Path, app: App) -> None:
    """Tokens of the local workspace only, but kept as real ones should be."""
    directory.mkdir(mode=0o700)
    secrets = {"bot_token": app.bot_token, "app_token": app.app_token, "signing_secret": app.signing_secret}
    for name, value in secrets.items():
        path = directory / name
        path.touch(mode=0o600)
        path.write_text(value)
