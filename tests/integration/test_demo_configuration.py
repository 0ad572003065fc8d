"""What the demo writes for its bot is a configuration that `agentpager check` finds nothing wrong with."""

import socket

import pytest

from bot.config import check, load
from bot.demo.cast import BOT_USER, PEOPLE, scene
from bot.demo.configuration import SHORTENED, Addresses, NotOursError, write
from bot.demo.roster import ROSTER
from bot.demo.show import free_ports
from bot.shipped import folder
from bot.sources import read_sources

ADDRESSES = Addresses("http://127.0.0.1:8080", 9095, {spec.id: 9101 + index for index, spec in enumerate(ROSTER)})


def test_the_written_directory_has_no_findings_and_names_the_people_of_the_workspace(tmp_path):
    path = write(tmp_path / "demo", ADDRESSES, scene().app, "socket")
    sources = read_sources(path, {})
    config = load(sources)

    assert check(sources) == []
    assert {person.slack for person in config.book.people.values()} == {person.id for person in PEOPLE}
    assert set(config.agents) == {spec.id for spec in ROSTER}
    assert BOT_USER not in {person.slack for person in config.book.people.values()}
    assert len(config.settings.metrics.scrape.targets) == 6


def test_tokens_are_in_files_that_only_their_owner_reads(tmp_path):
    app = scene().app
    path = write(tmp_path / "demo", ADDRESSES, app, "socket")

    assert app.bot_token not in path.read_text()
    token = path.parent / "secrets" / "bot_token"
    assert token.read_text() == app.bot_token
    assert token.stat().st_mode & 0o077 == 0


def test_a_second_start_replaces_its_own_directory_and_no_other(tmp_path):
    write(tmp_path / "demo", ADDRESSES, scene().app, "socket")
    (tmp_path / "demo" / "agentpager.db").write_text("old")
    write(tmp_path / "demo", ADDRESSES, scene().app, "socket")
    assert not (tmp_path / "demo" / "agentpager.db").exists()

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("keep")
    with pytest.raises(NotOursError, match="--dir"):
        write(tmp_path / "mine", ADDRESSES, scene().app, "socket")
    assert (tmp_path / "mine" / "precious.txt").read_text() == "keep"


@pytest.mark.parametrize(("name", "words"), [(name, word) for name, words in SHORTENED.items() for word in words])
def test_what_the_demo_shortens_is_in_the_shipped_catalogue(name, words):
    kind, _, file = name.partition("/")

    assert words in (folder(kind) / file).read_text(encoding="utf-8")


def test_a_taken_port_is_replaced_by_a_free_one():
    [taken] = free_ports([0])

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", taken))
        holder.listen()
        [other, again] = free_ports([taken, 0])

    assert other not in {taken, 0}
    assert again not in {taken, other}
