from __future__ import annotations

import pytest

from bot.rules.evaluate import GroupState
from tests.rulekit import Answers, Written, make_group


@pytest.fixture
def answers():
    return Answers()


@pytest.fixture
def written():
    return Written()


@pytest.fixture
def group_of(answers, written):
    return lambda *rules, **keys: GroupState(make_group(*rules, **keys), answers, written)
