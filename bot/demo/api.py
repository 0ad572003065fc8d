"""The Web API: a method's name and its arguments in, Slack's JSON out. Tokens, scopes and limits are checked here.

HTTP is workspace.py's. Methods and error codes follow docs.slack.dev/reference/methods.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bot.demo import blockkit
from bot.demo.interactions import ExpiredTriggerError, Interactions
from bot.demo.limits import Limits
from bot.demo.shapes import channel_json, file_json, group_json, message_json, quiet_json, user_json, view_json
from bot.demo.state import Channel, File, Message, UserGroup, View, World

T = TypeVar("T")

MAX_TEXT = 40_000
MAX_METADATA_BYTES = 8_192
MAX_MODALS = 3
MAX_FILE_BYTES = 1 << 20  # Slack takes a gigabyte; a chart has no business being larger than this

SCOPE_OF = {
    "chat.delete": "chat:write",
    "chat.getPermalink": "",
    "chat.postEphemeral": "chat:write",
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "conversations.list": "channels:read",
    "conversations.open": "im:write",
    "dnd.info": "dnd:read",
    "files.completeUploadExternal": "files:write",
    "files.getUploadURLExternal": "files:write",
    "files.info": "files:read",
    "usergroups.list": "usergroups:read",
    "usergroups.users.list": "usergroups:read",
    "usergroups.users.update": "usergroups:write",
    "users.info": "users:read",
    "users.list": "users:read",
    "users.lookupByEmail": "users:read.email",
}
HISTORY_SCOPE = {"channel": "channels:history", "private": "groups:history", "im": "im:history"}
READ_SCOPE = {"channel": "channels:read", "private": "groups:read", "im": "im:read"}


class SlackError(Exception):
    """`{"ok": false, "error": code}` and whatever Slack adds to it."""

    def __init__(self, code: str, **more: Any) -> None:
        self.code = code
        self.more = more
        super().__init__(code)


@dataclass(frozen=True)
class Reply:
    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


class Arguments:
    """Arguments of a call; form-encoded ones come as text, JSON ones as they are."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, name: str, default: str = "") -> str:
        value = self._values.get(name)
        return default if value is None else str(value)

    def flag(self, name: str) -> bool:
        return self.text(name).lower() in {"true", "1", "yes"}

    def number(self, name: str, default: int) -> int:
        try:
            return int(self.text(name) or default)
        except ValueError:
            raise SlackError("invalid_arguments") from None

    def value(self, name: str, error: str) -> Any:
        """A JSON value, given as such or as text."""
        value = self._values.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except ValueError:
            raise SlackError(error) from None

    def has(self, name: str) -> bool:
        return self._values.get(name) is not None


class WebApi:
    """`socket_url` and `upload_url` (of a file's id) give out addresses of the workspace itself."""

    def __init__(
        self,
        world: World,
        interactions: Interactions,
        limits: Limits,
        socket_url: Callable[[], str],
        upload_url: Callable[[str], str],
    ) -> None:
        self._world = world
        self._interactions = interactions
        self._limits = limits
        self._socket_url = socket_url
        self._upload_url = upload_url
        self._methods: dict[str, Callable[[Arguments, float], dict[str, Any]]] = {
            "api.test": self._api_test,
            "apps.connections.open": self._connections_open,
            "auth.test": self._auth_test,
            "bots.info": self._bots_info,
            "chat.delete": self._delete,
            "chat.getPermalink": self._permalink,
            "chat.postEphemeral": self._post_ephemeral,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.info": self._channel_info,
            "conversations.join": self._join,
            "conversations.list": self._channel_list,
            "conversations.members": self._members,
            "conversations.open": self._open,
            "conversations.replies": self._replies,
            "dnd.info": self._quiet_info,
            "files.completeUploadExternal": self._file_complete,
            "files.getUploadURLExternal": self._file_url,
            "files.info": self._file_info,
            "team.info": self._team_info,
            "usergroups.list": self._group_list,
            "usergroups.users.list": self._group_users,
            "usergroups.users.update": self._group_update,
            "users.info": self._user_info,
            "users.list": self._user_list,
            "users.lookupByEmail": self._user_by_email,
            "views.open": self._view_open,
            "views.publish": self._view_publish,
            "views.push": self._view_push,
            "views.update": self._view_update,
        }

    def call(self, method: str, token: str, values: Mapping[str, Any], now: float) -> Reply:
        """One call, refused or carried out whole."""
        scopes = ",".join(self._world.app.scopes)
        headers = {"x-oauth-scopes": scopes, "x-accepted-oauth-scopes": SCOPE_OF.get(method, "")}
        try:
            handler = self._authorize(method, token)
            wait = self._limits.call(method, now)
            if wait:
                raise SlackError("ratelimited", retry_after=wait)
            return Reply(200, {"ok": True, **handler(Arguments(values), now)}, headers)
        except ExpiredTriggerError as error:
            return Reply(200, {"ok": False, "error": error.code}, headers)
        except SlackError as error:
            body = {"ok": False, "error": error.code, **error.more}
            if error.code == "ratelimited":
                wait = int(body.pop("retry_after"))
                return Reply(429, body, {**headers, "Retry-After": str(wait)})
            return Reply(200, body, headers)

    def _authorize(self, method: str, token: str) -> Callable[[Arguments, float], dict[str, Any]]:
        handler = self._methods.get(method)
        if handler is None:
            raise SlackError("unknown_method", req_method=method)
        if method == "api.test":
            return handler
        if not token:
            raise SlackError("not_authed")
        app = self._world.app
        if token not in {app.bot_token, app.app_token}:
            raise SlackError("invalid_auth")
        needs_app_token = method == "apps.connections.open"
        if needs_app_token != (token == app.app_token):
            raise SlackError("not_allowed_token_type")
        if not needs_app_token:
            self._need(SCOPE_OF.get(method, ""))
        return handler

    def _need(self, scope: str) -> None:
        if scope and scope not in self._world.app.scopes:
            raise SlackError("missing_scope", needed=scope, provided=",".join(self._world.app.scopes))

    # --- about the app and the workspace ---

    def _api_test(self, arguments: Arguments, _now: float) -> dict[str, Any]:
        error = arguments.text("error")
        if error:
            raise SlackError(error)
        return {}

    def _auth_test(self, _arguments: Arguments, _now: float) -> dict[str, Any]:
        scene, app = self._world.scene, self._world.app
        return {
            "url": f"https://{scene.domain}.slack.com/",
            "team": scene.team,
            "user": app.name,
            "team_id": scene.team_id,
            "user_id": app.user_id,
            "bot_id": app.bot_id,
            "is_enterprise_install": False,
        }

    def _connections_open(self, _arguments: Arguments, _now: float) -> dict[str, Any]:
        return {"url": self._socket_url()}

    def _bots_info(self, _arguments: Arguments, _now: float) -> dict[str, Any]:
        app = self._world.app
        return {"bot": {"id": app.bot_id, "app_id": app.id, "user_id": app.user_id, "name": app.name, "deleted": False}}

    def _team_info(self, _arguments: Arguments, _now: float) -> dict[str, Any]:
        scene = self._world.scene
        return {"team": {"id": scene.team_id, "name": scene.team, "domain": scene.domain}}

    # --- chat ---

    def _post(self, arguments: Arguments, now: float) -> dict[str, Any]:
        channel = self._writable(arguments)
        text, blocks = self._content(arguments)
        thread_ts = arguments.text("thread_ts")
        if thread_ts:
            thread_ts = self._thread(channel, thread_ts)
        metadata = self._metadata(arguments)
        self._count_post(channel.id, now)
        message = self._world.post(
            self._own_message(
                channel,
                now,
                text,
                blocks,
                thread_ts=thread_ts,
                broadcast=arguments.flag("reply_broadcast") and bool(thread_ts),
                metadata=metadata,
            )
        )
        shown = message_json(self._world, message, metadata=True)
        return {"channel": channel.id, "ts": message.ts, "message": shown}

    def _post_ephemeral(self, arguments: Arguments, now: float) -> dict[str, Any]:
        channel = self._writable(arguments)
        user = arguments.text("user")
        if user not in channel.members:
            raise SlackError("user_not_in_channel")
        text, blocks = self._content(arguments)
        message = self._own_message(
            channel, now, text, blocks, thread_ts=arguments.text("thread_ts"), ephemeral_to=user
        )
        return {"message_ts": self._world.post(message).ts}

    def _own_message(
        self, channel: Channel, now: float, text: str, blocks: list[dict[str, Any]], **more: Any
    ) -> Message:
        app, ts = self._world.app, self._world.new_ts(now)
        return Message(channel.id, ts, app.user_id, text, blocks, bot_id=app.bot_id, app_id=app.id, **more)

    def _update(self, arguments: Arguments, now: float) -> dict[str, Any]:
        message = self._own(arguments, "cant_update_message")
        text, blocks = self._content(arguments)
        if arguments.has("blocks") or arguments.has("text"):
            message.blocks = blocks if arguments.has("blocks") else []
            message.text = text
        if arguments.has("metadata"):
            message.metadata = self._metadata(arguments)
        self._world.edit(message, now)
        shown = message_json(self._world, message, metadata=True)
        return {"channel": message.channel, "ts": message.ts, "text": message.text, "message": shown}

    def _delete(self, arguments: Arguments, _now: float) -> dict[str, Any]:
        message = self._own(arguments, "cant_delete_message")
        self._world.delete(message)
        return {"channel": message.channel, "ts": message.ts}

    def _permalink(self, arguments: Arguments, _now: float) -> dict[str, Any]:
        channel = self._channel(arguments)
        ts = arguments.text("message_ts")
        if self._world.find(channel.id, ts) is None:
            raise SlackError("message_not_found")
        domain = self._world.scene.domain
        return {
            "channel": channel.id,
            "permalink": f"https://{domain}.slack.com/archives/{channel.id}/p{ts.replace('.', '')}",
        }

    def _own(self, arguments: Arguments, refusal: str) -> Message:
        channel = self._channel(arguments)
        message = self._world.find(channel.id, arguments.text("ts"))
        if message is None or message.ephemeral_to:
            raise SlackError("message_not_found")
        if message.user != self._world.app.user_id:
            raise SlackError(refusal)
        return message

    def _content(self, arguments: Arguments) -> tuple[str, list[dict[str, Any]]]:
        text = arguments.text("text")
        blocks = arguments.value("blocks", "invalid_blocks_format")
        if not text and not blocks:
            raise SlackError("no_text")
        if len(text) > MAX_TEXT:
            raise SlackError("msg_too_long")
        if not blocks:
            return text, []
        if not isinstance(blocks, list):
            raise SlackError("invalid_blocks_format")
        found = blockkit.problems(blocks) + self._unknown_files(blocks, "/blocks")
        if found:
            messages = [f"[ERROR] {one}" for one in found]
            raise SlackError("invalid_blocks", errors=found, response_metadata={"messages": messages})
        if blockkit.too_long(blocks):
            raise SlackError("msg_blocks_too_long")
        return text, blocks

    def _unknown_files(self, blocks: list[Any], at: str) -> list[str]:
        """Complaints about pictures of files that do not exist, or are not uploaded yet."""
        named = [(index, block.get("slack_file")) for index, block in enumerate(blocks) if isinstance(block, Mapping)]
        return [
            f"invalid slack file [json-pointer:{at}/{index}/slack_file]"
            for index, named_file in named
            if isinstance(named_file, Mapping) and not self._is_complete(str(named_file.get("id")))
        ]

    def _is_complete(self, file_id: str) -> bool:
        file = self._world.files.get(file_id)
        return file is not None and file.complete

    def _metadata(self, arguments: Arguments) -> dict[str, Any] | None:
        metadata = arguments.value("metadata", "invalid_metadata_format")
        if metadata is None:
            return None
        shaped = isinstance(metadata, dict) and isinstance(metadata.get("event_type"), str)
        if not shaped or not isinstance(metadata.get("event_payload"), dict):
            raise SlackError("invalid_metadata_schema")
        if len(json.dumps(metadata).encode()) > MAX_METADATA_BYTES:
            raise SlackError("metadata_too_large")
        return dict(metadata)

    def _thread(self, channel: Channel, thread_ts: str) -> str:
        """The ts of the thread's first message; answering a reply lands in the same thread."""
        parent = self._world.find(channel.id, thread_ts)
        if parent is None or parent.ephemeral_to:
            raise SlackError("thread_not_found")
        return parent.thread_ts if parent.is_reply else parent.ts

    def _count_post(self, channel: str, now: float) -> None:
        wait = self._limits.post(channel, now)
        if wait:
            raise SlackError("ratelimited", retry_after=wait)

    # --- conversations ---

    def _channel(self, arguments: Arguments) -> Channel:
        channel = self._world.find_channel(arguments.text("channel"))
        if channel is None:
            raise SlackError("channel_not_found")
        if channel.kind == "private" and self._world.app.user_id not in channel.members:
            raise SlackError("channel_not_found")
        return channel

    def _writable(self, arguments: Arguments) -> Channel:
        channel = self._channel(arguments)
        joined = self._world.app.user_id in channel.members
        if not joined and "chat:write.public" not in self._world.app.scopes:
            raise SlackError("not_in_channel")
        return channel

    def _readable(self, arguments: Arguments) -> Channel:
        channel = self._channel(arguments)
        self._need(HISTORY_SCOPE[channel.kind])
        if self._world.app.user_id not in channel.members:
            raise SlackError("not_in_channel")
        return channel

    def _open(self, arguments: Arguments, _now: float) -> dict[str, Any]:
        users = [user for user in arguments.text("users").split(",") if user]
        if arguments.text("channel"):
            return {"channel": channel_json(self._world, self._channel(arguments))}
        if not users:
            raise SlackError("users_list_not_supplied")
        if len(users) > 1:
            raise SlackError("method_not_supported_for_channel_type")
        user = self._world.users.get(users[0])
        if user is None:
            raise SlackError("user_not_found")
        if user.is_bot:
            raise SlackError("cannot_dm_bot")
        channel = self._world.open_dm(user.id)
        shown = channel_json(self._world, channel) if arguments.flag("return_im") else {"id": channel.id}
        return {"channel": shown, "no_op": True, "already_open": True}

    def _channel_info(self, arguments: Arguments, _now: float) -> dict[str, Any]:
        channel = self._channel(arguments)
        self._need(READ_SCOPE[channel.kind])
        return {"channel": channel_json(self._world, channel)}

    def _channel_list(self, arguments: Arguments, _now: float) -> dict[str, Any]:
        kinds = {"public_channel": "channel", "private_channel": "private", "im": "im"}
        wanted = {kinds.get(kind, "") for kind in arguments.text("types", "public_channel").split(",")}
        app = self._world.app.user_id
        channels = [
            channel_json(self._world, channel)
            for channel in self._world.channels.values()
            if channel.kind in wanted and (channel.kind == "channel" or app in channel.members)
        ]
        page, cursor = _page(channels, arguments, 100)
        return {"channels": page, "response_metadata": {"next_cursor": cursor}}

    def _members(self, arguments: Arguments, _now: float) -> dict[str, Any]:
        page, cursor = _page(sorted(self._channel(arguments).members), arguments, 100)
        return {"members": page, "response_metadata": {"next_cursor": cursor}}

    def _join(self, arguments: Arguments, _now: float) -> dict[str, Any]:
        channel = self._channel(arguments)
        self._need("channels:join")
        if channel.kind != "channel":
            raise SlackError("method_not_supported_for_channel_type")
        channel.members.add(self._world.app.user_id)
        self._world.changed()
        return {"channel": channel_json(self._world, channel)}

    def _history(self, arguments: Arguments, _now: float) -> dict[str, Any]:
        channel = self._readable(arguments)
        messages = [
            message
            for message in self._world.messages[channel.id]
            if not message.ephemeral_to and (not message.is_reply or message.broadcast)
        ]
        return self._slice(arguments, list(reversed(_between(messages, arguments))))

    def _replies(self, arguments: Arguments, _now: float) -> dict[str, Any]:
        channel = self._readable(arguments)
        ts = arguments.text("ts")
        parent = self._world.find(channel.id, ts)
        if parent is None or parent.ephemeral_to:
            raise SlackError("thread_not_found")
        thread = self._world.replies(channel.id, parent.thread_ts or parent.ts)
        replies = [reply for reply in thread if not reply.ephemeral_to]
        first = parent if not parent.is_reply else self._world.find(channel.id, parent.thread_ts)
        return self._slice(arguments, [*([first] if first else []), *_between(replies, arguments)])

    def _slice(self, arguments: Arguments, messages: list[Message]) -> dict[str, Any]:
        page, cursor = _page(messages, arguments, 100)
        metadata = arguments.flag("include_all_metadata")
        return {
            "messages": [message_json(self._world, message, metadata=metadata) for message in page],
            "has_more": bool(cursor),
            "response_metadata": {"next_cursor": cursor},
        }

    # --- users ---

    def _user_info(self, arguments: Arguments, now: float) -> dict[str, Any]:
        user = self._world.users.get(arguments.text("user"))
        if user is None:
            raise SlackError("user_not_found")
        return {"user": user_json(self._world, user, now)}

    def _user_list(self, arguments: Arguments, now: float) -> dict[str, Any]:
        users = [user_json(self._world, user, now) for user in self._world.users.values()]
        page, cursor = _page(users, arguments, 200)
        return {"members": page, "cache_ts": int(now), "response_metadata": {"next_cursor": cursor}}

    def _user_by_email(self, arguments: Arguments, now: float) -> dict[str, Any]:
        email = arguments.text("email").lower()
        user = next((user for user in self._world.users.values() if email and user.email.lower() == email), None)
        if user is None:
            raise SlackError("users_not_found")
        return {"user": user_json(self._world, user, now)}

    def _quiet_info(self, arguments: Arguments, now: float) -> dict[str, Any]:
        user = self._world.users.get(arguments.text("user"))
        if user is None:
            raise SlackError("user_not_found")
        return quiet_json(self._world.quiet.get(user.id), user.timezone, now)

    # --- user groups ---

    def _group_list(self, arguments: Arguments, _now: float) -> dict[str, Any]:
        users = arguments.flag("include_users")
        return {"usergroups": [group_json(self._world, one, users=users) for one in self._world.groups.values()]}

    def _group_users(self, arguments: Arguments, _now: float) -> dict[str, Any]:
        return {"users": list(self._group(arguments).users)}

    def _group_update(self, arguments: Arguments, _now: float) -> dict[str, Any]:
        """Replaces all members; as at Slack there is no group without any."""
        group = self._group(arguments)
        users = [user for user in arguments.text("users").split(",") if user]
        if not users:
            raise SlackError("no_users_provided")
        if any(user not in self._world.users or self._world.users[user].is_bot for user in users):
            raise SlackError("invalid_users")
        group.users = list(dict.fromkeys(users))
        self._world.changed()
        return {"usergroup": group_json(self._world, group, users=True)}

    def _group(self, arguments: Arguments) -> UserGroup:
        group = self._world.groups.get(arguments.text("usergroup"))
        if group is None:
            raise SlackError("no_such_subteam")
        return group

    # --- files: an address to upload to, the upload itself (workspace.py), and the end of it ---

    def _file_url(self, arguments: Arguments, _now: float) -> dict[str, Any]:
        name, size = arguments.text("filename"), arguments.number("length", 0)
        if not name or size <= 0:
            raise SlackError("invalid_arguments")
        if size > MAX_FILE_BYTES:
            raise SlackError("file_upload_size_restricted")
        file = self._world.new_file(name, size)
        return {"upload_url": self._upload_url(file.id), "file_id": file.id}

    def _file_complete(self, arguments: Arguments, now: float) -> dict[str, Any]:
        wanted = arguments.value("files", "invalid_arguments")
        if not isinstance(wanted, list) or not wanted or not all(isinstance(one, Mapping) for one in wanted):
            raise SlackError("invalid_arguments")
        files = [self._uploaded(str(one.get("id"))) for one in wanted]
        channel = self._file_channel(arguments) if arguments.text("channel_id") else None
        thread_ts = arguments.text("thread_ts")
        if channel is not None and thread_ts:
            thread_ts = self._thread(channel, thread_ts)
        for file, one in zip(files, wanted, strict=True):
            file.title, file.complete = str(one.get("title") or file.name), True
        if channel is not None:
            for file in files:
                file.shared.add(channel.id)
            comment = arguments.text("initial_comment")
            message = self._own_message(channel, now, comment, [], thread_ts=thread_ts)
            message.files = tuple(file.id for file in files)
            self._world.post(message)
        return {"files": [file_json(self._world, file) for file in files]}

    def _uploaded(self, file_id: str) -> File:
        file = self._world.files.get(file_id)
        if file is None or file.content is None:
            raise SlackError("file_not_found")
        return file

    def _file_channel(self, arguments: Arguments) -> Channel:
        """`chat:write.public` does not help here: the app has to be in the channel."""
        channel = self._world.channels.get(arguments.text("channel_id"))
        if channel is None:
            raise SlackError("channel_not_found")
        if self._world.app.user_id not in channel.members:
            raise SlackError("not_in_channel")
        return channel

    def _file_info(self, arguments: Arguments, _now: float) -> dict[str, Any]:
        return {"file": file_json(self._world, self._uploaded(arguments.text("file")))}

    # --- views ---

    def _view(self, arguments: Arguments) -> dict[str, Any]:
        view = arguments.value("view", "invalid_arguments")
        found = blockkit.view_problems(view)
        if not found:
            found = self._unknown_files(view["blocks"], "/view/blocks")
        if found:
            messages = [f"[ERROR] {one}" for one in found]
            raise SlackError("invalid_arguments", response_metadata={"messages": messages})
        return dict(view)

    def _modal(self, arguments: Arguments) -> dict[str, Any]:
        body = self._view(arguments)
        external = body.get("external_id")
        if body["type"] != "modal":
            raise SlackError("invalid_arguments")
        if external and any(view.body.get("external_id") == external for view in self._world.views.values()):
            raise SlackError("duplicate_external_id")
        return body

    def _view_publish(self, arguments: Arguments, _now: float) -> dict[str, Any]:
        body, user = self._view(arguments), arguments.text("user_id")
        if not self._world.app.has_home:
            raise SlackError("not_enabled")
        if body["type"] != "home" or user not in self._world.users:
            raise SlackError("invalid_arguments")
        shown = self._world.homes.get(user)
        if shown is not None and arguments.text("hash") not in {"", shown.hash}:
            raise SlackError("hash_conflict")
        return {"view": view_json(self._world, self._world.publish_home(user, body))}

    def _view_open(self, arguments: Arguments, now: float) -> dict[str, Any]:
        body = self._modal(arguments)
        user = self._interactions.exchange_trigger(arguments.text("trigger_id"), now)
        return {"view": view_json(self._world, self._world.open_view(user, body, push=False))}

    def _view_push(self, arguments: Arguments, now: float) -> dict[str, Any]:
        body = self._modal(arguments)
        user = self._interactions.exchange_trigger(arguments.text("trigger_id"), now)
        if len(self._world.stacks.get(user, [])) >= MAX_MODALS:
            raise SlackError("push_limit_reached")
        return {"view": view_json(self._world, self._world.open_view(user, body, push=True))}

    def _view_update(self, arguments: Arguments, _now: float) -> dict[str, Any]:
        body = self._view(arguments)
        view = self._find_view(arguments)
        if arguments.text("hash") not in {"", view.hash}:
            raise SlackError("hash_conflict")
        return {"view": view_json(self._world, self._world.update_view(view, body))}

    def _find_view(self, arguments: Arguments) -> View:
        view_id, external = arguments.text("view_id"), arguments.text("external_id")
        for view in self._world.views.values():
            if view.id == view_id or (external and view.body.get("external_id") == external):
                return view
        raise SlackError("not_found")


def _between(messages: list[Message], arguments: Arguments) -> list[Message]:
    oldest, latest = arguments.text("oldest"), arguments.text("latest")
    inclusive = arguments.flag("inclusive")

    def inside(message: Message) -> bool:
        ts = float(message.ts)
        after = not oldest or ts > float(oldest) or (inclusive and ts == float(oldest))
        before = not latest or ts < float(latest) or (inclusive and ts == float(latest))
        return after and before

    try:
        return [message for message in messages if inside(message)]
    except ValueError:
        raise SlackError("invalid_ts_latest" if latest else "invalid_ts_oldest") from None


def _page(items: list[T], arguments: Arguments, default: int) -> tuple[list[T], str]:
    limit = arguments.number("limit", default)
    if not 1 <= limit <= 1000:
        raise SlackError("invalid_limit")
    cursor = arguments.text("cursor")
    try:
        start = int(base64.b64decode(cursor).decode().removeprefix("next:")) if cursor else 0
    except ValueError:
        raise SlackError("invalid_cursor") from None
    more = start + limit < len(items)
    return items[start : start + limit], base64.b64encode(f"next:{start + limit}".encode()).decode() if more else ""
