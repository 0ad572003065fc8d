"""Each size at its limit and one over it, in Slack's words."""

import pytest

from bot.demo.blockkit import problems, too_long, view_problems


def plain(text):
    return {"type": "plain_text", "text": text}


def mrkdwn(text):
    return {"type": "mrkdwn", "text": text}


def button(**more):
    return {"type": "button", "text": plain("Go"), "action_id": "go", **more}


def actions(*elements, **more):
    return {"type": "actions", "elements": list(elements), **more}


def options(count):
    return [{"text": plain(f"o{number}"), "value": f"v{number}"} for number in range(count)]


def overflow(count, **more):
    return {"type": "overflow", "action_id": "more", "options": options(count), **more}


SIZES = [
    ("header", lambda n: {"type": "header", "text": plain("x" * n)}, 150, "/text/text"),
    ("section text", lambda n: {"type": "section", "text": mrkdwn("x" * n)}, 3000, "/text/text"),
    ("section field", lambda n: {"type": "section", "fields": [mrkdwn("x" * n)]}, 2000, "/fields/0/text"),
    ("context text", lambda n: {"type": "context", "elements": [mrkdwn("x" * n)]}, 3000, "/elements/0/text"),
    ("button text", lambda n: actions(button(text=plain("x" * n))), 75, "/elements/0/text/text"),
    ("button value", lambda n: actions(button(value="x" * n)), 2000, "/elements/0/value"),
    ("button url", lambda n: actions(button(url="x" * n)), 3000, "/elements/0/url"),
    ("action_id", lambda n: actions(button(action_id="x" * n)), 255, "/elements/0/action_id"),
    ("block_id", lambda n: {"type": "divider", "block_id": "x" * n}, 255, "/block_id"),
    (
        "option text",
        lambda n: actions({"type": "overflow", "action_id": "o", "options": [{"text": plain("x" * n), "value": "v"}]}),
        75,
        "/elements/0/options/0/text/text",
    ),
    (
        "option value",
        lambda n: actions({"type": "overflow", "action_id": "o", "options": [{"text": plain("x"), "value": "v" * n}]}),
        150,
        "/elements/0/options/0/value",
    ),
    (
        "image alt",
        lambda n: {"type": "image", "image_url": "https://x.test/a.png", "alt_text": "x" * n},
        2000,
        "/alt_text",
    ),
    (
        "confirm text",
        lambda n: actions(button(confirm={"title": plain("Sure?"), "text": mrkdwn("x" * n)})),
        300,
        "/elements/0/confirm/text/text",
    ),
]


@pytest.mark.parametrize(("_name", "block", "limit", "place"), SIZES, ids=[case[0] for case in SIZES])
def test_text_sizes(_name, block, limit, place):
    assert problems([block(limit)]) == []
    assert problems([block(limit + 1)]) == [f"must be less than {limit + 1} characters [json-pointer:/blocks/0{place}]"]


COUNTS = [
    ("fields", lambda n: {"type": "section", "fields": [mrkdwn("x")] * n}, 10, "/fields"),
    ("actions", lambda n: actions(*(button(action_id=f"a{one}") for one in range(n))), 25, "/elements"),
    ("context", lambda n: {"type": "context", "elements": [mrkdwn("x")] * n}, 10, "/elements"),
    ("overflow options", lambda n: actions(overflow(n)), 5, "/elements/0/options"),
    (
        "select options",
        lambda n: actions({"type": "static_select", "action_id": "s", "options": options(n)}),
        100,
        "/elements/0/options",
    ),
]


@pytest.mark.parametrize(("_name", "block", "limit", "place"), COUNTS, ids=[case[0] for case in COUNTS])
def test_numbers_of_things(_name, block, limit, place):
    assert problems([block(limit)]) == []
    assert problems([block(limit + 1)]) == [f"no more than {limit} items allowed [json-pointer:/blocks/0{place}]"]


def test_fifty_blocks_in_a_message_and_a_hundred_in_a_modal():
    divider = {"type": "divider"}

    assert problems([divider] * 50) == []
    assert problems([divider] * 51) == ["no more than 50 items allowed [json-pointer:/blocks]"]
    assert problems([divider] * 100, "modal") == []
    assert problems([divider] * 101, "modal") == ["no more than 100 items allowed [json-pointer:/blocks]"]


def test_ids_are_unique():
    same_blocks = [{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "a"}]
    same_actions = [actions(button(action_id="go"), button(action_id="go"))]

    assert problems(same_blocks) == ["`block_id` a already exists [json-pointer:/blocks/1/block_id]"]
    assert problems(same_actions) == ["`action_id` go already exists [json-pointer:/blocks/0/elements/1/action_id]"]
    assert problems([actions(button(action_id="go")), actions(button(action_id="go"))]) == []


UNFIT = "failed to match all allowed schemas"


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ({"type": "hedaer", "text": plain("x")}, "unsupported type: hedaer [json-pointer:/blocks/0/type]"),
        ({"type": "header"}, "missing required field: text [json-pointer:/blocks/0]"),
        ({"type": "header", "text": mrkdwn("*x*")}, f"{UNFIT} [json-pointer:/blocks/0/text]"),
        ({"type": "header", "text": plain("")}, "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
        ({"type": "section"}, "must define either `fields` or `text` [json-pointer:/blocks/0]"),
        ({"type": "section", "text": "x"}, f"{UNFIT} [json-pointer:/blocks/0/text]"),
        ({"type": "divider", "colour": "red"}, "invalid additional property: colour [json-pointer:/blocks/0]"),
        (actions(), "must provide at least 1 item [json-pointer:/blocks/0/elements]"),
        (actions(button(style="big")), "must be a valid enum value [json-pointer:/blocks/0/elements/0/style]"),
        (actions(button(text=mrkdwn("x"))), f"{UNFIT} [json-pointer:/blocks/0/elements/0/text]"),
        (actions({"type": "slider"}), "unsupported type: slider [json-pointer:/blocks/0/elements/0/type]"),
        ({"type": "image", "image_url": "https://x.test"}, "missing required field: alt_text [json-pointer:/blocks/0]"),
        ("text", "must be an object [json-pointer:/blocks/0]"),
    ],
)
def test_wrong_shapes(block, reason):
    assert problems([block]) == [reason]


def test_all_mistakes_are_told_at_once():
    blocks = [{"type": "header", "text": plain("x" * 151)}, {"type": "section"}, {"type": "nothing"}]

    assert len(problems(blocks)) == 3


def test_all_blocks_together_hold_about_thirteen_thousand_characters():
    def sections(count, size):
        return [{"type": "section", "text": mrkdwn("x" * size)}] * count

    assert not too_long(sections(4, 3000))
    assert not too_long(sections(5, 2559))
    assert too_long(sections(5, 2560))


INPUT = {
    "type": "input",
    "block_id": "note",
    "label": plain("Note"),
    "element": {"type": "plain_text_input", "action_id": "t"},
}


def modal(**more):
    return {"type": "modal", "title": plain("Resolve"), "submit": plain("Resolve"), "blocks": [INPUT], **more}


def test_a_modal_within_its_limits_is_fine():
    assert view_problems(modal(title=plain("x" * 24), private_metadata="x" * 3000, callback_id="x" * 255)) == []


@pytest.mark.parametrize(
    ("view", "reason"),
    [
        (modal(title=plain("x" * 25)), "must be less than 25 characters [json-pointer:/view/title/text]"),
        (modal(submit=plain("x" * 25)), "must be less than 25 characters [json-pointer:/view/submit/text]"),
        (modal(submit=None), "missing required field: submit [json-pointer:/view]"),
        (modal(private_metadata="x" * 3001), "must be less than 3001 characters [json-pointer:/view/private_metadata]"),
        (modal(callback_id="x" * 256), "must be less than 256 characters [json-pointer:/view/callback_id]"),
        (modal(type="popup"), "unsupported type: popup [json-pointer:/view/type]"),
        ({"type": "modal", "title": plain("x")}, "missing required field: blocks [json-pointer:/view]"),
    ],
)
def test_wrong_modals(view, reason):
    assert view_problems(view) == [reason]
