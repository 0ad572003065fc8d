"""Makes the helpers in this folder importable by every test, and keeps clocks out of hypothesis' verdicts."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("agentpager", deadline=None)
settings.load_profile("agentpager")


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server for everybody who needs one."""
    from postgres_server import running  # noqa: PLC0415 - a driver that most tests do without

    with running(tcp=True) as server:
        yield server
