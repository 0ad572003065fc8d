"""What our code asks of Slack: each method it calls, the scopes that method needs, and what is lost without a scope.

The manifest and the doctor are made from these tables; tests hold them against the code.
"""

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
    "dnd.info": ("dnd:read",),
    "files.completeUploadExternal": ("files:write",),
    "files.getUploadURLExternal": ("files:write",),
    "usergroups.users.list": ("usergroups:read",),
    "usergroups.users.update": ("usergroups:write",),
    "users.info": ("users:read", "users:read.email"),
    "views.open": (),
    "views.publish": (),
    "views.push": (),
    "views.update": (),
}
COMMAND = "/agent"
# Event → the scope that Slack wants for it; none for the App Home.
EVENTS = {"app_mention": "app_mentions:read", "message.im": "im:history", "app_home_opened": ""}
# Callback id of a shortcut in a message's menu → its name there and what it does. They come with `commands`.
SHORTCUTS: dict[str, tuple[str, str]] = {
    "message.ack": ("Acknowledge incident", "Take the incident that this message is about."),
    "message.note": ("Add note to incident", "Write something down about the incident of this message."),
}

# Scope → what it is for, as the manifest and the doctor say it.
REQUIRED = {
    "commands": f"the {COMMAND} command",
    "chat:write": "posting pages and editing them",
    "chat:write.public": "posting to public channels without being invited first",
    "im:write": "finding the direct message of a person, where a page is looked for that got no answer",
    "app_mentions:read": "hearing @agentpager in threads",
    "users:read": "checking that the people of your oncall files exist and are active, and are no guests",
    "users:read.email": "checking that each of them has the e-mail address you wrote down",
}
# History is read only after a send whose outcome is unknown (no answer, a crash), to see whether the page landed.
# `im:history` goes together with `message.im`.
OPTIONAL = {
    "channels:history": "confirming unknown sends to public channels",
    "groups:history": "confirming unknown sends to private channels",
    "im:history": "reading what people answer to a page, and confirming unknown sends of direct messages",
    "files:write": "pictures of what an alert saw, in its thread",
    "dnd:read": "warning people before a shift in which Slack is told to be quiet",
    "usergroups:read": "looking who is in a user group that follows a schedule",
    "usergroups:write": "keeping such a user group in step",
}
_TWICE = "a page whose outcome is unknown may show twice"
_WITHOUT = {
    "channels:history": _TWICE,
    "groups:history": _TWICE,
    "im:history": f"{_TWICE}, and words in direct messages are not heard",
    "files:write": "pages are the same, without the picture",
    "dnd:read": "nobody is told that their notifications pause",
    "usergroups:read": "user groups stay as they are",
    "usergroups:write": "user groups stay as they are",
}
APP_SCOPE = "connections:write"


def lost_without(scope: str) -> str:
    if scope in OPTIONAL:
        return f"no {OPTIONAL[scope]}: {_WITHOUT[scope]}"
    return f"no {REQUIRED[scope]}"
