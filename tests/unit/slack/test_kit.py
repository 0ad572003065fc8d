"""Slack's limits, where they are kept."""

from __future__ import annotations

import json

from bot.slack.kit import Part, actions, button, context, fields, fit, header, joined, section


def test_the_least_valuable_part_goes_first_and_the_last_of_equals():
    parts = [Part(9, section("a")), Part(1, section("b")), Part(1, section("c")), Part(5, section("d"))]
    left = fit(parts, blocks=4, total=10_000)
    assert len(left) == 4
    short = fit(parts, "; see there", blocks=3)
    assert [each.get("text", {}).get("text") for each in short[:-1]] == ["a", "d"]
    assert short[-1]["elements"][0]["text"] == "+2 more left out to fit; see there"


def test_parts_go_until_the_whole_is_short_enough():
    parts = [Part(9, section("a" * 1000)), Part(1, section("b" * 1000)), Part(5, section("c" * 1000))]
    left = fit(parts, total=2300)
    assert [each["text"]["text"][0] for each in left[:-1]] == ["a", "c"]


def test_nothing_is_said_when_nothing_is_left_out():
    assert fit([Part(1, section("a"))]) == [section("a")]


def test_whole_lines_are_left_out_and_counted():
    assert joined(["aaaa", "bbbb", "cccc"], 14) == "aaaa\nbbbb\ncccc"
    assert joined(["aaaa", "bbbb", "cccc"], 13) == "aaaa\n+2 more"
    assert joined(["a" * 20], 10) == "a" * 9 + "…"
    assert joined(["a", "", "b"], 10) == "a\nb"


def test_blocks_stay_within_slacks_limits_whatever_they_are_given():
    assert len(header("x" * 500)["text"]["text"]) == 150
    assert header("")["text"]["text"] == "-"
    assert len(section("x" * 9000)["text"]["text"]) == 3000
    assert section("")["text"]["text"] == "…"
    assert len(fields([("n", "v" * 3000)] * 20)["fields"]) == 10
    assert len(fields([("n", "v" * 3000)])["fields"][0]["text"]) == 2000
    assert len(actions("b" * 300, [button("x" * 100, "a", "v" * 3000)] * 30)["elements"]) == 25
    assert len(actions("b" * 300, [])["block_id"]) == 255
    shown = button("x" * 100, "a", "v" * 3000)
    assert (len(shown["text"]["text"]), len(shown["value"])) == (75, 2000)


def test_plain_words_are_never_parsed_for_links_and_names():
    for block in (section("a"), context("a"), fields([("n", "v")])):
        assert '"verbatim": true' in json.dumps(block)
