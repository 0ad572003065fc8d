"""A picture into a thread over real HTTP, and what each way of failing means."""

from __future__ import annotations

import pytest
from fake_slack import SCOPES, FakeSlack
from slack_world import incident, settings

from bot.errors import RemoteError
from bot.ports import Posted
from bot.slack.upload import Uploader

THREAD = Posted("C0PAYMENTS", "1763604720.000100")


@pytest.fixture
async def slack():
    async with FakeSlack() as running:
        running.scopes = f"{SCOPES},files:write"
        yield running


@pytest.fixture
async def uploader(slack):
    uploader = Uploader(settings(slack))
    yield uploader
    await uploader.close()


async def test_the_bytes_stand_in_the_thread(slack, uploader):
    assert await uploader.upload(incident(), b"PNG bytes", THREAD) == THREAD
    (file,) = slack.uploads.values()
    assert (file["bytes"], file["channel"], file["thread"]) == (b"PNG bytes", THREAD.channel, THREAD.ts)
    assert file["name"] == "INC-7.png"


async def test_a_missing_scope_is_said_by_name(slack, uploader):
    slack.scopes = SCOPES.replace("files:write", "").replace(",,", ",")
    with pytest.raises(RemoteError) as caught:
        await uploader.upload(incident(), b"PNG", THREAD)
    assert (caught.value.code, caught.value.permanent) == ("missing_scope", True)
    assert "files:write" in str(caught.value)


async def test_an_emulator_without_files_refuses_for_good(slack, uploader):
    slack.mode("refused", method="files.getUploadURLExternal", error="unknown_method")
    with pytest.raises(RemoteError) as caught:
        await uploader.upload(incident(), b"PNG", THREAD)
    assert (caught.value.code, caught.value.permanent) == ("unknown_method", True)


async def test_told_to_wait_says_for_how_long(slack, uploader):
    slack.mode("rate_limited", method="files.getUploadURLExternal", retry_after=7)
    with pytest.raises(RemoteError) as caught:
        await uploader.upload(incident(), b"PNG", THREAD)
    assert caught.value.retry_after_seconds == 7


async def test_bytes_that_are_not_taken_are_no_upload(slack, uploader, monkeypatch):
    monkeypatch.setattr("bot.slack.upload._put", _elsewhere)
    with pytest.raises(RemoteError, match="file_not_found"):
        await uploader.upload(incident(), b"PNG", THREAD)


async def _elsewhere(*_: object) -> None: ...
