"""What our code asks of Slack: each method it calls, the scopes that method needs, and what is lost without a scope."""

from __future__ import annotations

# Web API method → scopes of the bot token, all of which it may need. A test finds every call of our code in here.
METHODS: dict[str, tuple[str, ...]] = {
    "auth.test": (),
    "apps.connections.open": (),  # application token with connections:write
    "chat.postMessage": ("chat:write", "chat:write.public"),
    "chat.update": ("chat:write",),
    "chat.postEphemeral": ("chat:write",),
    "chat.scheduleMessage": ("chat:write",),
    "chat.deleteScheduledMessage": ("chat:write",),
    "conversations.open": ("im:write",),
    "conversations.history": ("channels:history", "groups:history", "im:history"),
    "conversations.replies": ("channels:history", "groups:history", "im:history"),
    "users.info": ("users:read", "users:read.email"),
    "views.open": (),
    "views.update": (),
}
COMMAND = "/agent"
EVENTS = {"app_mention": "app_mentions:read", "message.im": "im:history"}

# Scope → what it is for, as the manifest and the doctor say it.
REQUIRED = {
    "commands": f"the {COMMAND} command",
    "chat:write": "posting pages and editing them",
    "chat:write.public": "posting to public channels without being invited first",
    "im:write": "finding the direct message of a person, where a page is looked for that got no answer",
    "app_mentions:read": "hearing @agentpager in threads",
    "users:read": "checking that the people of your oncall files exist and are active",
    "users:read.email": "checking that each of them has the e-mail address you wrote down",
}
# History is read only after a send whose outcome is unknown (no answer, a crash), to see whether the page landed.
# Without these such a page is sent again, which may show it twice. `im:history` goes together with `message.im`.
OPTIONAL = {
    "channels:history": "confirming unknown sends to public channels",
    "groups:history": "confirming unknown sends to private channels",
    "im:history": "reading what people answer to a page, and confirming unknown sends of direct messages",
}
APP_SCOPE = "connections:write"


def lost_without(scope: str) -> str:
    if scope in OPTIONAL:
        return f"no {OPTIONAL[scope]}: a page whose outcome is unknown may show twice"
    return f"no {REQUIRED[scope]}"
