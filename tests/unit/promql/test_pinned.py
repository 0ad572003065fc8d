"""Answers taken from a wider evaluation are the answers of the narrow one."""

from __future__ import annotations

import random

import numpy as np
import pytest

from bot.errors import QueryError
from bot.promql.engine import Engine
from bot.promql.parse import parse
from bot.promql.pinned import widened
from bot.promql.store import SeriesStore

AGENTS = 8


def filled() -> SeriesStore:
    chance = random.Random(3)
    store = SeriesStore(3600)
    for agent in range(AGENTS):
        rows = [{"__name__": "runs", "agent": f"a{agent}", "code": code} for code in ("ok", "bad", "late")]
        rows += [{"__name__": "took_bucket", "agent": f"a{agent}", "le": le} for le in ("1", "2", "+Inf")]
        rows += [{"__name__": "load", "agent": f"a{agent}"}, {"__name__": "cap", "agent": f"a{agent}", "zone": "z"}]
        rows += [{"__name__": "twice", "agent": "a1", "n": str(n)} for n in range(2) if agent == 1]
        ids = np.array([store.intern(row) for row in rows])
        values = np.zeros(len(rows))
        for step in range(40):
            values += [chance.randrange(3) for _ in rows]
            there = np.array([chance.random() > 0.1 for _ in rows])
            store.append(f"t{agent}", step * 15 + agent, ids[there], values[there])
    return store


SAME = [
    "load{PIN}",
    "load{PIN} > 40",
    "rate(runs{PIN}[5m])",
    "sum by (agent) (rate(runs{PIN}[5m])) * 100 > bool 3",
    'sum by (agent) (rate(runs{PIN,code="bad"}[5m])) / sum by (agent) (rate(runs{PIN}[5m]))',
    "histogram_quantile(0.9, sum by (agent, le) (rate(took_bucket{PIN}[5m])))",
    "runs{PIN} / on (agent) group_left cap{PIN}",
    "load{PIN} and on (agent) (runs{PIN} > 30)",
    "load{PIN} > 40 or cap{PIN}",
    "load{PIN} unless on (agent) cap{PIN} > 40",
    "-clamp_max(load{PIN}, 30)",
    "max without (code) (runs{PIN})",
    "quantile by (agent) (0.5, runs{PIN})",
    'count_values by (agent) ("v", runs{PIN})',
    'label_replace(load{PIN}, "x", "$1", "agent", "(.*)")',
    "max_over_time(sum by (agent) (runs{PIN})[5m:1m])",
    "time() - timestamp(load{PIN})",
    "load{PIN} offset 2m + 0 * load{PIN}",
    "load{PIN} * on (agent) group_left () sum by (agent) (runs{PIN})",
    "runs{PIN} * ignoring (code, zone) group_left (zone) cap{PIN}",
    "load{PIN} + scalar(cap{PIN})",
]
ALONE = [
    "sum(runs{PIN})",
    "absent(gone{PIN})",
    "scalar(load{PIN})",
    "topk by (agent) (1, runs{PIN})",
    "runs{PIN} and on (code) runs",
    "load{PIN} + on () cap{PIN}",
    "load{PIN} > ignoring (agent, zone) cap{PIN}",
    "sum without (agent) (runs{PIN})",
    'label_replace(load{PIN}, "agent", "x", "", "")',
    'label_join(load{PIN}, "agent", "-", "agent", "agent")',
    'count_values by (agent) ("agent", load{PIN})',
    "load{PIN} - on (zone) cap",
    "vector(1)",
    "sort(load{PIN})",
]


def answers(engine, text):
    try:
        return sorted((sorted(labels.items()), str(value)) for labels, value in engine.instant(parse(text), 600))
    except QueryError as error:
        return str(error)
    except TypeError:
        return str(engine.instant(parse(text), 600))


@pytest.mark.parametrize("template", [*SAME, *ALONE, "load{PIN} + on (agent) twice{PIN}"])
def test_shared_answers_are_the_same(template):
    engine = Engine(filled())
    texts = [template.replace("PIN", f'agent="a{agent}"') for agent in range(AGENTS)]
    alone = [answers(engine, text) for text in texts]
    for _ in range(2):
        with engine.round(600):
            assert [answers(engine, text) for text in texts] == alone
    assert any(alone) or "unless" in template


@pytest.mark.parametrize("template", SAME[:-1])
def test_these_are_shared(template):
    wide = widened(parse(template.replace("PIN", 'agent="a1"')).node)
    plain = template.replace("{PIN}", "").replace("PIN,", "")
    assert parse(plain).canonical in {one.node.key for one in wide}


@pytest.mark.parametrize("template", ALONE)
def test_these_are_not(template):
    wide = widened(parse(template.replace("PIN", 'agent="a1"')).node)
    assert not [one for one in wide if one.label == "agent" and one.node.key != "vector(1.0)"]


def test_one_agents_fault_is_not_the_others():
    """`twice` has two series for a1 only: a1's expression fails, and only that."""
    engine = Engine(filled())
    texts = [f'load{{agent="a{n}"}} + on (agent) twice{{agent="a{n}"}}' for n in range(AGENTS)]
    for _ in range(2):
        with engine.round(600):
            found = [answers(engine, text) for text in texts]
    assert "many-to-many matching not allowed" in found[1]
    assert found[0] == []


def test_what_is_expected_is_shared_from_the_first_round_on():
    engine = Engine(filled())
    exprs = [parse(f'rate(runs{{agent="a{agent}"}}[5m]) > 1') for agent in range(AGENTS)]
    lonely = parse('load{agent="a1"} + 1')
    wide, alone = widened(exprs[0].node)[0], widened(lonely.node)[0]
    assert not engine.worth_it(wide)
    engine.expect([*exprs, lonely])
    assert engine.worth_it(wide)
    assert not engine.worth_it(alone)
