"""The people, channels and app of the demo's workspace. The on-call files of the demo name the same people.

The app is installed from its own manifest: what is not asked for there fails here, as it would at Slack.
"""

from __future__ import annotations

import secrets

from bot.demo.manifest import read
from bot.demo.state import App, Channel, Quiet, Scene, User, UserGroup
from bot.slack.manifest import manifest

BOT_USER = "U0AGENTPAGER"

PEOPLE = (
    User("U0ANARUIZ", "ana", "Ana Ruiz", "ana@example.com", "Europe/Madrid", "Payments engineer"),
    User("U0BENCOLE", "ben", "Ben Cole", "ben@example.com", "America/New_York", "Payments lead"),
    User("U0CHLOE", "chloe", "Chloe Martin", "chloe@example.com", "Europe/Paris", "Support engineer"),
    User("U0DEVPATEL", "dev", "Dev Patel", "dev@example.com", "Asia/Kolkata", "Risk engineer"),
    User("U0EMIWEST", "emi", "Emi West", "emi@example.com", "Europe/London", "Head of operations"),
)

GROUPS = (UserGroup("S0PAYMENTS", "payments-oncall", "Payments: on call now", ["U0EMIWEST"]),)
QUIET = (("U0DEVPATEL", Quiet()),)

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
    asked = read(manifest())
    app = App(
        id="A0AGENTPAGER",
        name="agentpager",
        user_id=BOT_USER,
        bot_id="B0AGENTPAGER",
        bot_token=f"xoxb-demo-{secrets.token_hex(12)}",
        app_token=f"xapp-1-A0AGENTPAGER-{secrets.token_hex(12)}",
        signing_secret=secrets.token_hex(16),
        scopes=asked.scopes,
        commands=asked.commands,
        events=asked.events,
        takes_direct_messages=asked.takes_direct_messages,
        has_home=asked.has_home,
        shortcuts=asked.shortcuts,
    )
    bot = User(BOT_USER, "agentpager", "agentpager", is_bot=True)
    groups = tuple(UserGroup(group.id, group.handle, group.name, list(group.users)) for group in GROUPS)
    return Scene("T0DEMO", "Northwind (demo)", "northwind-demo", (*PEOPLE, bot), channels, app, groups, QUIET)
