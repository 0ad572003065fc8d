"""The people, channels and app of the demo's workspace. The on-call files of the demo name the same people."""

from __future__ import annotations

import secrets

from bot.demo.state import App, Channel, Scene, User

BOT_USER = "U0AGENTPAGER"

PEOPLE = (
    User("U0ANARUIZ", "ana", "Ana Ruiz", "ana@example.com", "Europe/Madrid", "Payments engineer"),
    User("U0BENCOLE", "ben", "Ben Cole", "ben@example.com", "America/New_York", "Payments lead"),
    User("U0CHLOE", "chloe", "Chloe Martin", "chloe@example.com", "Europe/Paris", "Support engineer"),
    User("U0DEVPATEL", "dev", "Dev Patel", "dev@example.com", "Asia/Kolkata", "Risk engineer"),
    User("U0EMIWEST", "emi", "Emi West", "emi@example.com", "Europe/London", "Head of operations"),
)

# What the app's manifest asks for, and nothing more: a call outside it fails here as it would at Slack.
SCOPES = (
    "app_mentions:read",
    "channels:history",
    "chat:write",
    "chat:write.public",
    "commands",
    "groups:history",
    "im:history",
    "im:write",
    "users:read",
    "users:read.email",
)

TOPICS = {
    "agent-pages": "Every page of every agent",
    "general": "Try /agent here",
}


def scene() -> Scene:
    """A fresh workspace with its own tokens."""
    everyone = {person.id for person in PEOPLE}
    channels = tuple(
        Channel(f"C{name.replace('-', '').upper()}", name, "channel", everyone | {BOT_USER}, topic=topic)
        for name, topic in TOPICS.items()
    )
    app = App(
        id="A0AGENTPAGER",
        name="agentpager",
        user_id=BOT_USER,
        bot_id="B0AGENTPAGER",
        bot_token=f"xoxb-demo-{secrets.token_hex(12)}",
        app_token=f"xapp-1-A0AGENTPAGER-{secrets.token_hex(12)}",
        signing_secret=secrets.token_hex(16),
        scopes=SCOPES,
        commands=("/agent",),
        events=("app_mention", "message.im"),
    )
    bot = User(BOT_USER, "agentpager", "agentpager", is_bot=True)
    return Scene("T0DEMO", "Northwind (demo)", "northwind-demo", (*PEOPLE, bot), channels, app)
