"""What the demo writes for its bot is a configuration that `agentpager check` finds nothing wrong with."""

import socket

import pytest

from bot.config import check, load
from bot.demo.cast import PEOPLE, scene
from bot.demo.configuration import SHORTENED, Addresses, NotOursError, claimed, write
from bot.demo.fleet import NAMES
from bot.demo.roster import ROSTER
from bot.demo.show import free_ports
from bot.shipped import folder
from bot.slack.scopes import OPTIONAL, REQUIRED
from bot.sources import read_sources

ADDRESSES = Addresses("http://127.0.0.1:8080", 9095, {name: 9101 + index for index, name in enumerate(NAMES)})


@pytest.fixture
def written(tmp_path):
    """The path of an agentpager.yaml as the demo writes it, and the app whose tokens are in it."""
    app = scene().app
    with claimed(tmp_path / "demo"):
        yield write(tmp_path / "demo", ADDRESSES, app, "socket"), app


def test_the_written_directory_has_no_findings_and_names_the_people_of_the_workspace(written):
    path, _ = written
    sources = read_sources(path, {})
    config = load(sources)

    assert check(sources) == []
    assert {person.slack for person in config.book.people.values()} == {person.id for person in PEOPLE}
    assert set(config.agents) == {spec.id for spec in ROSTER}
    assert config.settings.slack.channel.removeprefix("#") in {channel.name for channel in scene().channels}
    assert len(config.settings.metrics.scrape.targets) == 7


def test_tokens_are_in_files_that_only_their_owner_reads(written):
    path, app = written
    token = path.parent / "secrets" / "bot_token"

    assert app.bot_token not in path.read_text()
    assert token.read_text() == app.bot_token
    assert token.stat().st_mode & 0o077 == 0


def test_a_second_start_replaces_what_the_first_left(tmp_path):
    for _ in range(2):
        with claimed(tmp_path / "demo"):
            assert not (tmp_path / "demo" / "agentpager.db").exists()
            write(tmp_path / "demo", ADDRESSES, scene().app, "socket")
            (tmp_path / "demo" / "agentpager.db").write_text("old")


def test_a_running_demo_keeps_its_directory(written):
    path, _ = written

    with pytest.raises(NotOursError, match="a demo is running"), claimed(path.parent):
        pass
    assert path.exists()


def test_files_that_no_demo_wrote_are_left_alone(tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("keep")

    for place in (tmp_path, precious):
        with pytest.raises(NotOursError, match="--dir"), claimed(place):
            pass
    assert precious.read_text() == "keep"


def test_the_app_has_the_scopes_of_its_manifest_and_no_more():
    assert set(scene().app.scopes) == {*REQUIRED, *OPTIONAL}


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
