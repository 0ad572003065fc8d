"""Who has it: people take an incident over, hand it on and read what happened meanwhile, each on a phone."""

import pytest
from browsing import PHONE, chromium, fits, in_direct_message, opened
from test_demo_show import demo

pytestmark = pytest.mark.interop

ANA, BEN = "U0ANARUIZ", "U0BENCOLE"
PAGED_MS = 40_000


async def card_of(phone):
    await phone.click("#menu")
    await phone.click("#side .row:has-text('agent-pages')")
    await phone.wait_for_selector("#messages button:text-is('Resolve…')", timeout=PAGED_MS)


async def test_taken_over_with_a_question_and_handed_on_with_a_note(tmp_path):
    async with demo(tmp_path / "demo") as (_, url, _), chromium() as browser:
        ana = await opened(browser, url, PHONE, person=ANA)
        people = await ana.evaluate("fetch('/ui/state').then((answer) => answer.json())")
        chloe_id = next(one["id"] for one in people["people"] if one["name"].startswith("Chloe"))
        chloe = await opened(browser, url, PHONE, person=chloe_id)
        await ana.click("#open-panel")
        await ana.click("[data-agent=billing-agent] >> text=Data stale")
        await ana.click("#panel [aria-label=Close]")

        # Chloe was not paged: she is asked, and Ana sees that she has it.
        await card_of(chloe)
        await chloe.click("#messages button:text-is('Acknowledge')")
        await chloe.wait_for_selector("#modal >> text=Take over from Ana Ruiz?")
        await fits(chloe)
        await chloe.click("#modal button:text-is('Take it')")
        await chloe.wait_for_selector("#messages .b-header:has-text('🟨 ACKED')")
        await in_direct_message(ana)
        await ana.wait_for_selector("#messages >> text=/Chloe .* has it/")

        # Ana opens what the menu has no room for, and is told that Chloe released it before she could take it.
        await ana.click("#messages summary[aria-label='More actions']")
        await ana.click("[role=menuitem]:text-is('More…')")
        await ana.click("#modal button:text-is('Take over…')")
        await ana.wait_for_selector("#modal >> text=/Take over from Chloe/")
        await chloe.click("#messages button:text-is('Release')")
        await chloe.wait_for_selector("#messages button:text-is('Acknowledge')")
        await ana.click("#modal button:text-is('Take over')")
        await ana.wait_for_selector("#modal >> text=Meanwhile:")
        await ana.wait_for_selector("#modal >> text=/is open, Chloe .* has it no more/")
        await ana.click("#modal .buttons button.primary")
        await ana.wait_for_selector("#modal", state="hidden")
        await chloe.wait_for_selector("#messages >> text=/Ana Ruiz has it/")

        # Handed on: Ben is woken and reads why.
        await ana.click("#messages >> nth=-1 >> summary[aria-label='More actions'] >> nth=-1")
        await ana.click("[role=menuitem]:text-is('Hand to…') >> visible=true")
        await ana.wait_for_selector("#modal textarea")
        await ana.select_option("#modal select", label="Ben Cole · payments-backup")
        await ana.fill("#modal textarea", "school run, prices are stale since two")
        await ana.click("#modal button:text-is('Hand over')")
        await ana.wait_for_selector("#modal", state="hidden")
        ben = await opened(browser, url, PHONE, person=BEN)
        await in_direct_message(ben)
        await ben.wait_for_selector("#messages >> text=/hands it to you: school run, prices are stale/")
        assert [*ana.problems, *chloe.problems, *ben.problems] == []
