"""Slack's JSON of users, channels, messages and views, as docs.slack.dev shows them. Pure: state in, JSON out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from bot.demo.state import Channel, Message, User, View, World


def user_json(world: World, user: User, now: float) -> dict[str, Any]:
    offset = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(user.timezone)).utcoffset()
    return {
        "id": user.id,
        "team_id": world.scene.team_id,
        "name": user.name,
        "real_name": user.real_name,
        "deleted": False,
        "is_bot": user.is_bot,
        "is_app_user": False,
        "tz": user.timezone,
        "tz_label": user.timezone,
        "tz_offset": int(offset.total_seconds()) if offset is not None else 0,
        "profile": {
            "real_name": user.real_name,
            "display_name": user.real_name.partition(" ")[0],
            "title": user.title,
            **({"email": user.email} if user.email and "users:read.email" in world.app.scopes else {}),
            **({"bot_id": world.app.bot_id, "api_app_id": world.app.id} if user.is_bot else {}),
        },
    }


def channel_json(world: World, channel: Channel) -> dict[str, Any]:
    common = {"id": channel.id, "is_archived": False, "context_team_id": world.scene.team_id}
    if channel.kind == "im":
        return {**common, "is_im": True, "user": channel.user, "is_open": True}
    return {
        **common,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": channel.kind == "channel",
        "is_group": channel.kind == "private",
        "is_private": channel.kind == "private",
        "is_im": False,
        "is_mpim": False,
        "is_member": world.app.user_id in channel.members,
        "num_members": len(channel.members),
        "topic": {"value": channel.topic, "creator": "", "last_set": 0},
    }


def message_json(world: World, message: Message, *, metadata: bool = False) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "message", "user": message.user, "ts": message.ts, "text": message.text}
    if message.bot_id:
        out |= {"bot_id": message.bot_id, "app_id": message.app_id}
    if message.blocks:
        out["blocks"] = message.blocks
    if message.edited_ts:
        out["edited"] = {"user": message.user, "ts": message.edited_ts}
    if message.thread_ts:
        out["thread_ts"] = message.thread_ts
    if message.broadcast:
        out["subtype"] = "thread_broadcast"
    replies = [] if message.is_reply else world.replies(message.channel, message.ts)
    if replies:
        out |= {
            "thread_ts": message.ts,
            "reply_count": len(replies),
            "reply_users": list(dict.fromkeys(reply.user for reply in replies)),
            "latest_reply": replies[-1].ts,
        }
    if message.metadata is not None:
        out["metadata"] = message.metadata if metadata else {"event_type": message.metadata["event_type"]}
    return out


def view_json(world: World, view: View, values: dict[str, Any] | None = None) -> dict[str, Any]:
    body = view.body
    return {
        "id": view.id,
        "team_id": world.scene.team_id,
        "app_id": world.app.id,
        "bot_id": world.app.bot_id,
        "app_installed_team_id": world.scene.team_id,
        "type": body["type"],
        "title": body.get("title"),
        "close": body.get("close"),
        "submit": body.get("submit"),
        "blocks": body["blocks"],
        "private_metadata": body.get("private_metadata", ""),
        "callback_id": body.get("callback_id", ""),
        "external_id": body.get("external_id", ""),
        "state": {"values": values or {}},
        "hash": view.hash,
        "clear_on_close": body.get("clear_on_close", False),
        "notify_on_close": body.get("notify_on_close", False),
        "root_view_id": view.root_id,
        "previous_view_id": view.previous_id or None,
    }
