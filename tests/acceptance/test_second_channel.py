"""Slack refuses everything: the mail arrives with a link, the link acknowledges, the escalation stops."""

from __future__ import annotations

import re  # noqa: TID251 - fixed pattern

import aiohttp
from fake_smtp import FakeSmtp
from world import World


async def test_slack_refuses_everything_and_the_link_in_the_mail_stops_the_escalation(tmp_path):
    async with FakeSmtp() as mails, World(tmp_path) as world:
        oncall = tmp_path / "oncall" / "payments.yaml"
        people = oncall.read_text()
        for user, name in (("U0ANA", "ana"), ("U0BEN", "ben")):
            people = people.replace(f"slack: {user}", f"slack: {user}, email: {name}@example.com")
        oncall.write_text(people)
        main = tmp_path / "agentpager.yaml"
        text = main.read_text().replace("http: {", f'http: {{external_url: "http://127.0.0.1:{world.port}", ')
        main.write_text(
            text + f"notify:\n  email: {{host: localhost, port: {mails.port}, tls: none, from: pager@example.com}}\n"
        )
        await world.start()
        for method in ("chat.postMessage", "conversations.open"):
            world.slack.mode("refused", method=method, error="token_revoked")
        world.agents["refund-agent"].values["agent_tool_errors"] = 38

        await world.until(lambda: mails.mails, "mail to Ana")
        mail = mails.mails[0]
        assert mail.to == "ana@example.com"
        link = re.search(r"http://\S+/ack/\S+", mail.text)
        assert link is not None
        async with aiohttp.ClientSession() as session, session.get(link[0]) as shown:
            assert "I have it" in await shown.text()
        assert (await world.incidents())[0]["state"] == "open", "looking does nothing"

        async with aiohttp.ClientSession() as session, session.post(link[0]) as answer:
            assert answer.status == 200
            assert "You have it" in await answer.text()
        (incident,) = await world.incidents()
        assert (incident["state"], incident["acked_by"]) == ("acked", "ana")
        assert incident["level"] == 1, "Ben sleeps"
        assert world.rows("select id from pages where kind = 'page' and state in ('due', 'sending')") == []
        assert [mail.to for mail in mails.mails] == ["ana@example.com"]
