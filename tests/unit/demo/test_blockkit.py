"""Each size at its limit and one over it, in Slack's words."""

import pytest

from bot.demo.blockkit import options_problems, problems, too_long, view_problems


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


def choose(kind, **more):
    return actions({"type": kind, "action_id": "s", **more})


ONE, TWO = options(2)


@pytest.mark.parametrize(
    "element",
    [
        choose("static_select", options=[ONE, TWO], initial_option=TWO),
        choose("static_select", option_groups=[{"label": plain("g"), "options": [ONE]}], initial_option=ONE),
        choose("multi_static_select", options=[ONE, TWO], initial_options=[ONE], max_selected_items=1),
        choose("external_select", min_query_length=0, initial_option=ONE),
        choose("users_select", initial_user="U1"),
        choose("radio_buttons", options=[ONE, TWO], initial_option=ONE),
        choose("checkboxes", options=[{**ONE, "description": mrkdwn("why")}], initial_options=[]),
        choose("datetimepicker", initial_date_time=1795141080),
        choose("timepicker", initial_time="09:00"),
        choose("datepicker", initial_date="2026-11-20"),
    ],
)
def test_every_way_to_choose_is_taken(element):
    # Slack wants at least one initial option where the key is given at all.
    wanted = ["must provide at least 1 item"] if element["elements"][0].get("initial_options") == [] else []
    assert [one.partition(" [")[0] for one in problems([element])] == wanted


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        (choose("static_select", options=[ONE], initial_option=TWO), "must match one of the options"),
        (choose("static_select", options=[ONE], initial_option={**ONE, "text": plain("x")}), "must match one of the"),
        (choose("checkboxes", options=[ONE], initial_options=[TWO]), "must match one of the options"),
        (choose("multi_users_select", max_selected_items=0), "must be greater than 0"),
        (choose("external_select", options=[ONE]), "invalid additional property: options"),
        (choose("datetimepicker", initial_date_time="tomorrow"), "must be a 10 digit integer"),
        (choose("timepicker", initial_time="9:00"), "does not match the required format"),
        (choose("datepicker", initial_date="20 November"), "does not match the required format"),
    ],
)
def test_ways_to_choose_that_slack_refuses(element, reason):
    assert problems([element])[0].startswith(reason)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"type": "number_input"}, "missing required field: is_decimal_allowed"),
        ({"max_length": 3001}, "must be between 1 and 3000"),
        ({"min_length": -1}, "must be between 0 and 3000"),
        ({"initial_value": "x" * 3001}, "must be less than 3001 characters"),
        ({"dispatch_action_config": {"trigger_actions_on": ["on_blur"]}}, "must be a valid enum value"),
    ],
)
def test_fields_that_slack_refuses(more, reason):
    block = {**INPUT, "element": {**INPUT["element"], **more}}
    assert problems([block], "modal")[0].startswith(reason)


def test_what_an_app_offers_to_choose_from_is_checked_too():
    assert options_problems({"options": []}) == []
    assert options_problems({"option_groups": [{"label": plain("g"), "options": [ONE]}]}) == []
    assert options_problems({"options": [ONE] * 101}) == ["no more than 100 items allowed [json-pointer:/options]"]
    assert options_problems({}) != []
