"""A browser for the acceptance tests: Debian's Chromium, a phone's width or a desk's, with its complaints kept."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 800}
PATIENCE_MS = 15_000


@contextlib.asynccontextmanager
async def chromium():
    """Skips where there is none, but never in CI."""
    if not CHROMIUM.exists() and not os.environ.get("CI"):
        pytest.skip("chromium is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        await browser.close()


async def opened(browser, url, size, *, person="", **more):
    """The workspace's page as `person`; what the browser complains of is in `problems`."""
    page = await browser.new_page(viewport=size, **more)
    page.set_default_timeout(PATIENCE_MS)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda line: page.problems.append(line.text) if line.type == "error" else None)
    if person:
        await page.add_init_script(f"localStorage.setItem('me', '{person}')")
    await page.goto(url)
    await page.wait_for_selector("#side .row", state="attached")
    return page


async def in_direct_message(page):
    """Opens the app's direct message, by the menu where there is no room for the sidebar."""
    if await page.is_visible("#menu"):
        await page.click("#menu")
    await page.click("#side .row:has(.mark:text-is('●'))")


async def fits(page):
    """Nothing has to be scrolled sideways."""
    width = page.viewport_size["width"]
    await page.wait_for_function(f"document.documentElement.scrollWidth <= {width}")
