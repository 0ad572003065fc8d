"""What SecondChannels makes of a page and of the configuration as it is now, up to the socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from core_world import BOOK, NOW, opened
from fake_smtp import FakeSmtp

from bot.channels.switch import SecondChannels
from bot.errors import RemoteError
from bot.paging.model import Page, PageKind
from bot.settings import Settings

ANA = BOOK.people["ana"].model_copy(update={"email": "ana@example.com", "phone": "+34600000000"})
WITH_ANA = BOOK.model_copy(update={"people": {**BOOK.people, "ana": ANA}})


class Noon:
    def now(self):
        return NOW


def page(channel: str, person: str | None = "ana") -> Page:
    return Page(
        id="INC-1.1.page.ana.x",
        incident="INC-1",
        kind=PageKind.PAGE,
        person=person,
        channel=channel,
        due_at=NOW,
        reason="on call",
    )


class Site:
    def __init__(self) -> None:
        self.posted: list[dict] = []
        self.settings = Settings()
        self.channels = SecondChannels(lambda: self.settings, lambda: WITH_ANA, Path(), Noon())
        self.channels.key = "0f" * 32

    async def take(self, request: web.BaseRequest) -> web.Response:
        self.posted.append(await request.json())
        return web.Response()

    def configure(self, notify: dict, external_url: str = "https://pager.example.com") -> None:
        self.settings = Settings.model_validate({"http": {"external_url": external_url}, "notify": notify})


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    runner = web.ServerRunner(web.Server(site.take), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield site
    site.channels.close()
    await runner.cleanup()


async def test_a_webhook_gets_our_own_body_with_person_and_link(site):
    site.configure({"webhooks": {"ops": {"url": site.url, "allow_private": True}}})
    await site.channels.send(page("webhook:ops"), opened(), None)
    (said,) = site.posted
    assert said["data"]["person"]["phone"] == "+34600000000"
    assert said["data"]["page"]["urgency"] == "high"
    assert said["data"]["ack_url"].startswith("https://pager.example.com/ack/")
    assert said["data"]["ack_url"] in said["data"]["text"]


async def test_a_webhook_of_a_step_speaks_to_everybody_and_has_no_link(site):
    site.configure({"webhooks": {"ops": {"url": site.url, "allow_private": True}}})
    await site.channels.send(page("webhook:ops", person=None), opened(), None)
    data = site.posted[0]["data"]
    assert (data["ack_url"], data["person"]["id"]) == ("", "")
    assert data["text"].startswith("Everybody here, you are paged")
    assert data["text"].endswith("Take it in Slack, or by: agentpager ack INC-1")


async def test_without_an_address_of_ours_the_text_says_how_else(site):
    site.configure({"webhooks": {"ops": {"url": site.url, "allow_private": True}}}, external_url="")
    await site.channels.send(page("webhook:ops"), opened(), None)
    assert site.posted[0]["data"]["ack_url"] == ""
    assert "agentpager ack INC-1 --as ana" in site.posted[0]["data"]["text"]


async def test_a_body_of_ones_own(site):
    body = '{"to": "{{ person.phone }}", "key": "{{ secrets.key }}"}'
    webhook = {"url": site.url, "allow_private": True, "body": body, "secrets": {"key": "canary"}}
    site.configure({"webhooks": {"sms": webhook}})
    await site.channels.send(page("webhook:sms"), opened(), None)
    assert site.posted == [{"to": "+34600000000", "key": "canary"}]


async def test_a_mail_goes_to_the_address_of_the_page(site):
    async with FakeSmtp() as mails:
        site.configure({"email": {"host": "localhost", "port": mails.port, "tls": "none", "from": "pager@example.com"}})
        await site.channels.send(page("email:ana@example.com"), opened(), None)
    (mail,) = mails.mails
    assert mail.to == "ana@example.com"
    assert "https://pager.example.com/ack/" in mail.text


@pytest.mark.parametrize("channel", ["webhook:gone", "email:ana@example.com", "pigeon:ana"])
async def test_what_the_configuration_has_no_more_is_refused_for_good(site, channel):
    site.configure({})
    with pytest.raises(RemoteError) as raised:
        await site.channels.send(page(channel), opened(), None)
    assert raised.value.permanent
    assert json.dumps(site.posted) == "[]"
