"""Who may do something, decided in one place for buttons, commands and mentions alike.

Bolt checks neither workspace nor person: in a shared channel it runs a handler for a user of another company. Guests of
our own workspace are outsiders too, whatever the on-call files say. Bots get no answer: it would be one to answer to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from bot.errors import AgentpagerError
from bot.oncall.model import Book
from bot.oncall.reachability import Account
from bot.ports import Actor


@dataclass(frozen=True)
class Home:
    """The workspace that the bot token belongs to, as auth.test names it."""

    team: str
    team_name: str
    bot_user: str
    bot: str
    enterprise: str = ""
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Caller:
    user: str
    team: str
    is_bot: bool = False


class NotAllowedError(AgentpagerError):
    """Nothing is done. The message is for the one who asked; an empty one means no answer at all."""


def authorize(
    body: dict[str, Any], home: Home | None, book: Book, known: Callable[[str], Account | None] = lambda _: None
) -> Actor:
    """The person behind a click, command or mention, or NotAllowedError. `known` is what Slack has said of accounts."""
    caller = caller_of(body)
    if home is None:
        raise NotAllowedError("agentpager is still starting, so nothing was done. Try again in a moment.")
    if caller.is_bot or not caller.user or caller.user == home.bot_user:
        raise NotAllowedError("")
    if caller.team != home.team:
        raise NotAllowedError(
            f"agentpager serves the workspace {home.team_name or home.team} only, so nothing was done."
        )
    for person in book.people.values():
        if person.slack == caller.user:
            if why := _why_not(known(caller.user)):
                raise NotAllowedError(
                    f"{why}, so nothing was done. Somebody of your team can do it, or an admin can "
                    f"make you a member of {home.team_name or home.team}."
                )
            return Actor(f"person:{person.id}", person.name, "slack", person)
    raise NotAllowedError(
        f"agentpager does not know you yet, so nothing was done. Ask for an entry under “people” in its "
        f"oncall files with slack: {caller.user}"
    )


def _why_not(account: Account | None) -> str:
    """Of an account that the on-call files name all the same. Its workspace has been judged by what came with the
    click, which is Slack's word too, and fresher."""
    if account is None:
        return ""
    if not account.human:
        return "agentpager takes nothing from bots"
    return "agentpager takes nothing from guests" if account.guest else ""


def caller_of(body: dict[str, Any]) -> Caller:
    """Button: `user` and `team` are objects; command: flat keys; event: inside `event`."""
    event = body.get("event")
    if isinstance(event, dict):
        team = event.get("user_team") or event.get("source_team") or event.get("team") or body.get("team_id") or ""
        is_bot = bool(event.get("bot_id") or event.get("bot_profile"))
        return Caller(str(event.get("user") or ""), str(team), is_bot)
    user = body.get("user")
    if isinstance(user, dict):
        team = user.get("team_id") or (body.get("team") or {}).get("id") or ""
        return Caller(str(user.get("id") or ""), str(team), bool(user.get("is_bot")))
    return Caller(str(body.get("user_id") or ""), str(body.get("team_id") or ""))


def moment_of(body: dict[str, Any], action: dict[str, Any]) -> str:
    """What tells one click from the next one on the same button, and is the same when Slack delivers a click again. A
    click that carries nothing of the kind is one of its own."""
    return str(action.get("action_ts") or body.get("trigger_id") or uuid4())
