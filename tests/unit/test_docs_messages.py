"""docs/messages.md shows every kind of message, light and dark, 390 px wide, as it is drawn now."""

from __future__ import annotations

import json
import struct

import pytest
from pictures import GOLDEN, MESSAGES, ROOT, SCALE, SCHEMES, SOURCES, WIDTH, fingerprint, named

from bot.paging.model import PageKind

PAGE = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_shown_in_the_light_and_in_the_dark_on_a_phone(name):
    for scheme in SCHEMES:
        picture = named(name, scheme)
        assert f"(images/messages/{picture.name})" in PAGE
        (width,) = struct.unpack(">I", picture.read_bytes()[16:20])
        assert width == WIDTH * SCALE


@pytest.mark.parametrize("name", MESSAGES)
def test_the_picture_is_of_the_message_as_it_is(name):
    taken = json.loads(SOURCES.read_text(encoding="utf-8"))
    assert taken.get(name) == fingerprint(name), "take it anew: .venv/bin/python tests/pictures.py"


def test_every_kind_of_message_is_shown():
    metadata = (json.loads((GOLDEN / f"{name}.json").read_text()).get("metadata") for name in MESSAGES)
    kinds = {one["event_payload"]["kind"] for one in metadata if one}
    assert kinds | {PageKind.CHART, PageKind.STATUS} == set(PageKind)  # a picture, and what other systems are told


def test_no_picture_is_left_over():
    kept = {path.name for path in (ROOT / "docs" / "images" / "messages").glob("*.png")}
    assert kept == {named(name, scheme).name for name in MESSAGES for scheme in SCHEMES}
