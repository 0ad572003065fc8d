"""What people do on the page, turned into what Slack sends to an app: clicks, choices, commands, mentions, shortcuts,
submitted modals, an opened Home tab.

Holds what is short-lived: trigger ids (three seconds, once) and response URLs (thirty minutes, five uses).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.demo import blockkit
from bot.demo.delivery import Delivery, NotAcknowledgedError
from bot.demo.shapes import message_json, view_json
from bot.demo.state import Channel, Message, Tab, View, World

TRIGGER_SECONDS = 3.0
RESPONSE_SECONDS = 1800.0
RESPONSE_USES = 5
EVENT_RETRY_SECONDS = (1.0, 60.0, 300.0)

# What an element's payload calls the thing that was chosen or typed.
CHOSEN = {
    "button": "",
    "channels_select": "selected_channel",
    "checkboxes": "selected_options",
    "conversations_select": "selected_conversation",
    "datepicker": "selected_date",
    "datetimepicker": "selected_date_time",
    "email_text_input": "value",
    "external_select": "selected_option",
    "multi_channels_select": "selected_channels",
    "multi_conversations_select": "selected_conversations",
    "multi_external_select": "selected_options",
    "multi_static_select": "selected_options",
    "multi_users_select": "selected_users",
    "number_input": "value",
    "overflow": "selected_option",
    "plain_text_input": "value",
    "radio_buttons": "selected_option",
    "static_select": "selected_option",
    "timepicker": "selected_time",
    "url_text_input": "value",
    "users_select": "selected_user",
}


class ExpiredTriggerError(Exception):
    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class UnusableUrlError(Exception):
    """A response URL that is unknown, too old or used up, or a body it cannot take; `code` is Slack's word."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class NoSuchThingError(Exception):
    """The page names a person, channel, message or button that does not exist."""


@dataclass
class Trigger:
    user: str
    expires: float
    used: bool = False


@dataclass
class ResponseUrl:
    user: str
    channel: str
    message_ts: str
    thread_ts: str
    expires: float
    uses: int = 0


class Interactions:
    def __init__(
        self, world: World, delivery: Delivery, clock: Callable[[], float], base_url: Callable[[], str]
    ) -> None:
        self._world = world
        self._delivery = delivery
        self._clock = clock
        self._base_url = base_url
        self._triggers: dict[str, Trigger] = {}
        self._urls: dict[str, ResponseUrl] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def app_connected(self) -> bool:
        return self._delivery.connected

    # --- a person acts ---

    async def click(
        self, user: str, channel: str, ts: str, action: Mapping[str, Any], values: Mapping[str, Any]
    ) -> None:
        """A button, menu or select of a message. NotAcknowledgedError when the app did not take it."""
        message = self._message(channel, ts)
        element = _element(message.blocks, action)
        payload = {
            **self._interaction("block_actions", user),
            **self._place(message),
            "state": {"values": dict(values)},
            "response_url": self._new_url(user, channel, ts, message.thread_ts),
            "actions": [self._action(element, action)],
        }
        await self._delivery.deliver("interactive", payload)

    async def click_in_view(
        self, user: str, view_id: str, action: Mapping[str, Any], values: Mapping[str, Any]
    ) -> None:
        view = self._view(user, view_id)
        payload = {
            **self._interaction("block_actions", user),
            "container": {"type": "view", "view_id": view_id},
            "view": view_json(self._world, view, dict(values)),
            "state": {"values": dict(values)},
            "actions": [self._action(_element(view.body["blocks"], action), action)],
        }
        await self._delivery.deliver("interactive", payload)

    async def suggestions(self, user: str, source: Mapping[str, Any], typed: str) -> dict[str, Any]:
        """What an external select offers for what has been typed: `{"options": […]}` or `{"option_groups": […]}`.

        `source` names the element, in a `view` or in a message (`channel` and `ts`).
        """
        payload = self._interaction("block_suggestion", user)
        del payload["trigger_id"]
        if source.get("view"):
            view = self._view(user, str(source["view"]))
            blocks = view.body["blocks"]
            payload |= {"container": {"type": "view", "view_id": view.id}, "view": view_json(self._world, view)}
        else:
            message = self._message(str(source.get("channel")), str(source.get("ts")))
            blocks = message.blocks
            payload |= self._place(message)
        element = _element(blocks, source)
        payload |= {"action_id": element["action_id"], "block_id": source["block_id"], "value": typed}
        answer = await self._delivery.deliver("interactive", payload)
        found = blockkit.options_problems(answer)
        if found:
            raise NotAcknowledgedError("dispatch_failed")
        return {key: answer[key] for key in ("options", "option_groups") if key in answer}

    async def shortcut(self, user: str, callback_id: str, channel: str = "", ts: str = "") -> None:
        """An entry of the app in the menu of a message, or of the workspace when no message is named."""
        known = {one.callback_id: one for one in self._world.app.shortcuts}
        shortcut = known.get(callback_id)
        if shortcut is None or (shortcut.kind == "message") != bool(ts):
            raise NoSuchThingError("shortcut")
        kind = "message_action" if ts else "shortcut"
        payload = {**self._interaction(kind, user), "callback_id": callback_id, "action_ts": self._stamp()}
        if ts:
            message = self._message(channel, ts)
            place = self._place(message)
            del place["container"]
            payload |= {**place, "message_ts": ts}
            payload["response_url"] = self._new_url(user, channel, ts, message.thread_ts)
        await self._delivery.deliver("interactive", payload)

    def open_tab(self, user: str, tab: Tab) -> None:
        """The person looks at the app's Home or Messages tab; the app hears of it when it asked to."""
        if "app_home_opened" not in self._world.app.events:
            return
        channel, now = self._world.open_dm(user).id, self._stamp()
        event: dict[str, Any] = {
            "type": "app_home_opened",
            "user": user,
            "channel": channel,
            "tab": tab,
            "event_ts": now,
        }
        shown = self._world.homes.get(user)
        if tab == "home" and shown is not None:
            event["view"] = view_json(self._world, shown)
        self._send_event(event, float(now))

    async def submit(self, user: str, view_id: str, values: Mapping[str, Any]) -> dict[str, str]:
        """Submits a modal; the result maps block ids to what the app finds wrong with them."""
        view = self._view(user, view_id)
        payload = {
            **self._interaction("view_submission", user),
            "view": view_json(self._world, view, dict(values)),
            "response_urls": [],
        }
        answer = await self._delivery.deliver("interactive", payload)
        action = answer.get("response_action")
        if action == "errors":
            return dict(answer.get("errors") or {})
        if action in {"update", "push"}:
            body = answer.get("view") or {}
            if blockkit.view_problems(body):
                raise NotAcknowledgedError("dispatch_failed")
            if action == "update":
                if view.id in self._world.views:
                    self._world.update_view(view, body)
            else:
                self._world.open_view(user, body, push=True)
        elif view.id in self._world.views:
            self._world.close_view(view, whole_stack=action == "clear")
        return {}

    async def close(self, user: str, view_id: str) -> None:
        """Closes a modal by its own button or cross, and tells the app when it asked to know."""
        view = self._view(user, view_id)
        whole = bool(view.body.get("clear_on_close"))
        shown = view_json(self._world, view)
        self._world.close_view(view, whole_stack=whole)
        if view.body.get("notify_on_close"):
            payload = {**self._interaction("view_closed", user), "view": shown, "is_cleared": whole}
            await self._delivery.deliver("interactive", payload)

    async def command(self, user: str, channel: str, command: str, text: str) -> None:
        """A slash command; failures are told to the person in Slack's words."""
        where = self._world.channels[channel]
        payload = {
            "token": "verification-token",
            "team_id": self._world.scene.team_id,
            "team_domain": self._world.scene.domain,
            "channel_id": channel,
            "channel_name": _channel_name(where),
            "user_id": user,
            "user_name": self._world.users[user].name,
            "command": command,
            "text": text,
            "api_app_id": self._world.app.id,
            "is_enterprise_install": "false",
            "response_url": self._new_url(user, channel, "", ""),
            "trigger_id": self._new_trigger(user),
        }
        try:
            answer = await self._delivery.deliver("slash_commands", payload)
        except NotAcknowledgedError as error:
            self._whisper(user, channel, f'{command} failed with the error "{error.code}"')
            return
        if answer.get("text") or answer.get("blocks"):
            url = ResponseUrl(user, channel, "", "", self._clock())
            try:
                self._answer(url, answer)
            except UnusableUrlError as error:
                self._whisper(user, channel, f'{command} failed with the error "{error.code}"')

    def say(self, user: str, channel: str, text: str, thread_ts: str = "") -> Message:
        """A person writes; the app hears of it when it is mentioned or written to directly."""
        where = self._world.channels[channel]
        ts = self._world.new_ts(self._clock())
        message = self._world.post(Message(channel, ts, user, text, thread_ts=thread_ts))
        self._world.mark_read(channel, user)
        app = self._world.app
        joined = app.user_id in where.members
        if where.kind == "im" and "message.im" in app.events:
            self._send_message(message, {"type": "message", "channel_type": "im"})
        elif joined and f"<@{app.user_id}>" in text and "app_mention" in app.events:
            self._send_message(message, {"type": "app_mention"})
        return message

    # --- what the app does with it ---

    def exchange_trigger(self, trigger_id: str, now: float) -> str:
        """The user behind a trigger, once and only for three seconds."""
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise ExpiredTriggerError("invalid_trigger_id")
        if trigger.used:
            raise ExpiredTriggerError("exchanged_trigger_id")
        if now > trigger.expires:
            raise ExpiredTriggerError("expired_trigger_id")
        trigger.used = True
        return trigger.user

    def respond(self, key: str, body: Mapping[str, Any]) -> None:
        """A POST to a response URL."""
        url = self._urls.get(key)
        now = self._clock()
        if url is None or now > url.expires:
            raise UnusableUrlError("expired_url")
        if url.uses >= RESPONSE_USES:
            raise UnusableUrlError("used_url")
        url.uses += 1
        self._answer(url, body)

    def _answer(self, url: ResponseUrl, body: Mapping[str, Any]) -> None:
        original = self._world.find(url.channel, url.message_ts) if url.message_ts else None
        if body.get("delete_original"):
            if original is not None:
                self._world.delete(original)
            return
        text, blocks = str(body.get("text") or ""), list(body.get("blocks") or [])
        if blockkit.problems(blocks) or blockkit.too_long(blocks):
            raise UnusableUrlError("invalid_blocks")
        if not text and not blocks:
            raise UnusableUrlError("no_text")
        now = self._clock()
        if body.get("replace_original") and original is not None:
            original.text, original.blocks = text, blocks
            self._world.edit(original, now)
            return
        app = self._world.app
        private = body.get("response_type", "ephemeral") == "ephemeral"
        thread_ts = str(body.get("thread_ts") or (url.thread_ts if private else ""))
        message = Message(
            url.channel, self._world.new_ts(now), app.user_id, text, blocks, app.bot_id, app.id, thread_ts=thread_ts
        )
        message.ephemeral_to = url.user if private else ""
        self._world.post(message)

    # --- pieces of payloads ---

    def _interaction(self, kind: str, user: str) -> dict[str, Any]:
        scene, person = self._world.scene, self._world.users[user]
        return {
            "type": kind,
            "team": {"id": scene.team_id, "domain": scene.domain},
            "user": {"id": user, "username": person.name, "name": person.name, "team_id": scene.team_id},
            "api_app_id": self._world.app.id,
            "token": "verification-token",
            "trigger_id": self._new_trigger(user),
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _action(self, element: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
        out = {"type": element["type"], "action_id": element["action_id"], "block_id": chosen["block_id"]}
        out["action_ts"] = self._stamp()
        for key in ("text", "value", "style", "placeholder"):
            if key in element:
                out[key] = element[key]
        if named := CHOSEN.get(str(element["type"])):
            out[named] = chosen.get("selected")
        return out

    def _stamp(self) -> str:
        return f"{self._clock():.6f}"

    def _message(self, channel: str, ts: str) -> Message:
        message = self._world.find(channel, ts)
        if message is None:
            raise NoSuchThingError("message")
        return message

    def _place(self, message: Message) -> dict[str, Any]:
        """Where something of a message was used."""
        container = {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": message.channel,
            "is_ephemeral": bool(message.ephemeral_to),
        }
        if message.thread_ts:
            container["thread_ts"] = message.thread_ts
        return {
            "container": container,
            "channel": {"id": message.channel, "name": _channel_name(self._world.channels[message.channel])},
            "message": message_json(self._world, message),
        }

    def _view(self, user: str, view_id: str) -> View:
        """A modal that is open, or the person's Home tab."""
        home = self._world.homes.get(user)
        view = home if home is not None and home.id == view_id else self._world.views.get(view_id)
        if view is None or view.user != user:
            raise NoSuchThingError("view")
        return view

    def _new_trigger(self, user: str) -> str:
        now = self._clock()
        self._triggers = {key: one for key, one in self._triggers.items() if now - one.expires < 600}
        trigger_id = f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        self._triggers[trigger_id] = Trigger(user, now + TRIGGER_SECONDS)
        return trigger_id

    def _new_url(self, user: str, channel: str, message_ts: str, thread_ts: str) -> str:
        now = self._clock()
        self._urls = {key: one for key, one in self._urls.items() if one.expires > now}
        key = secrets.token_urlsafe(16)
        self._urls[key] = ResponseUrl(user, channel, message_ts, thread_ts, now + RESPONSE_SECONDS)
        return f"{self._base_url()}/response/{key}"

    def _whisper(self, user: str, channel: str, text: str) -> None:
        """Slackbot's line that only one person sees."""
        message = Message(channel, self._world.new_ts(self._clock()), "USLACKBOT", text, ephemeral_to=user)
        self._world.post(message)

    def _send_message(self, message: Message, event: dict[str, Any]) -> None:
        event |= {
            "user": message.user,
            "text": message.text,
            "ts": message.ts,
            "event_ts": message.ts,
            "channel": message.channel,
            "team": self._world.scene.team_id,
            "client_msg_id": secrets.token_hex(16),
        }
        if message.thread_ts:
            event["thread_ts"] = message.thread_ts
        self._send_event(event, float(message.ts))

    def _send_event(self, event: dict[str, Any], at: float) -> None:
        scene, app = self._world.scene, self._world.app
        payload = {
            "token": "verification-token",
            "team_id": scene.team_id,
            "api_app_id": app.id,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev{secrets.token_hex(5).upper()}",
            "event_time": int(at),
            "authorizations": [
                {
                    "enterprise_id": None,
                    "team_id": scene.team_id,
                    "user_id": app.user_id,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": False,
        }
        task = asyncio.create_task(self._deliver_event(payload))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver_event(self, payload: dict[str, Any]) -> None:
        """Events, unlike clicks, are sent again when nobody takes them."""
        for retry, wait in enumerate((0.0, *EVENT_RETRY_SECONDS)):
            await asyncio.sleep(wait)
            try:
                await self._delivery.deliver("events_api", payload, retry)
            except NotAcknowledgedError:
                continue
            return

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _channel_name(channel: Channel) -> str:
    return "directmessage" if channel.kind == "im" else channel.name


def _element(blocks: list[dict[str, Any]], action: Mapping[str, Any]) -> dict[str, Any]:
    """The interactive element that `action` names by block and action id."""
    for block in blocks:
        if block.get("block_id") != action.get("block_id"):
            continue
        elements = [*(block.get("elements") or []), block.get("accessory"), block.get("element")]
        for element in elements:
            if isinstance(element, dict) and element.get("action_id") == action.get("action_id"):
                return element
    raise NoSuchThingError("button")
