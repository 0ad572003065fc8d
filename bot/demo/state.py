"""What a workspace remembers: people, channels, messages, files, open views, and who has read what.

It knows nothing of HTTP, tokens or limits. Every change calls `on_change`, so that pages can redraw.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["channel", "private", "im"]
Tab = Literal["home", "messages"]


@dataclass(frozen=True)
class User:
    """`guest` is Slack's word for how little a guest may see, empty for a full member."""

    id: str
    name: str
    real_name: str
    email: str = ""
    timezone: str = "UTC"
    title: str = ""
    is_bot: bool = False
    guest: Literal["", "restricted", "ultra_restricted"] = ""


@dataclass(frozen=True)
class Quiet:
    """Do not disturb: each day from `begins` to `ends`, `HH:MM` in the person's own zone."""

    begins: str = "22:00"
    ends: str = "08:00"


@dataclass
class UserGroup:
    id: str
    handle: str
    name: str
    users: list[str]


@dataclass(frozen=True)
class Shortcut:
    """An entry in the menu of a message, or of the whole workspace."""

    name: str
    callback_id: str
    kind: Literal["message", "global"] = "message"


@dataclass(frozen=True)
class App:
    """The one installed app. The page and the API speak of it only through these values."""

    id: str
    name: str
    user_id: str
    bot_id: str
    bot_token: str
    app_token: str
    signing_secret: str
    scopes: tuple[str, ...]
    commands: tuple[str, ...]
    events: tuple[str, ...] = ("app_mention", "message.im")
    takes_direct_messages: bool = True  # false is Slack's messages_tab_read_only_enabled
    has_home: bool = True
    shortcuts: tuple[Shortcut, ...] = ()


@dataclass
class Channel:
    """`user` is the person at the other end of a direct message with the app."""

    id: str
    name: str
    kind: Kind
    members: set[str]
    user: str = ""
    topic: str = ""


@dataclass
class Message:
    channel: str
    ts: str
    user: str
    text: str
    blocks: list[dict[str, Any]] = field(default_factory=list)
    bot_id: str = ""
    app_id: str = ""
    thread_ts: str = ""
    broadcast: bool = False
    edited_ts: str = ""
    metadata: dict[str, Any] | None = None
    ephemeral_to: str = ""
    files: tuple[str, ...] = ()

    @property
    def is_reply(self) -> bool:
        return bool(self.thread_ts) and self.thread_ts != self.ts


@dataclass
class File:
    """`content` is None until it has been uploaded; `shared` is where people see it."""

    id: str
    name: str
    size: int
    title: str = ""
    content: bytes | None = None
    complete: bool = False
    shared: set[str] = field(default_factory=set)


@dataclass
class View:
    id: str
    user: str
    body: dict[str, Any]
    hash: str
    root_id: str
    previous_id: str = ""


@dataclass(frozen=True)
class Scene:
    """What a workspace starts with."""

    team_id: str
    team: str
    domain: str
    users: tuple[User, ...]
    channels: tuple[Channel, ...]
    app: App
    groups: tuple[UserGroup, ...] = ()
    quiet: tuple[tuple[str, Quiet], ...] = ()  # user id → when their notifications pause


class World:
    def __init__(self, scene: Scene, on_change: Callable[[], None] = lambda: None) -> None:
        self.scene = scene
        self.app = scene.app
        self.users = {user.id: user for user in scene.users}
        self.channels = {channel.id: channel for channel in scene.channels}
        self.messages: dict[str, list[Message]] = {channel: [] for channel in self.channels}
        self.groups = {group.id: group for group in scene.groups}
        self.quiet = dict(scene.quiet)
        self.files: dict[str, File] = {}
        self.views: dict[str, View] = {}
        self.homes: dict[str, View] = {}  # user → what the app has published for them
        self.stacks: dict[str, list[str]] = {}  # user → ids of the modals they have open, the top one last
        self.read: dict[tuple[str, str], str] = {}
        self._last_micros = 0
        self._on_change = on_change

    def changed(self) -> None:
        self._on_change()

    # --- channels ---

    def find_channel(self, reference: str) -> Channel | None:
        """By id, `#name` or name. A user's id means the app's direct message with them, opened when needed."""
        if reference in self.channels:
            return self.channels[reference]
        if reference in self.users and not self.users[reference].is_bot:
            return self.open_dm(reference)
        name = reference.removeprefix("#")
        return next(
            (channel for channel in self.channels.values() if channel.name == name and channel.kind != "im"), None
        )

    def open_dm(self, user: str) -> Channel:
        channel_id = f"D{user[1:]}"
        if channel_id not in self.channels:
            self.channels[channel_id] = Channel(channel_id, "", "im", {user, self.app.user_id}, user=user)
            self.messages[channel_id] = []
            self.changed()
        return self.channels[channel_id]

    def channels_of(self, user: str) -> list[Channel]:
        """In sidebar order: channels first, then direct messages."""
        own = [channel for channel in self.channels.values() if user in channel.members]
        return sorted(own, key=lambda channel: (channel.kind == "im", channel.name))

    # --- messages ---

    def new_ts(self, now: float) -> str:
        """Slack's timestamps identify messages, so no two are equal, and later ones sort later."""
        micros = max(round(now * 1_000_000), self._last_micros + 1)
        self._last_micros = micros
        return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"

    def post(self, message: Message) -> Message:
        message.blocks = with_block_ids(message.blocks)
        self.messages[message.channel].append(message)
        self.changed()
        return message

    def find(self, channel: str, ts: str) -> Message | None:
        return next((message for message in self.messages.get(channel, ()) if message.ts == ts), None)

    def edit(self, message: Message, now: float) -> None:
        """Marks a message as changed now; whoever changed it has set its new content."""
        message.blocks = with_block_ids(message.blocks)
        message.edited_ts = f"{now:.6f}"
        self.changed()

    def delete(self, message: Message) -> None:
        self.messages[message.channel].remove(message)
        self.changed()

    def visible(self, channel: str, user: str) -> list[Message]:
        """What `user` sees in `channel`, thread replies included, oldest first."""
        return [message for message in self.messages[channel] if message.ephemeral_to in {"", user}]

    def replies(self, channel: str, thread_ts: str) -> list[Message]:
        return [message for message in self.messages[channel] if message.is_reply and message.thread_ts == thread_ts]

    def unread(self, channel: str, user: str) -> list[Message]:
        mark = self.read.get((user, channel), "")
        return [
            message
            for message in self.visible(channel, user)
            if message.ts > mark and message.user != user and (not message.is_reply or message.broadcast)
        ]

    def mark_read(self, channel: str, user: str) -> None:
        messages = self.messages[channel]
        newest = messages[-1].ts if messages else ""
        if self.read.get((user, channel), "") < newest:
            self.read[user, channel] = newest
            self.changed()

    # --- files ---

    def new_file(self, name: str, size: int) -> File:
        file = File(f"F{secrets.token_hex(5).upper()}", name, size)
        self.files[file.id] = file
        return file

    # --- views ---

    def publish_home(self, user: str, body: dict[str, Any]) -> View:
        view_id = self.homes[user].id if user in self.homes else f"V{secrets.token_hex(5).upper()}"
        self.homes[user] = View(view_id, user, filled_view(body), new_hash(), view_id)
        self.changed()
        return self.homes[user]

    def open_view(self, user: str, body: dict[str, Any], *, push: bool) -> View:
        stack = self.stacks.setdefault(user, [])
        if not push:
            self._close_from(stack, 0)
        view_id = f"V{secrets.token_hex(5).upper()}"
        root = self.views[stack[0]].id if stack else view_id
        view = View(view_id, user, filled_view(body), new_hash(), root, stack[-1] if stack else "")
        self.views[view.id] = view
        stack.append(view.id)
        self.changed()
        return view

    def update_view(self, view: View, body: dict[str, Any]) -> View:
        view.body = filled_view(body)
        view.hash = new_hash()
        self.changed()
        return view

    def close_view(self, view: View, *, whole_stack: bool) -> None:
        stack = self.stacks.get(view.user, [])
        if view.id in stack:
            self._close_from(stack, 0 if whole_stack else stack.index(view.id))
        self.changed()

    def _close_from(self, stack: list[str], first: int) -> None:
        for view_id in stack[first:]:
            self.views.pop(view_id, None)
        del stack[first:]


def new_hash() -> str:
    return f"{secrets.randbelow(10**10)}.{secrets.token_hex(4)}"


def filled_view(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "blocks": with_block_ids(body.get("blocks") or [])}


def with_block_ids(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Slack gives ids to the blocks and the interactive elements that come without one."""
    filled = []
    for block in blocks:
        copy = {**block}
        copy.setdefault("block_id", secrets.token_urlsafe(4))
        if copy.get("type") == "actions":
            copy["elements"] = [_with_action_id(element) for element in copy["elements"]]
        if copy.get("type") == "input":
            copy["element"] = _with_action_id(copy["element"])
        if isinstance(copy.get("accessory"), dict) and copy["accessory"].get("type") != "image":
            copy["accessory"] = _with_action_id(copy["accessory"])
        filled.append(copy)
    return filled


def _with_action_id(element: dict[str, Any]) -> dict[str, Any]:
    return {**element, "action_id": element.get("action_id") or secrets.token_urlsafe(4)}
