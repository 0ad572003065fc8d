from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.incidents.matching import Index, compiled
from bot.labels import matches_all

SETS = [
    ('agent="a"',),
    ('agent="b"', 'env="prod"'),
    ('agent=~"a|b"',),
    ('env!="prod"',),
    ('agent=""',),
    ('agent=~"a.*"', 'env="prod"'),
    (),
]


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ({"agent": "a", "env": "prod"}, [0, 2, 5, 6]),
        ({"agent": "b", "env": "prod"}, [1, 2, 6]),
        ({"agent": "b"}, [2, 3, 6]),
        ({}, [3, 4, 6]),
    ],
)
def test_those_whose_matchers_all_hold_are_found_in_their_order(labels, found):
    assert Index(SETS).matching(labels) == found


@given(
    st.lists(st.lists(st.sampled_from([one for texts in SETS for one in texts]), max_size=3), max_size=8),
    st.dictionaries(st.sampled_from(["agent", "env"]), st.sampled_from(["a", "b", "prod", ""])),
)
def test_it_finds_what_asking_each_one_finds(sets, labels):
    index = Index([tuple(texts) for texts in sets])
    each = [number for number, texts in enumerate(sets) if matches_all(compiled(tuple(texts)), labels)]
    assert index.matching(labels) == each
    assert index.matching(labels) == each, "the same when asked again"
