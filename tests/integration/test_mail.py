"""Mail over a real connection: what arrives, and what each failure means for the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from core_world import NOW, PEOPLE, alert, opened
from fake_smtp import FakeSmtp, certificate

from bot.channels.mail import UNREACHED, Mail, message_of
from bot.errors import RemoteError
from bot.paging import words
from bot.paging.model import Page, PageKind
from bot.settings import Email

ANA = PEOPLE["ana"]
PAGE = Page(
    id="INC-1.1.page.ana.email",
    incident="INC-1",
    kind=PageKind.PAGE,
    person="ana",
    channel="email:ana@example.com",
    due_at=NOW,
    reason="on call",
)
LINK = words.AckLink("https://pager.example.com/ack/abc.def", NOW)
NASTY = '<script>alert(1)</script>\r\nBcc: everybody@example.com\u202e & "quotes"'


def settings(server: FakeSmtp, **changes: object) -> Email:
    fields = {"host": "localhost", "port": server.port, "tls": "none", "from": "pager@example.com"}
    return Email.model_validate(fields | changes)


def message(title: str = "tool errors 38%"):
    incident = opened(alert(annotations={"summary": title}))
    told = words.tell(PAGE, incident, None, ANA, LINK)
    return message_of(PAGE, told, "pager@example.com", "ana@example.com", urgent=True, now=NOW)


async def send(given: Email, base: Path = Path()) -> None:
    mail = Mail(base)
    try:
        await mail.send(given, "ana@example.com", message())
    finally:
        mail.close()


async def refusal(given: Email, base: Path = Path()) -> RemoteError:
    with pytest.raises(RemoteError) as raised:
        await send(given, base)
    return raised.value


async def test_a_mail_arrives_as_it_should():
    async with FakeSmtp() as server:
        await send(settings(server))
    (mail,) = server.mails
    assert (mail.sender, mail.to) == ("pager@example.com", "ana@example.com")
    assert mail.message["Subject"] == "🔴 CRITICAL refund-agent: tool errors 38% · INC-1"
    assert mail.message["Message-ID"] == "<INC-1.1.page.ana.email@example.com>"
    assert mail.message["References"] == "<INC-1@example.com>"
    assert mail.message["Date"].datetime == NOW
    assert (mail.message["Auto-Submitted"], mail.message["Importance"]) == ("auto-generated", "high")
    assert "Take it: https://pager.example.com/ack/abc.def" in mail.text
    assert '<a href="https://pager.example.com/ack/abc.def"' in mail.html


async def test_no_value_makes_a_header_or_markup():
    made = message(NASTY)
    async with FakeSmtp() as server:
        mail = Mail(Path())
        await mail.send(settings(server), "ana@example.com", made)
        mail.close()
    (got,) = server.mails
    assert got.message["Bcc"] is None
    assert "Bcc: everybody@example.com" in got.message["Subject"], "it stands in the subject, on one line"
    assert "<script>" not in got.html
    assert "&lt;script&gt;" in got.html


def test_an_address_that_no_header_takes_is_refused_for_good():
    told = words.tell(PAGE, opened(), None, ANA, None)
    with pytest.raises(RemoteError) as raised:
        message_of(PAGE, told, "pager@example.com", "ana@", urgent=True, now=NOW)
    assert raised.value.permanent


async def test_the_password_goes_over_tls_only_and_the_certificate_counts(tmp_path):
    context, cert = certificate(tmp_path)
    async with FakeSmtp(tls=context, users={"pager": "secret"}) as server:
        login = {"tls": "starttls", "username": "pager", "password": "secret"}
        unknown = await refusal(settings(server, **login))
        assert "certificate not accepted" in str(unknown)
        assert not unknown.permanent
        assert "AUTH" not in server.commands
        await send(settings(server, **login, ca_file=cert.name), tmp_path)
    (mail,) = server.mails
    assert (mail.encrypted, mail.login) == (True, "pager")


async def test_tls_from_the_first_byte(tmp_path):
    context, cert = certificate(tmp_path)
    async with FakeSmtp(tls=context, implicit=True) as server:
        await send(settings(server, tls="implicit", ca_file=str(cert)), tmp_path)
    assert server.mails[0].encrypted


async def test_a_server_without_starttls_gets_no_mail():
    async with FakeSmtp() as server:
        error = await refusal(settings(server, tls="starttls"))
    assert error.permanent
    assert "STARTTLS" in str(error)
    assert server.mails == []


@pytest.mark.parametrize(
    ("answers", "permanent", "said"),
    [
        (
            {"RCPT": "550 5.1.1 no such user"},
            True,
            "does not take the recipient ana@example.com: 550 5.1.1 no such user",
        ),
        ({"RCPT": "451 4.7.1 greylisted"}, False, "451 4.7.1 greylisted"),
        ({"MAIL": "553 5.7.1 not yours"}, True, "does not take the sender pager@example.com: 553"),
        ({"DATA": "554 no"}, True, "554"),
        ({"MESSAGE": "552 5.3.4 too big"}, True, "does not take the message: 552"),
        ({"MESSAGE": "452 4.3.1 disk full"}, False, "452"),
        ({"CONNECT": "421 busy"}, False, "refuses the connection: 421 busy"),
    ],
)
async def test_what_the_server_answers_decides_what_becomes_of_the_page(answers, permanent, said):
    async with FakeSmtp(answers=answers) as server:
        error = await refusal(settings(server))
    assert said in str(error)
    assert (error.permanent, error.unknown) == (permanent, False)


async def test_a_wrong_password_is_no_matter_of_waiting(tmp_path):
    context, cert = certificate(tmp_path)
    async with FakeSmtp(tls=context, users={"pager": "secret"}) as server:
        login = {"tls": "starttls", "username": "pager", "password": "wrong", "ca_file": str(cert)}
        error = await refusal(settings(server, **login))
    assert error.permanent
    assert "refuses the login: 535" in str(error)
    assert "wrong" not in str(error)


async def test_nobody_there_means_nothing_was_sent():
    async with FakeSmtp() as server:
        given = settings(server)
    error = await refusal(given)
    assert (error.code, error.unknown, error.permanent) == (UNREACHED, False, False)


@pytest.mark.parametrize("kept", [True, False])
async def test_a_connection_lost_over_the_message_is_an_unknown_outcome(kept):
    async with FakeSmtp(cut=1, kept=kept) as server:
        error = await refusal(settings(server))
    assert error.unknown


async def test_a_server_that_never_answers_the_message_is_an_unknown_outcome():
    async with FakeSmtp(hang=True) as server:
        error = await refusal(settings(server, timeout="300ms"))
    assert error.unknown
    assert len(server.mails) == 1


async def test_the_doctor_logs_in_without_sending(tmp_path):
    context, cert = certificate(tmp_path)
    async with FakeSmtp(tls=context, users={"pager": "secret"}) as server:
        mail = Mail(tmp_path)
        await mail.try_login(settings(server, tls="starttls", username="pager", password="secret", ca_file=str(cert)))
        mail.close()
    assert "AUTH" in server.commands
    assert server.mails == []
