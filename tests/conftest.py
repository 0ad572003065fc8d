"""Makes the helpers in this folder importable by every test, and keeps clocks out of hypothesis' verdicts."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("agentpager", deadline=None)
settings.load_profile("agentpager")
