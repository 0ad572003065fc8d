"""Block Kit as Slack accepts it: shapes, sizes and unique ids, with Slack's wording of what is wrong.

Sizes from docs.slack.dev/reference/block-kit. Pure: blocks in, complaints out; an empty list means the blocks are fine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Surface = Literal["message", "modal", "home"]

MAX_BLOCKS = {"message": 50, "modal": 100, "home": 100}
MAX_ID = 255
# Observed, not documented (slackapi/bolt-js issue 2509): 13,297 characters in one block, 125 fewer per further block.
MAX_ALL_TEXT = 13_297
BLOCK_OVERHEAD = 125

TEXT_KEYS = {"type", "text", "emoji", "verbatim"}
OPTION_KEYS = {"text", "value", "description", "url"}
VIEW_KEYS = {
    "title", "submit", "close", "blocks", "private_metadata", "callback_id", "external_id", "clear_on_close",
    "notify_on_close", "submit_disabled",
}  # fmt: skip
CONFIRM_SIZES = {"title": 100, "text": 300, "confirm": 30, "deny": 30}


def too_long(blocks: Sequence[Any]) -> bool:
    """Whether all blocks together are more than Slack stores in one message."""
    overhead = BLOCK_OVERHEAD * max(0, len(blocks) - 1)
    return _text_length(blocks) + overhead > MAX_ALL_TEXT


def _text_length(value: Any) -> int:
    if isinstance(value, Mapping):
        own = len(value["text"]) if isinstance(value.get("text"), str) else 0
        return own + sum(_text_length(inner) for inner in value.values() if not isinstance(inner, str))
    if isinstance(value, list | tuple):
        return sum(_text_length(inner) for inner in value)
    return 0


def problems(blocks: Any, surface: Surface = "message", at: str = "/blocks") -> list[str]:
    """Everything wrong with `blocks`, as `reason [json-pointer:/where]`."""
    complaints = Complaints()
    if not isinstance(blocks, list):
        complaints.add("must be an array", at)
        return complaints.found
    if len(blocks) > MAX_BLOCKS[surface]:
        complaints.add(f"no more than {MAX_BLOCKS[surface]} items allowed", at)
    seen_blocks: set[str] = set()
    for index, block in enumerate(blocks):
        here = f"{at}/{index}"
        if not isinstance(block, Mapping):
            complaints.add("must be an object", here)
            continue
        complaints.size(block, "block_id", here, MAX_ID)
        _unique(complaints, block, "block_id", here, seen_blocks)
        check = BLOCKS.get(str(block.get("type")))
        if check is None:
            complaints.add(f"unsupported type: {block.get('type')}", f"{here}/type")
            continue
        check(complaints, block, here)
        _check_action_ids(complaints, block, here)
    return complaints.found


def options_problems(answer: Mapping[str, Any]) -> list[str]:
    """Everything wrong with what an app offers in an external select."""
    complaints = Complaints()
    _options_or_groups(complaints, {"type": "external_select", **answer}, "", 100)
    return complaints.found


def view_problems(view: Any) -> list[str]:
    """Everything wrong with a modal or a home tab."""
    complaints = Complaints()
    if not isinstance(view, Mapping):
        return ["must be an object [json-pointer:/view]"]
    surface = view.get("type")
    if surface not in {"modal", "home"}:
        complaints.add(f"unsupported type: {surface}", "/view/type")
        return complaints.found
    complaints.only(view, VIEW_KEYS, "/view")
    if surface == "modal":
        complaints.text(view, "title", "/view", 24, required=True, plain=True)
        for key in ("submit", "close"):
            complaints.text(view, key, "/view", 24, plain=True)
        has_input = any(
            isinstance(block, Mapping) and block.get("type") == "input" for block in view.get("blocks") or []
        )
        if has_input and not view.get("submit"):
            complaints.add("missing required field: submit", "/view")
    complaints.size(view, "private_metadata", "/view", 3000, empty=True)
    complaints.size(view, "callback_id", "/view", MAX_ID, empty=True)
    complaints.size(view, "external_id", "/view", MAX_ID, empty=True)
    if "blocks" not in view:
        complaints.add("missing required field: blocks", "/view")
    else:
        complaints.found += problems(view["blocks"], surface, "/view/blocks")
    return complaints.found


class Complaints:
    """Collects complaints, and knows the checks that every block shares."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, reason: str, at: str) -> None:
        self.found.append(f"{reason} [json-pointer:{at}]")

    def only(self, item: Mapping[str, Any], allowed: set[str], at: str) -> None:
        for key in sorted(set(item) - allowed - {"type"}):
            self.add(f"invalid additional property: {key}", at)

    def size(self, item: Mapping[str, Any], key: str, at: str, limit: int, *, empty: bool = False) -> None:
        """A plain string field, when present."""
        value = item.get(key)
        if value is None:
            return
        if not isinstance(value, str):
            self.add("must be a string", f"{at}/{key}")
        elif len(value) > limit:
            self.add(f"must be less than {limit + 1} characters", f"{at}/{key}")
        elif not value and not empty:
            self.add("must be more than 0 characters", f"{at}/{key}")

    def text(
        self, item: Mapping[str, Any], key: str, at: str, limit: int, *, required: bool = False, plain: bool = False
    ) -> None:
        """A text object field, `plain` when mrkdwn is not accepted there."""
        if item.get(key) is None:
            if required:
                self.add(f"missing required field: {key}", at)
            return
        self.text_object(item[key], f"{at}/{key}", limit, plain=plain)

    def text_object(self, value: Any, at: str, limit: int, *, plain: bool = False) -> None:
        kinds = {"plain_text"} if plain else {"plain_text", "mrkdwn"}
        if not isinstance(value, Mapping) or value.get("type") not in kinds:
            self.add("failed to match all allowed schemas", at)
            return
        self.only(value, TEXT_KEYS, at)
        if value.get("text") is None:
            self.add("missing required field: text", at)
        self.size(value, "text", at, limit)

    def items(self, item: Mapping[str, Any], key: str, at: str, limit: int, *, least: int = 1) -> list[Any]:
        value = item.get(key)
        if not isinstance(value, list):
            self.add(f"missing required field: {key}", at)
            return []
        if len(value) > limit:
            self.add(f"no more than {limit} items allowed", f"{at}/{key}")
        if len(value) < least:
            self.add(
                "must provide at least 1 item" if least == 1 else f"must provide at least {least} items", f"{at}/{key}"
            )
        return value


def _unique(complaints: Complaints, item: Mapping[str, Any], key: str, at: str, seen: set[str]) -> None:
    value = item.get(key)
    if isinstance(value, str) and value:
        if value in seen:
            complaints.add(f"`{key}` {value} already exists", f"{at}/{key}")
        seen.add(value)


def _check_action_ids(complaints: Complaints, block: Mapping[str, Any], at: str) -> None:
    elements = block.get("elements")
    if block.get("type") != "actions" or not isinstance(elements, list):
        return
    seen: set[str] = set()
    for index, element in enumerate(elements):
        if isinstance(element, Mapping):
            _unique(complaints, element, "action_id", f"{at}/elements/{index}", seen)


# --- blocks ---------------------------------------------------------------------------------------------------------


def _header(complaints: Complaints, block: Mapping[str, Any], at: str) -> None:
    complaints.only(block, {"block_id", "text", "level"}, at)
    complaints.text(block, "text", at, 150, required=True, plain=True)


def _section(complaints: Complaints, block: Mapping[str, Any], at: str) -> None:
    complaints.only(block, {"block_id", "text", "fields", "accessory", "expand"}, at)
    if block.get("text") is None and block.get("fields") is None:
        complaints.add("must define either `fields` or `text`", at)
    complaints.text(block, "text", at, 3000)
    if block.get("fields") is not None:
        for index, one in enumerate(complaints.items(block, "fields", at, 10)):
            complaints.text_object(one, f"{at}/fields/{index}", 2000)
    if block.get("accessory") is not None:
        _element(complaints, block["accessory"], f"{at}/accessory", ACCESSORIES)


def _divider(complaints: Complaints, block: Mapping[str, Any], at: str) -> None:
    complaints.only(block, {"block_id"}, at)


def _context(complaints: Complaints, block: Mapping[str, Any], at: str) -> None:
    complaints.only(block, {"block_id", "elements"}, at)
    for index, one in enumerate(complaints.items(block, "elements", at, 10)):
        here = f"{at}/elements/{index}"
        if isinstance(one, Mapping) and one.get("type") == "image":
            _image_element(complaints, one, here)
        else:
            complaints.text_object(one, here, 3000)


def _actions(complaints: Complaints, block: Mapping[str, Any], at: str) -> None:
    complaints.only(block, {"block_id", "elements"}, at)
    for index, one in enumerate(complaints.items(block, "elements", at, 25)):
        _element(complaints, one, f"{at}/elements/{index}", INTERACTIVE)


def _image(complaints: Complaints, block: Mapping[str, Any], at: str) -> None:
    complaints.only(block, {"block_id", "image_url", "alt_text", "title", "slack_file"}, at)
    _image_fields(complaints, block, at)
    complaints.text(block, "title", at, 2000, plain=True)


def _input(complaints: Complaints, block: Mapping[str, Any], at: str) -> None:
    complaints.only(block, {"block_id", "label", "element", "hint", "optional", "dispatch_action"}, at)
    complaints.text(block, "label", at, 2000, required=True, plain=True)
    complaints.text(block, "hint", at, 2000, plain=True)
    if block.get("element") is None:
        complaints.add("missing required field: element", at)
    else:
        _element(complaints, block["element"], f"{at}/element", INPUTS)


def _markdown(complaints: Complaints, block: Mapping[str, Any], at: str) -> None:
    complaints.only(block, {"block_id", "text"}, at)
    if block.get("text") is None:
        complaints.add("missing required field: text", at)
    complaints.size(block, "text", at, 12_000)


def _rich_text(complaints: Complaints, block: Mapping[str, Any], at: str) -> None:
    complaints.only(block, {"block_id", "elements"}, at)
    complaints.items(block, "elements", at, 1000)


Check = Callable[[Complaints, Mapping[str, Any], str], None]
BLOCKS: dict[str, Check] = {
    "header": _header,
    "section": _section,
    "divider": _divider,
    "context": _context,
    "actions": _actions,
    "image": _image,
    "input": _input,
    "markdown": _markdown,
    "rich_text": _rich_text,
}


# --- elements -------------------------------------------------------------------------------------------------------


def _element(complaints: Complaints, element: Any, at: str, allowed: set[str]) -> None:
    kind = element.get("type") if isinstance(element, Mapping) else None
    if not isinstance(element, Mapping) or kind not in allowed:
        complaints.add(f"unsupported type: {kind}" if kind else "failed to match all allowed schemas", f"{at}/type")
        return
    complaints.size(element, "action_id", at, MAX_ID)
    if element.get("confirm") is not None:
        _confirm(complaints, element["confirm"], f"{at}/confirm")
    shape = SHAPES.get(str(kind))
    if shape is not None:
        complaints.only(element, shape.keys | {"action_id", "confirm"}, at)
        shape.check(complaints, element, at)


def _confirm(complaints: Complaints, value: Any, at: str) -> None:
    if not isinstance(value, Mapping):
        complaints.add("must be an object", at)
        return
    complaints.only(value, {*CONFIRM_SIZES, "style"}, at)
    for key, size in CONFIRM_SIZES.items():
        complaints.text(value, key, at, size, required=key in {"title", "text"}, plain=key != "text")


def _button(complaints: Complaints, element: Mapping[str, Any], at: str) -> None:
    complaints.text(element, "text", at, 75, required=True, plain=True)
    complaints.size(element, "value", at, 2000)
    complaints.size(element, "url", at, 3000)
    complaints.size(element, "accessibility_label", at, 75)
    if element.get("style") not in {None, "primary", "danger"}:
        complaints.add("must be a valid enum value", f"{at}/style")


def _overflow(complaints: Complaints, element: Mapping[str, Any], at: str) -> None:
    _options(complaints, element, at, 5)


def _select(complaints: Complaints, element: Mapping[str, Any], at: str) -> None:
    complaints.text(element, "placeholder", at, 150, plain=True)
    most, queried = element.get("max_selected_items"), element.get("min_query_length")
    if most is not None and not (isinstance(most, int) and most >= 1):
        complaints.add("must be greater than 0", f"{at}/max_selected_items")
    if queried is not None and not (isinstance(queried, int) and queried >= 0):
        complaints.add("must be greater than -1", f"{at}/min_query_length")
    if str(element["type"]).endswith("static_select"):
        _options_or_groups(complaints, element, at, 100)
        _initial(complaints, element, at)


def _choices(complaints: Complaints, element: Mapping[str, Any], at: str) -> None:
    _options(complaints, element, at, 10)
    _initial(complaints, element, at)


def _options_or_groups(complaints: Complaints, element: Mapping[str, Any], at: str, limit: int) -> None:
    if element.get("option_groups") is None:
        # An external select may find nothing.
        _options(complaints, element, at, limit, least=0 if "external" in str(element["type"]) else 1)
        return
    for index, group in enumerate(complaints.items(element, "option_groups", at, limit)):
        here = f"{at}/option_groups/{index}"
        if not isinstance(group, Mapping):
            complaints.add("must be an object", here)
            continue
        complaints.only(group, {"label", "options"}, here)
        complaints.text(group, "label", here, 75, required=True, plain=True)
        _options(complaints, {"type": element["type"], **group}, here, limit)


def _initial(complaints: Complaints, element: Mapping[str, Any], at: str) -> None:
    """What is chosen at first has to be one of the options, to the letter."""
    groups = element.get("option_groups") or [element]
    offered = [option for group in groups for option in group.get("options") or []]
    if element.get("initial_option") is not None and element["initial_option"] not in offered:
        complaints.add("must match one of the options", f"{at}/initial_option")
    if element.get("initial_options") is not None:
        chosen = complaints.items(element, "initial_options", at, 100)
        if any(option not in offered for option in chosen):
            complaints.add("must match one of the options", f"{at}/initial_options")


def _options(complaints: Complaints, element: Mapping[str, Any], at: str, limit: int, *, least: int = 1) -> None:
    for index, option in enumerate(complaints.items(element, "options", at, limit, least=least)):
        here = f"{at}/options/{index}"
        if not isinstance(option, Mapping):
            complaints.add("must be an object", here)
            continue
        complaints.only(option, OPTION_KEYS, here)
        plain = element["type"] not in {"checkboxes", "radio_buttons"}
        complaints.text(option, "text", here, 75, required=True, plain=plain)
        complaints.text(option, "description", here, 75)
        complaints.size(option, "value", here, 150)
        if element["type"] != "overflow" and option.get("value") is None:
            complaints.add("missing required field: value", here)


def _plain_input(complaints: Complaints, element: Mapping[str, Any], at: str) -> None:
    complaints.text(element, "placeholder", at, 150, plain=True)
    complaints.size(element, "initial_value", at, 3000, empty=True)
    for key, least in (("min_length", 0), ("max_length", 1)):
        length = element.get(key)
        if length is not None and not (isinstance(length, int) and least <= length <= 3000):
            complaints.add(f"must be between {least} and 3000", f"{at}/{key}")
    _dispatched(complaints, element, at)


def _number_input(complaints: Complaints, element: Mapping[str, Any], at: str) -> None:
    complaints.text(element, "placeholder", at, 150, plain=True)
    complaints.size(element, "initial_value", at, 3000, empty=True)
    if not isinstance(element.get("is_decimal_allowed"), bool):
        complaints.add("missing required field: is_decimal_allowed", at)
    _dispatched(complaints, element, at)


def _dispatched(complaints: Complaints, element: Mapping[str, Any], at: str) -> None:
    config = element.get("dispatch_action_config")
    if config is None:
        return
    kinds = config.get("trigger_actions_on") if isinstance(config, Mapping) else None
    known = {"on_enter_pressed", "on_character_entered"}
    if not isinstance(kinds, list) or not kinds or not set(map(str, kinds)) <= known:
        complaints.add("must be a valid enum value", f"{at}/dispatch_action_config/trigger_actions_on")


def _moment(complaints: Complaints, element: Mapping[str, Any], at: str) -> None:
    """A date, a time of day, or an instant in Unix seconds (ten digits)."""
    complaints.text(element, "placeholder", at, 150, plain=True)
    instant = element.get("initial_date_time")
    if instant is not None and not (isinstance(instant, int) and len(str(instant)) == 10):
        complaints.add("must be a 10 digit integer", f"{at}/initial_date_time")
    for key, shape in (("initial_date", "%Y-%m-%d"), ("initial_time", "%H:%M")):
        value = element.get(key)
        if value is not None and not _is_written(value, shape):
            complaints.add("does not match the required format", f"{at}/{key}")


def _is_written(value: Any, shape: str) -> bool:
    try:
        return datetime.strptime(str(value), shape).strftime(shape) == str(value)  # noqa: DTZ007 - a date or a time alone
    except ValueError:
        return False


def _image_element(complaints: Complaints, element: Mapping[str, Any], at: str) -> None:
    complaints.only(element, {"image_url", "alt_text", "slack_file"}, at)
    _image_fields(complaints, element, at)


def _image_fields(complaints: Complaints, item: Mapping[str, Any], at: str) -> None:
    if item.get("image_url") is None and item.get("slack_file") is None:
        complaints.add("missing required field: image_url", at)
    if item.get("alt_text") is None:
        complaints.add("missing required field: alt_text", at)
    complaints.size(item, "image_url", at, 3000)
    complaints.size(item, "alt_text", at, 2000, empty=True)


@dataclass(frozen=True)
class Shape:
    keys: set[str]
    check: Check


_PLACEHOLDER = {"placeholder", "focus_on_load"}
SHAPES = {
    "button": Shape({"text", "value", "url", "style", "accessibility_label"}, _button),
    "overflow": Shape({"options"}, _overflow),
    "image": Shape({"image_url", "alt_text", "slack_file"}, _image_element),
    "static_select": Shape({"options", "option_groups", "initial_option", *_PLACEHOLDER}, _select),
    "multi_static_select": Shape(
        {"options", "option_groups", "initial_options", "max_selected_items", *_PLACEHOLDER}, _select
    ),
    "users_select": Shape({"initial_user", *_PLACEHOLDER}, _select),
    "checkboxes": Shape({"options", "initial_options", "focus_on_load"}, _choices),
    "radio_buttons": Shape({"options", "initial_option", "focus_on_load"}, _choices),
    "plain_text_input": Shape(
        {"initial_value", "multiline", "min_length", "max_length", "dispatch_action_config", *_PLACEHOLDER},
        _plain_input,
    ),
    "email_text_input": Shape({"initial_value", "dispatch_action_config", *_PLACEHOLDER}, _plain_input),
    "url_text_input": Shape({"initial_value", "dispatch_action_config", *_PLACEHOLDER}, _plain_input),
    "number_input": Shape(
        {"initial_value", "is_decimal_allowed", "min_value", "max_value", "dispatch_action_config", *_PLACEHOLDER},
        _number_input,
    ),
    "external_select": Shape({"initial_option", "min_query_length", *_PLACEHOLDER}, _select),
    "multi_external_select": Shape(
        {"initial_options", "min_query_length", "max_selected_items", *_PLACEHOLDER}, _select
    ),
    "multi_users_select": Shape({"initial_users", "max_selected_items", *_PLACEHOLDER}, _select),
    "channels_select": Shape({"initial_channel", "response_url_enabled", *_PLACEHOLDER}, _select),
    "multi_channels_select": Shape({"initial_channels", "max_selected_items", *_PLACEHOLDER}, _select),
    "conversations_select": Shape(
        {"initial_conversation", "default_to_current_conversation", "response_url_enabled", "filter", *_PLACEHOLDER},
        _select,
    ),
    "multi_conversations_select": Shape(
        {
            "initial_conversations",
            "default_to_current_conversation",
            "max_selected_items",
            "filter",
            *_PLACEHOLDER,
        },
        _select,
    ),
    "datepicker": Shape({"initial_date", *_PLACEHOLDER}, _moment),
    "timepicker": Shape({"initial_time", "timezone", *_PLACEHOLDER}, _moment),
    "datetimepicker": Shape({"initial_date_time", "focus_on_load"}, _moment),
}
_SELECTS = {
    "static_select",
    "external_select",
    "users_select",
    "conversations_select",
    "channels_select",
    "multi_static_select",
    "multi_external_select",
    "multi_users_select",
    "multi_conversations_select",
    "multi_channels_select",
    "checkboxes",
    "radio_buttons",
    "datepicker",
    "timepicker",
    "datetimepicker",
}
INTERACTIVE = _SELECTS | {"button", "overflow", "workflow_button"}
ACCESSORIES = INTERACTIVE | {"image"}
INPUTS = _SELECTS | {"plain_text_input", "rich_text_input", "number_input", "email_text_input", "url_text_input"}
