"""What is short-lived: trigger ids and response URLs, with a clock set by hand."""

import asyncio

import pytest

from bot.demo.cast import PEOPLE, scene
from bot.demo.delivery import sign
from bot.demo.interactions import ExpiredTriggerError, Interactions, UnusableUrlError
from bot.demo.state import World

ANA = PEOPLE[0].id
PAGES = "CAGENTPAGES"


class Recorder:
    """An app that acknowledges everything at once."""

    connected = True

    def __init__(self):
        self.payloads = []

    async def deliver(self, kind, payload, retry=0):
        self.payloads.append(payload)
        return {}


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def desk(clock):
    """Interactions after one slash command, and the payload the app got of it."""
    world, app = World(scene()), Recorder()
    interactions = Interactions(world, app, clock, lambda: "http://workspace")
    asyncio.run(interactions.command(ANA, PAGES, "/agent", "status"))
    return interactions, app.payloads[0], world


def test_a_trigger_is_good_for_three_seconds(desk):
    interactions, payload, _ = desk

    with pytest.raises(ExpiredTriggerError, match="expired_trigger_id"):
        interactions.exchange_trigger(payload["trigger_id"], 1003.1)
    assert interactions.exchange_trigger(payload["trigger_id"], 1003.0) == ANA


def test_a_trigger_is_good_once_and_not_guessable(desk):
    interactions, payload, _ = desk
    interactions.exchange_trigger(payload["trigger_id"], 1001.0)

    with pytest.raises(ExpiredTriggerError, match="exchanged_trigger_id"):
        interactions.exchange_trigger(payload["trigger_id"], 1001.0)
    with pytest.raises(ExpiredTriggerError, match="invalid_trigger_id"):
        interactions.exchange_trigger("1.2.3", 1001.0)


def test_a_response_url_is_good_for_thirty_minutes(desk, clock):
    interactions, payload, world = desk
    key = payload["response_url"].rpartition("/")[2]

    clock.now = 1000.0 + 1800
    interactions.respond(key, {"text": "late"})
    clock.now = 1000.0 + 1801
    with pytest.raises(UnusableUrlError, match="expired_url"):
        interactions.respond(key, {"text": "too late"})
    assert [message.text for message in world.visible(PAGES, ANA)] == ["late"]


def test_a_response_url_takes_what_a_message_takes(desk):
    interactions, payload, _ = desk
    key = payload["response_url"].rpartition("/")[2]

    with pytest.raises(UnusableUrlError, match="no_text"):
        interactions.respond(key, {})
    with pytest.raises(UnusableUrlError, match="invalid_blocks"):
        interactions.respond(key, {"blocks": [{"type": "section"}]})


def test_the_signature_is_slacks():
    # The example of docs.slack.dev/authentication/verifying-requests-from-slack.
    body = (
        "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        "&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )

    assert (
        sign("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", body)
        == "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    )
