"""Slack's JSON of users, channels, messages, files and views, as docs.slack.dev shows them.

Pure: state in, JSON out.
"""

from __future__ import annotations

import mimetypes
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bot.demo.state import Channel, File, Message, Quiet, User, UserGroup, View, World


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
        "is_restricted": bool(user.guest),
        "is_ultra_restricted": user.guest == "ultra_restricted",
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
    if message.files:
        out["files"] = [file_json(world, world.files[file]) for file in message.files if file in world.files]
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


def file_json(world: World, file: File) -> dict[str, Any]:
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    address = f"https://files.slack.com/files-pri/{world.scene.team_id}-{file.id}/{file.name}"
    return {
        "id": file.id,
        "name": file.name,
        "title": file.title or file.name,
        "mimetype": kind,
        "filetype": file.name.rpartition(".")[2],
        "user": world.app.user_id,
        "mode": "hosted",
        "size": file.size,
        "url_private": address,
        "permalink": f"https://{world.scene.domain}.slack.com/files/{world.app.user_id}/{file.id}/{file.name}",
    }


def group_json(world: World, group: UserGroup, *, users: bool) -> dict[str, Any]:
    return {
        "id": group.id,
        "team_id": world.scene.team_id,
        "is_usergroup": True,
        "name": group.name,
        "handle": group.handle,
        "date_delete": 0,
        "user_count": len(group.users),
        **({"users": list(group.users)} if users else {}),
    }


def quiet_json(quiet: Quiet | None, timezone: str, now: float) -> dict[str, Any]:
    """The pause that is on, or the next one; Slack gives 1 for both instants where there is none."""
    if quiet is None:
        return {"dnd_enabled": False, "next_dnd_start_ts": 1, "next_dnd_end_ts": 1, "snooze_enabled": False}
    zone = ZoneInfo(timezone)
    today = datetime.fromtimestamp(now, UTC).astimezone(zone).date()
    begins, ends = time.fromisoformat(quiet.begins), time.fromisoformat(quiet.ends)
    for day in (today - timedelta(days=1), today, today + timedelta(days=1)):
        start = datetime.combine(day, begins, zone).timestamp()
        last = day if ends > begins else day + timedelta(days=1)
        end = datetime.combine(last, ends, zone).timestamp()
        if end > now:
            break
    return {
        "dnd_enabled": True,
        "next_dnd_start_ts": int(start),
        "next_dnd_end_ts": int(end),
        "snooze_enabled": False,
    }
