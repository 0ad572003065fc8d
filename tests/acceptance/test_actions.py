"""Actions with whole processes: the bot, the reference control plane of examples/, a Slack, and all that can go wrong
between them. Whatever happens, the control plane does each thing once."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

from agent_control import Control, equip
from world import ANA, BEN, CHRIS, World


@asynccontextmanager
async def paged(directory, **settings):
    """Ana has been paged for an agent that can be acted on."""
    async with Control(directory) as control, World(directory) as world:
        equip(world, control, **settings)
        await world.start()
        world.agents["refund-agent"].values["agent_tool_errors"] = 38
        await world.until(lambda: world.pages_to(ANA), "page to Ana")
        await world.until(lambda: world.rows("SELECT 1 FROM renderings"), "the runbook")
        yield world, control


async def ask(world, step, person="ana", **more):
    status, text = await world.post("/api/pager/actions", {"incident": "INC-1", "step": step, "person": person, **more})
    return status, json.loads(text)


async def runs(world):
    return await world.get("/api/pager/actions?incident=INC-1")


async def until_last(world, state):
    async def there():
        found = await runs(world)
        return found[-1] if found and found[-1]["state"] == state else None

    return await world.until(there, f"the last action to be {state}")


def about_actions(world, user):
    return [m for m in world.slack.posted(user) if m["metadata"]["event_payload"]["kind"] == "approval"]


async def until_shown(world, user, words):
    """A message about an action to this person that says so."""
    return await world.until(
        lambda: next((m for m in about_actions(world, user) if words in m["text"]), None), f"{words} for {user}"
    )


async def history(world):
    """What the audit says of actions, in its order."""
    found = await world.get("/api/pager/incidents/INC-1/timeline")
    return [(row["who"], row["what"]) for row in found["timeline"] if row["what"].startswith("action.")]


async def test_a_person_looks_at_the_request_sends_it_sees_the_answer_and_takes_it_back(tmp_path):
    async with paged(tmp_path) as (world, control):
        (page,) = world.pages_to(ANA)
        await world.slack.click(ANA, "inc.ack", ANA, page["ts"])
        await world.until(lambda: "act.ask" in json.dumps(page["blocks"]), "the button of the step")
        await world.slack.click(ANA, "act.ask", ANA, page["ts"])
        view = await world.until(
            lambda: next((k for k, v in world.slack.views.items() if v.get("submit")), None), "the window"
        )
        shown = json.dumps(world.slack.views[view], ensure_ascii=False)
        assert "POST /agents/refund-agent/pause" in shown
        assert r"{\"reason\": \"INC-1\"}" in shown
        assert "yours is enough" in shown
        assert control.seen == [], "nothing is sent before somebody says so"

        answer = await world.slack.submit(ANA, view, {"reason": "customers wait"})
        assert (answer["acked"], answer["payload"]) == (True, {})
        done = await until_shown(world, ANA, "✅ DONE: Pause the agent")
        assert "customers wait" in json.dumps(done["blocks"])
        assert (await control.state())["paused"] is True
        (run,) = await runs(world)
        assert [key for key, _, _ in control.seen] == [run["id"]]
        await world.until(lambda: "1/4 done" in json.dumps(page["blocks"]), "the step is done for everybody")

        await world.slack.click(ANA, "act.undo", ANA, done["ts"])
        view = await world.until(
            lambda: next((k for k, v in world.slack.views.items() if v.get("submit")), None), "the window"
        )
        assert "POST /agents/refund-agent/resume" in json.dumps(world.slack.views[view])
        await world.slack.submit(ANA, view)
        await until_shown(world, ANA, "✅ DONE: Undo: Pause the agent")
        assert await control.changes() == ["paused: INC-1", "resumed"]
        assert await history(world) == [
            ("Ana Ruiz", "action.asked"),
            ("agentpager", "action.done"),
            ("Ana Ruiz", "action.asked"),
            ("agentpager", "action.done"),
        ]
        code, output = await world.cli("audit", "verify")
        assert code == 0, output


async def test_only_those_whom_the_runbook_names_may_agree_and_everybody_sees_what_became_of_it(tmp_path):
    async with paged(tmp_path) as (world, control):
        status, _ = await ask(world, "lower")
        assert status == 201
        question = await until_shown(world, BEN, "Ana Ruiz asks you to approve: Lower its autonomy")
        own = await until_shown(world, ANA, "Waits for approval")
        assert about_actions(world, CHRIS) == []

        (run,) = await runs(world)
        for stranger in ("chris", "ana"):  # Ana asked for it, and the runbook wants somebody else
            status, text = await world.post(f"/api/pager/actions/{run['id']}/approve", {"person": stranger})
            assert (status, "nothing was done" in text) == (404, True), text
        status, text = await world.post(f"/api/pager/actions/{run['id']}/approve", {"by": "root"})
        assert status == 404, text
        assert control.seen == []

        await world.slack.click(BEN, "act.approve", BEN, question["ts"])
        await until_shown(world, BEN, "✅ DONE: Lower its autonomy")
        await world.until(lambda: own["text"].startswith("✅ DONE"), "Ana's message shows it too")
        assert (await control.state())["autonomy"] == "suggest"
        assert "act.approve" not in json.dumps(question["blocks"])


async def test_a_stranger_who_clicks_is_told_and_changes_nothing(tmp_path):
    async with paged(tmp_path) as (world, control):
        await ask(world, "lower")
        question = await until_shown(world, BEN, "asks you to approve")
        await world.slack.click(CHRIS, "act.approve", BEN, question["ts"])
        await world.slack.click("U0NOBODY", "act.approve", BEN, question["ts"])
        told = await world.until(lambda: len(world.slack.responses) == 2 and world.slack.responses, "two answers")
        assert "role:lead" in told[0]["text"]
        assert "does not know you" in told[1]["text"]
        assert [run["state"] for run in await runs(world)] == ["asked"]
        assert control.seen == []


async def test_two_have_to_agree_and_one_no_is_enough(tmp_path):
    async with paged(tmp_path) as (world, control):
        await ask(world, "model")
        question = await until_shown(world, BEN, "asks you to approve")
        assert [run["state"] for run in await runs(world)] == ["asked"], "Ana's own word is one of two"
        await world.slack.click(BEN, "act.refuse", BEN, question["ts"])
        await until_shown(world, ANA, "🚫 REFUSED")
        assert control.seen == []

        await ask(world, "model")
        question = await world.until(lambda: about_actions(world, BEN)[1:], "the second question")
        await world.slack.click(BEN, "act.approve", BEN, question[0]["ts"])
        await until_last(world, "done")
        assert (await control.state())["model"] == "secondary"


async def test_a_question_that_nobody_answers_runs_out_and_agreeing_is_too_late(tmp_path):
    async with paged(tmp_path, ttl="2s") as (world, control):
        await ask(world, "lower")
        await until_last(world, "expired")
        question = await until_shown(world, BEN, "⌛ NOT SENT")
        assert "act.approve" not in json.dumps(question["blocks"])
        (run,) = await runs(world)
        status, text = await world.post(f"/api/pager/actions/{run['id']}/approve", {"person": "ben"})
        assert (status, "too late" in text) == (409, True), text
        assert control.seen == []


async def test_killed_while_sending_the_request_goes_out_again_with_its_key_and_is_carried_out_once(tmp_path):
    async with paged(tmp_path) as (world, control):
        control.faults = ["held"]
        await ask(world, "pause")
        await world.until(lambda: control.seen, "the request is on its way")
        await world.until(lambda: world.rows("SELECT 1 FROM action_runs WHERE state = 'sending'"), "the row says so")
        await world.kill()
        await world.start()
        run = await until_last(world, "done")
        control.release.set()
        assert control.keys == [run["id"], run["id"]]
        assert await control.changes() == ["paused: INC-1"], "the repeat was answered, not carried out"
        assert run["attempt"] == 2


async def test_killed_before_the_request_left_it_leaves_after_the_start(tmp_path):
    async with paged(tmp_path) as (world, control):
        await ask(world, "lower")
        question = await until_shown(world, BEN, "asks you to approve")
        await world.kill()
        await world.start()
        await world.slack.click(BEN, "act.approve", BEN, question["ts"])
        await until_last(world, "done")
        assert await control.changes() == ["autonomy lowered to suggest"]


async def test_no_answer_lost_answer_429_and_500_are_tried_again_with_the_same_key(tmp_path):
    async with paged(tmp_path) as (world, control):
        control.faults = ["lost", 500, 429, "silent"]
        await ask(world, "revoke")
        run = await until_last(world, "done")
        assert control.keys == [run["id"]] * 5
        assert await control.changes() == ["credential crm revoked"]
        assert run["attempt"] == 5
        assert [what for _, what in await history(world)] == [
            "action.asked", *["action.delayed"] * 4, "action.done"
        ]  # fmt: skip


async def test_refused_for_good_is_told_at_once_and_not_repeated(tmp_path):
    async with paged(tmp_path) as (world, control):
        control.faults = [403]
        await ask(world, "pause")
        run = await until_last(world, "failed")
        shown = await until_shown(world, ANA, "❌ FAILED")
        assert "403" in run["answer"]
        assert "As far as is known, nothing was changed" in json.dumps(shown["blocks"])
        assert len(control.seen) == 1


async def test_asking_twice_and_for_what_has_changed_meanwhile_is_refused(tmp_path):
    async with paged(tmp_path) as (world, control):
        _, first = await world.post(
            "/api/pager/actions/preview", {"incident": "INC-1", "step": "lower", "person": "ana"}
        )
        token = json.loads(first)["token"]
        assert (await ask(world, "lower", token=token))[0] == 201
        status, answer = await ask(world, "lower", "ben", token=token)
        assert (status, answer["error"].startswith("Ana Ruiz has asked for it already")) == (409, True), answer
        status, answer = await ask(world, "1000")
        assert (status, "pause, lower, model, revoke" in answer["error"]) == (404, True), answer
        assert control.seen == []


async def test_what_the_configuration_no_longer_allows_is_not_sent(tmp_path):
    async with paged(tmp_path) as (world, control):
        await ask(world, "lower")
        question = await until_shown(world, BEN, "asks you to approve")
        path = tmp_path / "agentpager.yaml"
        # The runbook is read anew with the settings, so it must not name what they do not allow.
        (tmp_path / "runbooks" / "tool-errors.yaml").unlink()
        path.write_text(
            path.read_text().replace('        - {path: "/agents/*/autonomy", methods: [PUT, DELETE]}\n', "")
        )
        alerts = tmp_path / "alerts" / "tools.yaml"
        alerts.write_text(alerts.read_text().replace(", runbook: tool-errors", ""))
        status, text = await world.post("/-/reload")
        assert status == 200, text
        await world.slack.click(BEN, "act.approve", BEN, question["ts"])
        run = await until_last(world, "failed")
        assert "does not allow the path" in run["answer"]
        assert control.seen == []


async def test_the_command_line_shows_asks_agrees_and_lists(tmp_path):
    async with paged(tmp_path) as (world, control):
        code, output = await world.cli("action", "ask", "INC-1", "lower", "--as", "ana")
        assert (code, "PUT /agents/refund-agent/autonomy" in output, "add --yes" in output) == (2, True, True), output
        assert await runs(world) == []
        code, output = await world.cli(
            "action", "ask", "INC-1", "lower", "--as", "ana", "--yes", "--reason", "it loops"
        )
        assert (code, "waits until" in output, "for Ben Cole" in output) == (0, True, True), output
        code, output = await world.cli("action", "approve", "INC-1", "--as", "chris", "--yes")
        assert (code, "role:lead" in output) == (2, True), output
        code, output = await world.cli("action", "approve", "INC-1", "--as", "ben", "--yes")
        assert code == 0, output
        await until_last(world, "done")
        code, output = await world.cli("action", "list", "INC-1", "-o", "json")
        (row,) = json.loads(output)
        assert (row["state"], row["reason"], row["approvals"][0]["by"]) == ("done", "it loops", "person:ben")
        code, output = await world.cli("action", "undo", "INC-1", "lower", "--as", "ana", "--yes")
        assert code == 0, output
        code, output = await world.cli("action", "refuse", "INC-1", "--as", "ben")
        assert (code, "is refused" in output) == (0, True), output
        assert (await control.state())["autonomy"] == "suggest"
