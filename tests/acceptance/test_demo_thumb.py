"""The whole demo on a phone 390 px wide, used as somebody does who has just been woken: with one thumb."""

import re  # noqa: TID251 - fixed pattern
from contextlib import suppress

import pytest
from browsing import PHONE, chromium, fits, opened
from playwright.async_api import Error
from test_demo_show import demo

pytestmark = pytest.mark.interop

ANA = "U0ANARUIZ"
PAGED_MS = 40_000


async def in_channel(phone, name):
    await phone.click("#menu")
    await phone.click(f"#side .row:has-text('{name}')")


async def chosen(phone, entry):
    """An entry of the menu of the message that is shown."""
    await phone.click("#messages summary[aria-label='More actions']")
    await phone.click(f"[role=menuitem]:text-is('{entry}')")
    await phone.wait_for_selector("#modal .buttons button.primary")


async def shortcut(phone, entry):
    """A message that is drawn anew meanwhile has closed its menu: then once more, as anybody would."""
    for _ in range(5):
        await phone.click("#messages summary[aria-label='More message actions']")
        with suppress(Error):
            return await phone.click(f"[role=menuitem]:has-text('{entry}')", timeout=3000)
    raise AssertionError(f"the menu never stayed open for {entry}")


async def broken(phone):
    """billing-agent answers from old data; the page that comes of it is opened by its notice."""
    await phone.click("#open-panel")
    await phone.click("[data-agent=billing-agent] >> text=Data stale")
    await phone.click("#panel [aria-label=Close]")
    await phone.click(".toast button:text-is('Open')", timeout=PAGED_MS)
    await phone.wait_for_selector("#messages button:text-is('Acknowledge')")


async def test_from_the_page_to_its_end_with_one_thumb(tmp_path):
    async with demo(tmp_path / "demo") as (_, url, _), chromium() as browser:
        phone = await opened(browser, url, PHONE, person=ANA)
        await broken(phone)
        await fits(phone)

        # A silence that is too long to go without a reason is not made; nothing typed is lost.
        await chosen(phone, "Silence…")
        await phone.select_option("#modal select", "24h")
        await phone.click("#modal button:text-is('Silence')")
        await phone.wait_for_selector("#modal [data-block=why] .problem:not(:empty)")
        assert await phone.input_value("#modal select") == "24h"
        await fits(phone)
        await phone.click("#modal button:text-is('Cancel')")

        # A note is written down, and whoever wrote it is told.
        await chosen(phone, "Add note…")
        await phone.fill("#modal textarea", "the price list *job* hangs <!channel>")
        await phone.click("#modal .buttons button.primary")
        await phone.wait_for_selector("#modal", state="hidden")

        # One tap.
        await phone.click("#messages button:text-is('Acknowledge')")
        await phone.wait_for_selector("#messages .b-header:has-text('🟨 ACKED')")
        step = await phone.wait_for_selector("#messages button:text-matches('^Step \\\\d+ done$')")
        number = re.search(r"\d+", await step.inner_text())[0]

        # The runbook: the same step can be marked there, and the page counts it.
        await phone.click("#messages button:text-is('Runbook')")
        await phone.wait_for_selector("#modal button:text-is('Done')")
        await fits(phone)
        await phone.click("#modal button.primary:text-is('Done')")
        await phone.wait_for_selector("#modal >> text=done by Ana Ruiz")
        await phone.click("#modal .buttons button:text-is('Close')")
        await phone.wait_for_selector("#messages >> text=/Runbook \\d+\\/\\d+ done/")
        assert not await phone.query_selector(f"#messages button:text-is('Step {number} done')")

        # The Home tab knows whose it is.
        await phone.click("#tabs >> text=Home")
        await phone.wait_for_selector("#home >> text=INC-1")
        await fits(phone)

        # In the channel: one card, its thread with the runbook and the picture, a shortcut of the message.
        await in_channel(phone, "agent-pages")
        await shortcut(phone, "Add note to incident")
        await phone.wait_for_selector("#modal textarea")
        assert await phone.inner_text("#modal h2") == "Note on INC-1"
        await phone.click("#modal button:text-is('Cancel')")
        await phone.click("#messages .replies")
        await phone.wait_for_selector("#thread >> text=Runbook")
        picture = await phone.wait_for_selector("#thread figure img")
        assert await picture.evaluate("one => one.decode().then(() => one.naturalWidth)") > 390
        await phone.click("#close-thread")

        # Over: asked at once whether it was worth waking somebody.
        await phone.click("#messages button:text-is('Resolve…')")
        await phone.wait_for_selector("#modal .buttons button.primary")
        await phone.click("#modal .buttons button.primary")
        await phone.wait_for_selector("#messages .b-header:has-text('✅ RESOLVED')")
        await phone.click("#messages button:text-is('Yes, it was right')")
        await phone.wait_for_selector("#messages >> text=it was right to wake somebody")
        await fits(phone)

        assert phone.problems == []
        assert not await phone.query_selector("#messages .problem:not(:empty)")
