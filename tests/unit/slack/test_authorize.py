"""Each way in, each kind of caller."""

from __future__ import annotations

import pytest
from slack_world import ANA, BEN, BOOK

from bot.oncall.reachability import Account
from bot.slack.authorize import Home, NotAllowedError, authorize, moment_of

HOME = Home(team="T0HOME", team_name="Home", bot_user="U0BOT", bot="B0BOT")


def _click(user, team, **more):
    return {"type": "block_actions", "user": {"id": user, "team_id": team}, "team": {"id": "T0HOME"}, **more}


def _command(user, team, **_):
    return {"command": "/agent", "user_id": user, "team_id": team}


def _mention(user, team, **more):
    event = {"type": "app_mention", "user": user, "user_team": team, "team": "T0HOME", **more}
    return {"type": "event_callback", "team_id": "T0HOME", "event": event}


WAYS = [_click, _command, _mention]


@pytest.mark.parametrize("way", WAYS)
def test_a_person_of_the_book_may(way):
    actor = authorize(way(ANA.slack, "T0HOME"), HOME, BOOK)
    assert (actor.id, actor.name, actor.via, actor.person) == ("person:ana", "Ana Ruiz", "slack", ANA)


@pytest.mark.parametrize("way", WAYS)
def test_a_stranger_is_told_how_to_get_in(way):
    with pytest.raises(NotAllowedError, match=r"does not know you yet.*U09STRANGER"):
        authorize(way("U09STRANGER", "T0HOME"), HOME, BOOK)


@pytest.mark.parametrize("way", WAYS)
def test_the_same_id_from_another_workspace_may_not(way):
    with pytest.raises(NotAllowedError, match="the workspace Home only"):
        authorize(way(ANA.slack, "T0OTHER"), HOME, BOOK)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("user", ["", "U0BOT"])
def test_nobody_and_the_bot_itself_get_no_answer(way, user):
    with pytest.raises(NotAllowedError) as caught:
        authorize(way(user, "T0HOME"), HOME, BOOK)
    assert str(caught.value) == ""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("account", "says"),
    [
        (Account(ANA.slack, guest=True), "takes nothing from guests"),
        (Account(ANA.slack, human=False), "takes nothing from bots"),
    ],
)
def test_an_outsider_may_not_even_where_the_files_name_the_account(way, account, says):
    with pytest.raises(NotAllowedError, match=f"{says}, so nothing was done"):
        authorize(way(ANA.slack, "T0HOME"), HOME, BOOK, {ANA.slack: account}.get)
    assert authorize(way(BEN.slack, "T0HOME"), HOME, BOOK, {ANA.slack: account}.get).person == BEN


def test_another_bot_gets_no_answer():
    with pytest.raises(NotAllowedError) as caught:
        authorize(_mention(ANA.slack, "T0HOME", bot_id="B9"), HOME, BOOK)
    assert str(caught.value) == ""


@pytest.mark.parametrize("way", WAYS)
def test_nobody_may_before_the_home_workspace_is_known(way):
    with pytest.raises(NotAllowedError, match="still starting"):
        authorize(way(ANA.slack, "T0HOME"), None, BOOK)


@pytest.mark.parametrize("body", [{}, {"user": None}, {"event": {}}, {"user": {}, "team": None}])
def test_a_body_without_a_caller_may_not(body):
    with pytest.raises(NotAllowedError):
        authorize(body, HOME, BOOK)


def test_a_click_is_told_from_the_next_one_and_known_again_when_it_is_delivered_twice():
    assert moment_of({"trigger_id": "9"}, {"action_ts": "1.1"}) == moment_of({}, {"action_ts": "1.1"}) == "1.1"
    assert moment_of({"trigger_id": "9"}, {}) == "9"
    assert moment_of({}, {}) != moment_of({}, {})
