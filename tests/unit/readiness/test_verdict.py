"""What blocks, what a waiver puts off, in which order it is told, and what still stands while nobody can be asked."""

from __future__ import annotations

from datetime import date

import pytest
from readiness_world import agent_file, judged, live

from bot.agents.model import Stage
from bot.agents.readiness import Domain, Status
from bot.readiness.live import who_has

UNTRIED = (", tested_on: 2026-11-01", "")


def waived(until: str, domain: str = "kill_switch") -> dict[str, str]:
    waiver = f"    waivers: {{{domain}: {{reason: the platform team builds one, by: cat, until: {until}}}}}\n"
    text = agent_file(*UNTRIED)["agents/refund.yaml"]
    return {"agents/refund.yaml": text + waiver}


def row(found, domain: Domain):
    return next(one for one in found.domains if one.domain is domain)


def test_a_required_domain_that_is_not_started_blocks():
    found = judged(agent_file(*UNTRIED))
    assert (found.ready, found.blocking) == (False, (Domain.KILL_SWITCH,))
    assert found.domains[0].domain is Domain.KILL_SWITCH  # the worst first


def test_what_is_in_progress_does_not_block():
    found = judged(agent_file("2026-11-01", "2026-01-01"))
    assert found.ready
    assert found.domains[0].status is Status.IN_PROGRESS


@pytest.mark.parametrize(("stage", "ready"), [(Stage.PILOT, True), (Stage.CRAWL, False), (Stage.RUN, False)])
def test_it_is_judged_for_the_stage_that_was_asked_for(stage, ready):
    found = judged(agent_file(*UNTRIED), stage=stage)
    assert (found.stage, found.claimed_stage, found.ready) == (stage, Stage.RUN, ready)


def test_what_the_stage_does_not_ask_for_comes_last_however_bad_it_is():
    found = judged(agent_file(*UNTRIED), stage=Stage.PILOT)
    assert [one.domain for one in found.domains if one.required] == [Domain.PEOPLE]
    assert found.domains[0].domain is Domain.PEOPLE
    assert found.domains[1].domain is Domain.KILL_SWITCH


@pytest.mark.parametrize("until", ["2026-11-25", "2026-12-31"])
def test_a_waiver_lets_it_pass_and_is_told_with_its_day(until):
    found = judged(waived(until))
    assert found.ready
    one = row(found, Domain.KILL_SWITCH)
    assert one.status is Status.WAIVED
    assert one.evidence.startswith(
        f"accepted by cat until {until}: the platform team builds one. Without that: written"
    )
    assert one.waiver is not None
    assert one.waiver.until == date.fromisoformat(until)


def test_a_waiver_that_has_ended_counts_no_more_and_is_said():
    found = judged(waived("2026-11-24"))
    assert found.blocking == (Domain.KILL_SWITCH,)
    one = row(found, Domain.KILL_SWITCH)
    assert one.evidence.endswith("nobody has tried it. The waiver by cat ended on 2026-11-24 and counts no more")
    assert one.waiver is None


def test_a_waiver_of_what_is_done_changes_nothing():
    found = judged(waived("2026-12-31", "budget"))
    assert row(found, Domain.BUDGET).status is Status.DONE


def test_what_was_known_still_stands_while_nobody_can_be_asked():
    runs_bad = who_has("agent:runs_bad:rate5m")
    before = {Domain.ALERT_ERRORS: Status.DONE, Domain.KILL_SWITCH: Status.NOT_STARTED}
    unsaid = judged(asked=live({runs_bad: "timed out"}), before=before)
    assert row(unsaid, Domain.ALERT_ERRORS).status is Status.DONE
    assert row(unsaid, Domain.KILL_SWITCH).status is Status.DONE  # this one is known: it was tried meanwhile
    gone = judged(asked=live({runs_bad: []}), before=before)
    assert row(gone, Domain.ALERT_ERRORS).status is Status.NOT_STARTED


def test_the_json_has_the_keys_that_other_tools_rely_on():
    told = judged().model_dump(mode="json")
    assert {"agent", "stage", "ready", "domains"} <= set(told)
    assert {"domain", "status", "evidence"} <= set(told["domains"][0])
    assert told["domains"][0]["domain"] == "people"
    assert (told["stage"], told["ready"]) == ("run", True)
