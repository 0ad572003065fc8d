"""Whose an alert is by the imported configuration, and which receiver Alertmanager's own tool finds for it."""

from __future__ import annotations

import random
import re  # noqa: TID251 - fixed pattern
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from config_files import imported_config, sources_of
from programs import program

from bot import config
from bot.importing.draft import slug
from bot.incidents.matching import index_of
from bot.oncall.owners import owner_of, policy_of

pytestmark = pytest.mark.interop
EXAMPLES = Path(__file__).parents[1] / "importing"
# Values that the routes of the example ask for, one that they do not, and none at all.
VALUES = {
    "alertname": ["Watchdog", "Slow", "Slow"],
    "service": ["", "checkout", "payments-eu", "files", "files", "database", "other"],
    "severity": ["", "critical", "info", "page"],
    "env": ["", "dev"],
    "owner": ["", "shop", "files"],
    "region": ["", "eu"],
}


def routes_of_the_example(directory: Path) -> Path:
    """The routes alone: Debian's version does not know all that newer ones have in receivers."""
    text = (EXAMPLES / "alertmanager.yml").read_text()
    start, end = text.index("route:"), text.index("inhibit_rules:")
    names = ["null", *re.findall(r"(?m)^  - name: ([a-z-]+)$", text)]
    path = directory / "routes.yml"
    intervals = "".join(f'  - {{name: "{name}", time_intervals: []}}\n' for name in names)
    receivers = "".join(f'  - {{name: "{name}"}}\n' for name in names)
    path.write_text(f"{text[start:end]}\ntime_intervals:\n{intervals}receivers:\n{receivers}")
    return path


def label_sets(count: int) -> list[dict[str, str]]:
    drawn = random.Random(7)
    sets = [{name: drawn.choice(values) for name, values in VALUES.items()} for _ in range(count)]
    return [{name: value for name, value in labels.items() if value} for labels in sets]


def test_the_owner_of_an_alert_is_the_receiver_that_amtool_finds(tmp_path):
    amtool, example = program("amtool"), routes_of_the_example(tmp_path)
    files, _ = imported_config("alertmanager", "alertmanager.yml")
    found = config.load(sources_of(files))
    windows = list(found.incidents.mute_windows)
    index = index_of(tuple(found.incidents.mute_windows[name].matchers for name in windows))

    def theirs(labels: dict[str, str]) -> list[str]:
        pairs = [f"{name}={value}" for name, value in labels.items()]
        file = f"--config.file={example}"
        done = subprocess.run([amtool, "config", "routes", "test", file, *pairs], capture_output=True, check=True)
        return done.stdout.decode().strip().split(",")

    asked = [*label_sets(150), {"service": "files", "severity": "critical", "region": "eu"}]
    with ThreadPoolExecutor(4) as threads:
        receivers = list(threads.map(theirs, asked))
    for labels, names in zip(asked, receivers, strict=True):
        muted = {windows[number] for number in index.matching(labels, {})}
        first = _mine(names, labels)
        assert ("to-null" in muted) is (first == "null"), labels
        if first == "null":
            continue
        owner = owner_of(labels, {}, found.book)
        assert owner.id == f"team:{slug(first)}", (labels, names)
        assert policy_of(owner, labels, {}, found.book)[0] == slug(first)
    met = {name for names in receivers for name in names}
    assert met == {  # the root is never reached: the archive takes everything else
        "null", "archive", "shop-chat", "shop-pager", "files-mails", "files-pager", "files-chat", "db-pager",
    }  # fmt: skip
    assert receivers[-1] == ["archive", "files-pager", "files-chat"]


def _mine(names: list[str], labels: dict[str, str]) -> str:
    """Whose it is here: the archive, and the pager of files by its route with continue, are told by matchers. What goes
    to them alone in Alertmanager wakes the team of the route above here, as the report says."""
    others = [name for name in names if name != "archive"]
    if labels.get("service") == "files" and others[:1] == ["files-pager"]:
        return others[1] if others[1:] else "files-mails"
    return others[0] if others else "everybody-mails"


@pytest.mark.parametrize("service", ["search", "browse", "files", "searching", ""])
@pytest.mark.parametrize("severity", ["critical", "warning", ""])
def test_the_same_for_routes_in_the_older_words(service, severity):
    files, _ = imported_config("alertmanager", "old-style.yml")
    book = config.load(sources_of({"agentpager.yaml": "{}", **files})).book
    labels = {name: value for name, value in (("service", service), ("severity", severity)) if value}
    command = [program("amtool"), "config", "routes", "test", f"--config.file={EXAMPLES / 'old-style.yml'}"]
    pairs = [f"{name}={value}" for name, value in labels.items()] or ["alertname=Slow"]
    done = subprocess.run([*command, *pairs], capture_output=True, check=True)
    assert owner_of(labels, {}, book).id == f"team:{done.stdout.decode().strip()}"
