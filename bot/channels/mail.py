"""Hands one message to the mail server, by smtplib on a thread of its own. One call is one attempt."""

from __future__ import annotations

import asyncio
import html
import smtplib
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote

from bot.errors import RemoteError
from bot.paging.model import Page
from bot.paging.words import Told, one_line
from bot.settings import Email

UNREACHED = "mail_server_unreachable"
_THREADS = 4
_NAME = "agentpager"


class Mail:
    """`base_dir` is where a relative `ca_file` counts from."""

    def __init__(self, base_dir: Path) -> None:
        self._base_dir = base_dir
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mail")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def send(self, settings: Email, to: str, message: EmailMessage) -> None:
        await self._run(settings, lambda session: session.hand_over(to, message))

    async def try_login(self, settings: Email) -> None:
        """Connects, and logs in where there is a name, without sending anything. RemoteError when that fails."""
        await self._run(settings, lambda session: session.greet())

    async def _run(self, settings: Email, work: Callable[[_Session], None]) -> None:
        """The whole conversation has `timeout`; a server that drips must not keep a page for ever."""
        seconds = settings.timeout.total_seconds()
        session = _Session(settings, self._base_dir)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                await loop.run_in_executor(self._threads, work, session)
        except TimeoutError:
            raise session.lost(f"no answer within {seconds:g} s") from None


@dataclass
class _Session:
    """One conversation. From `handing_over` until the server has answered nobody knows whether the mail was taken."""

    settings: Email
    base_dir: Path
    handing_over: bool = field(default=False, init=False)

    @property
    def server(self) -> str:
        return f"{self.settings.host}:{self.settings.port}"

    def greet(self) -> None:
        self._converse(lambda client: client.noop())

    def hand_over(self, to: str, message: EmailMessage) -> None:
        def work(client: smtplib.SMTP) -> None:
            _expect(*client.mail(self.settings.sender), what=f"the sender {self.settings.sender}")
            _expect(*client.rcpt(to), what=f"the recipient {to}")
            self.handing_over = True
            _expect(*client.data(message.as_bytes(policy=SMTP)), what="the message")
            self.handing_over = False

        self._converse(work)

    def _converse(self, work: Callable[[smtplib.SMTP], object]) -> None:
        try:
            with self._connected() as client:
                if self.settings.username is not None:
                    password = self.settings.password.get_secret_value() if self.settings.password else ""
                    client.login(self.settings.username, password)
                work(client)
        except _AnswerError as error:
            raise _refusal(f"{self.server} does not take {error.what}", error.code, error.text) from None
        except smtplib.SMTPResponseException as error:
            text = (
                error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
            )
            raise _refusal(f"{self.server} refuses {_step_of(error)}", error.smtp_code, text) from None
        except smtplib.SMTPNotSupportedError as error:
            raise RemoteError(f"{self.server}: {one_line(str(error))}", code="not_supported", permanent=True) from None
        except ssl.SSLCertVerificationError as error:
            why = error.verify_message
            raise RemoteError(f"{self.server}: certificate not accepted: {why}", code="certificate") from None
        except (smtplib.SMTPException, OSError) as error:
            raise self.lost(one_line(str(error)) or type(error).__name__) from None

    def _connected(self) -> smtplib.SMTP:
        seconds, given = self.settings.timeout.total_seconds(), self.settings.ca_file
        name = self.settings.sender.rpartition("@")[2]  # else smtplib asks the name server who we are, and waits for it
        context = ssl.create_default_context(cafile=str(self.base_dir / given) if given else None)
        if self.settings.tls == "implicit":
            return smtplib.SMTP_SSL(self.settings.host, self.settings.port, name, timeout=seconds, context=context)
        client = smtplib.SMTP(self.settings.host, self.settings.port, name, timeout=seconds)
        try:
            if self.settings.tls == "starttls":
                client.starttls(context=context)
        except BaseException:
            client.close()
            raise
        return client

    def lost(self, why: str) -> RemoteError:
        """Nothing was sent, unless the message itself was on its way."""
        if self.handing_over:
            return RemoteError(f"{self.server}: connection lost while the mail was handed over: {why}", unknown=True)
        return RemoteError(f"{self.server} cannot be reached: {why}", code=UNREACHED)


class _AnswerError(Exception):
    def __init__(self, code: int, text: str, what: str) -> None:
        self.code, self.text, self.what = code, text, what
        super().__init__(text)


def _expect(code: int, answer: bytes, *, what: str) -> None:
    if code // 100 != 2:
        raise _AnswerError(code, answer.decode(errors="replace"), what)


def _step_of(error: smtplib.SMTPResponseException) -> str:
    return "the login" if isinstance(error, smtplib.SMTPAuthenticationError) else "the connection"


def _refusal(what: str, code: int, text: str) -> RemoteError:
    """4xx: later. 5xx: not like this."""
    return RemoteError(f"{what}: {code} {one_line(text)}", code=str(code), permanent=code // 100 == 5)


def message_of(page: Page, told: Told, sender: str, to: str, urgent: bool, now: datetime) -> EmailMessage:
    """The same page has the same Message-ID, so that a repeat is known for one. Raises RemoteError for an address that
    cannot stand in a header."""
    domain = sender.rpartition("@")[2]
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = Address(_NAME, addr_spec=sender)
        message["To"] = Address(addr_spec=to)
    except (ValueError, IndexError) as error:
        raise RemoteError(f"{to} is no e-mail address: {error}", permanent=True) from None
    message["Subject"] = one_line(told.subject)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{quote(page.id, safe='.-_')}@{domain}>"
    if page.incident is not None:  # mail programs show all mails of an incident together
        message["References"] = f"<{quote(page.incident, safe='.-_')}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    if urgent:
        message["Importance"] = "high"
        message["X-Priority"] = "1"
    message.set_content(told.text + "\n")
    message.add_alternative(_html(told), subtype="html")
    return message


_BUTTON = (
    "display:inline-block;padding:14px 28px;background:#1a56db;color:#ffffff;border-radius:6px;"
    "text-decoration:none;font-weight:bold"
)


def _html(told: Told) -> str:
    parts = ["<p>" + "<br>\n".join(html.escape(line) for line in lines) + "</p>" for lines in told.paragraphs]
    if told.link is not None:
        parts.append(f'<p><a href="{html.escape(told.link.url)}" style="{_BUTTON}">Take it</a></p>')
        parts.append(f"<p><small>{html.escape(told.link_note)}</small></p>")
    if told.others:
        parts.append("<p>" + "<br>\n".join(html.escape(line) for line in told.others) + "</p>")
    if told.how:
        parts.append(f"<p><small>{html.escape(told.how)}</small></p>")
    style = "font-family:sans-serif;font-size:16px;line-height:1.5"
    return f'<!doctype html>\n<html lang="en"><body style="{style}">\n' + "\n".join(parts) + "\n</body></html>\n"
