"""Which requests may be made at all: those that the configuration declares, and nothing that could be read as another.

A path is compared part by part, as text. So whatever a server might take for something else than what is compared is
refused: `..`, empty parts, an encoded slash, a query. A body is small enough to be shown whole before anybody agrees.
"""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns, never a user's
from collections.abc import Mapping
from urllib.parse import unquote

from bot.complaints import did_you_mean
from bot.runbooks.rendered import RenderedCall
from bot.settings import ActionWebhook

MOST = 2000  # characters of a body
_ROOM = 8000  # what they may take once they are escaped: a message has room for no more
_LONGEST_PATH = 500
_MISSING = "⟨missing"
_PART = re.compile(r"(?:[A-Za-z0-9._~:@!$&'()+,;=*-]|%[0-9A-Fa-f]{2})+")
_BRACES = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")


def problem_of(call: RenderedCall, webhooks: Mapping[str, ActionWebhook]) -> str:
    """Why this very request must not be made; empty when it may."""
    if _MISSING in call.path or _MISSING in call.body:
        text = call.path if _MISSING in call.path else call.body
        missing = text[text.index("⟨") : (text.index("⟩") if "⟩" in text else len(text) - 1) + 1]
        return f"the request cannot be made, for a value is not there: {missing}"
    if why := _unsafe(call.path):
        return f"the path {shown(call.path)} is refused: {why}"
    if len(call.body) > MOST:
        return f"the body has {len(call.body)} characters; more than {MOST} cannot be shown whole, so it is not sent"
    if sum(_room(one) for one in call.body) > _ROOM:
        return "the body has so many special characters that it cannot be shown whole, so it is not sent"
    return undeclared(call.webhook, call.method, call.path, webhooks)[0]


def undeclared(webhook: str, method: str, path: str, webhooks: Mapping[str, ActionWebhook]) -> tuple[str, str]:
    """What is wrong with a request to this webhook, and a hint; both empty when it is declared. In `path` templates may
    stand: one fills one part."""
    if webhook not in webhooks:
        hint = did_you_mean(webhook, webhooks) or "name it under actions.webhooks in agentpager.yaml"
        return f'there is no webhook "{webhook}" under actions.webhooks', hint
    allow = webhooks[webhook].allow
    fitting = [entry for entry in allow if fits(path, entry.path)]
    if not fitting:
        named = ", ".join(entry.path for entry in allow[:5])
        return f"{webhook} does not allow the path {shown(path)}", f"it allows {named}"
    if not any(method in entry.methods for entry in fitting):
        methods = ", ".join(dict.fromkeys(one for entry in fitting for one in entry.methods))
        return f"{webhook} does not allow {method} {shown(path)}", f"it allows {methods} there"
    return "", ""


def fits(path: str, pattern: str) -> bool:
    """Part by part; `*` is any one part that is not empty, also one that a template fills. What a template is a part of
    fits nothing but `*`."""
    parts, wanted = _BRACES.sub("{}", path).split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(
        bool(part) if want == "*" else part == want for part, want in zip(parts, wanted, strict=True)
    )


def _room(one: str) -> int:
    if not one.isprintable():
        return 14
    return 7 if one in "&<>`" else 2 if one in '"\\' else 1


def shown(path: str) -> str:
    return f'"{path if len(path) <= 120 else path[:119] + "…"}"'


def _unsafe(path: str) -> str:
    if len(path) > _LONGEST_PATH:
        return f"it has more than {_LONGEST_PATH} characters"
    if not path.startswith("/"):
        return "it does not begin with a slash"
    for part in path[1:].split("/"):
        if not part:
            return "a part of it is empty"
        if not _PART.fullmatch(part):
            return "only letters, digits and a few signs may stand in it; others are written as %XX"
        plain = unquote(part)
        if plain in {".", ".."} or any(one in "/\\?#%" or ord(one) < 32 or ord(one) == 127 for one in plain):
            return f"{shown(part)} could be read as another path"
    return ""
