from __future__ import annotations

import pytest
from model.loop import ModelTime
from model.town import Town


@pytest.fixture
def town():
    time = ModelTime()
    time.install()
    town = Town(time)
    yield town
    town.close()
    time.remove()
