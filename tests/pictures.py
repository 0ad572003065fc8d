"""Takes the pictures of docs/messages.md: each committed message in the demo's workspace, on a phone 390 px wide.

    .venv/bin/python tests/pictures.py [all | NAME…]

Without a name those are taken whose message has changed since. Needs Debian's chromium. What each picture was taken of
is kept in docs/images/messages/sources.json, so that a test can say when a message has changed.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Browser, Page, async_playwright

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from slack_world import ANA, BEN, CHRIS, NOW  # noqa: E402

from bot.demo.state import App, Channel, File, Message, Scene, User  # noqa: E402
from bot.demo.workspace import Workspace  # noqa: E402
from bot.png import rendered  # noqa: E402

GOLDEN = ROOT / "tests" / "unit" / "slack" / "golden"
PICTURES = ROOT / "docs" / "images" / "messages"
SOURCES = PICTURES / "sources.json"
WIDTH = 390
SCALE = 2  # so that letters are sharp on today's screens
SCHEMES = ("light", "dark")
CHROMIUM = "/usr/bin/chromium"

# Golden file → whether it goes to one person (a direct message) or to a channel, or is a window or tab.
MESSAGES = {
    "page": "direct",
    "page_course": "direct",
    "page_acked": "direct",
    "page_worked_on": "direct",
    "reminder": "direct",
    "page_escalated": "direct",
    "page_nobody_answered": "direct",
    "card": "channel",
    "card_resolved": "channel",
    "storm_page": "direct",
    "page_no_data": "direct",
    "runbook": "channel",
    "escalated": "channel",
    "resolved": "channel",
    "news": "channel",
    "notice": "channel",
    "task": "channel",
    "shift": "direct",
    "handover": "channel",
    "digest": "channel",
    "approval": "direct",
    "test": "direct",
    "chart": "channel",
    "test_passed": "direct",
    "drill": "direct",
    "drill_acked": "direct",
    "drill_passed": "direct",
    "drill_runbook": "channel",
    "approval_done": "direct",
    "task_runbook": "channel",
    "window_silence": "window",
    "window_hand": "window",
    "window_noise": "window",
    "window_resolve": "window",
    "window_runbook": "window",
    "window_action": "window",
    "home": "window",
}


def named(name: str, scheme: str) -> Path:
    return PICTURES / f"{name}-{scheme}.png"


def fingerprint(name: str) -> str:
    """Of the committed message, and of the picture that belongs to it."""
    content = (GOLDEN / f"{name}.json").read_bytes()
    picture = json.loads(content).get("picture")
    return hashlib.sha256(content + ((GOLDEN / picture).read_bytes() if picture else b"")).hexdigest()


def _scene() -> Scene:
    people = tuple(
        User(one.slack, one.id, one.name, timezone=one.timezone or "UTC", title="") for one in (ANA, BEN, CHRIS)
    )
    bot = User("U0AGENTPAGER", "agentpager", "agentpager", is_bot=True)
    everyone = {one.id for one in (*people, bot)}
    app = App("A0", "agentpager", bot.id, "B0", "xoxb", "xapp", "s", ("chat:write",), ("/agent",), events=())
    return Scene(
        "T0", "Northwind", "northwind", (*people, bot), (Channel("C0", "agent-pages", "channel", everyone),), app
    )


def _reader(content: dict[str, Any]) -> str:
    """Whom it wakes; who else sees it reads it with the same eyes."""
    text = json.dumps(content)
    return next((one.slack for one in (ANA, BEN, CHRIS) if f"<@{one.slack}>" in text), ANA.slack)


async def _show(workspace: Workspace, name: str, content: dict[str, Any]) -> str:
    """Puts it into the workspace; the result is the selector of what to take a picture of."""
    world, where = workspace.world, MESSAGES.get(name)
    if content.get("type") == "modal":
        world.open_view(_reader(content), content, push=False)
        return "#modal"
    if content.get("type") == "home":
        world.publish_home(_reader(content), content)
        return "#home > div"
    channel = world.open_dm(_reader(content)).id if where == "direct" else "C0"
    files: tuple[str, ...] = ()
    if picture := content.get("picture"):
        drawn = rendered((GOLDEN / picture).read_text(encoding="utf-8"))
        file = File("F0CHART", "INC-7.png", len(drawn), content["title"], drawn, complete=True)
        world.files[file.id] = file
        files = (file.id,)
    app = world.app
    message = Message(channel, world.new_ts(NOW.timestamp()), app.user_id, content.get("text", ""), files=files)
    message.blocks, message.bot_id, message.app_id = content.get("blocks") or [], app.bot_id, app.id
    world.post(message)
    return "#messages article"


async def take(browser: Browser, name: str, scheme: str) -> None:
    workspace = Workspace(_scene(), clock=NOW.timestamp)
    await workspace.start(0)
    page: Page = await browser.new_page(
        viewport={"width": WIDTH, "height": 2400},
        device_scale_factor=SCALE,
        color_scheme=scheme,
        timezone_id="Europe/Madrid",
        locale="en-GB",
        reduced_motion="reduce",
    )
    try:
        content = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
        place = await _show(workspace, name, content)
        await page.clock.set_fixed_time(NOW)
        await page.add_init_script(f"localStorage.setItem('me', '{_reader(content)}')")
        await page.goto(workspace.url)
        if MESSAGES.get(name) == "direct" or content.get("type") == "home":
            await page.click("#menu")
            await page.click("#side .row:has(.mark:text-is('●'))")
        if content.get("type") == "home":
            await page.click("#tabs [data-tab=home]")
        found = await page.wait_for_selector(place)
        assert found is not None
        await page.evaluate("Promise.all([...document.images].map((one) => one.decode().catch(() => {})))")
        await page.mouse.move(0, 2399)
        PICTURES.mkdir(parents=True, exist_ok=True)
        await page.evaluate("document.activeElement?.blur()")
        box = await found.bounding_box()
        assert box is not None
        room = 12 if content.get("type") == "home" else 0
        clip = {"x": 0, "y": box["y"] - room, "width": WIDTH, "height": box["height"] + 2 * room}
        shot = await page.screenshot(animations="disabled", clip=clip)
        named(name, scheme).write_bytes(await _smaller(page, shot))
    finally:
        await page.close()
        await workspace.stop()


async def _smaller(page: Page, png: bytes) -> bytes:
    """The same picture with 256 colours, which takes a third of the room. The browser decodes it."""
    pixels = await page.evaluate(
        """async (text) => {
            const image = await createImageBitmap(new Blob([Uint8Array.from(atob(text), (one) => one.charCodeAt(0))]));
            const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
            canvas.drawImage(image, 0, 0);
            const all = canvas.getImageData(0, 0, image.width, image.height).data;
            let out = "";
            for (let at = 0; at < all.length; at += 9999) out += String.fromCharCode(...all.subarray(at, at + 9999));
            return [image.width, image.height, btoa(out)];
        }""",
        base64.b64encode(png).decode(),
    )
    width, height, data = pixels
    rgba = np.frombuffer(base64.b64decode(data), ">u4") >> 8
    packed, which, counts = np.unique(rgba, return_inverse=True, return_counts=True)
    colours = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1).astype(np.int32)
    # Of the colours that are alike the commonest stands for all, and the rest go to whatever is nearest.
    alike = np.unique(colours // 12, axis=0, return_inverse=True)[1]
    order = np.argsort(-counts, kind="stable")
    first = order[np.sort(np.unique(alike[order], return_index=True)[1])][:256]
    palette = colours[first]
    nearest = np.array([np.argmin(((palette - colour) ** 2).sum(axis=1)) for colour in colours], np.uint8)
    lines = np.zeros((height, width + 1), np.uint8)  # each begins with its filter, none
    lines[:, 1:] = nearest[which.ravel()].reshape(height, width)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette.astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    ]
    written = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(written)


async def main(wanted: list[str]) -> None:
    known = json.loads(SOURCES.read_text()) if SOURCES.exists() else {}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        outdated = [name for name in MESSAGES if known.get(name) != fingerprint(name)]
        for name in MESSAGES if wanted == ["all"] else wanted or outdated:
            for scheme in SCHEMES:
                await take(browser, name, scheme)
            known[name] = fingerprint(name)
            print(name)
        await browser.close()
    kept = {name: known[name] for name in sorted(known) if name in MESSAGES}
    SOURCES.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
