"""By which token of the API somebody acts in the request that is being worked on.

The one thing that travels beside the arguments: every row of the audit that tells of this actor has to name the token,
whichever code writes it.
"""

from __future__ import annotations

from contextvars import ContextVar

from bot.audit.model import Entry

_current: ContextVar[tuple[str, str]] = ContextVar("through", default=("", ""))


def begin(token: str, actor: str) -> None:
    """From here to the end of the request's task."""
    _current.set((token, actor))


def told(entry: Entry) -> Entry:
    """With the token's name in its detail, where it is this actor's row."""
    token, actor = _current.get()
    if not token or entry.actor != actor:
        return entry
    return entry.model_copy(update={"detail": {**entry.detail, "token": token}})
