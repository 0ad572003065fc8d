"""Chooses the channel by the page's address, and puts together what it says. Implements ports.Channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from bot.channels.mail import Mail, message_of
from bot.channels.webhook import Webhooks
from bot.errors import RemoteError, TemplateError
from bot.incidents.model import Incident, Severity
from bot.oncall.model import Book, Person
from bot.paging import acklink, body, payload, words
from bot.paging.model import RECEIVER, Page, PageKind
from bot.paging.notify import urgency_of
from bot.ports import Clock
from bot.runbooks.rendered import Rendered
from bot.settings import Settings


class SecondChannels:
    """`settings` and `book` give the configuration as it is now. `key` signs the links; empty: there are none."""

    def __init__(
        self, settings: Callable[[], Settings], book: Callable[[], Book], base_dir: Path, clock: Clock
    ) -> None:
        self._settings = settings
        self._book = book
        self._clock = clock
        self._mail = Mail(base_dir)
        self._webhooks = Webhooks()
        self._receivers = Webhooks()  # names that are looked up for ever must not keep people waiting
        self.key = ""

    def close(self) -> None:
        self._mail.close()
        self._webhooks.close()
        self._receivers.close()

    async def send(
        self,
        page: Page,
        incident: Incident | None,
        rendered: Rendered | None,
        others: Sequence[tuple[Page, Incident]] = (),
    ) -> None:
        if page.channel.startswith(RECEIVER):
            await self._to_receiver(page, incident)
            return
        person = self._book().people.get(page.person or "")
        told = words.tell(page, incident, rendered, person, self._link(page))
        told = words.with_others(told, [(one, self._link(each)) for each, one in others])
        kind, _, name = page.channel.partition(":")
        if kind == "email":
            await self._by_mail(page, incident, told, name)
        elif kind == "webhook":
            await self._by_webhook(page, incident, person, told, name)
        else:
            raise RemoteError(f"{page.channel} is no channel besides Slack", permanent=True)

    async def _by_mail(self, page: Page, incident: Incident | None, told: words.Told, to: str) -> None:
        settings = self._settings().notify.email
        if settings is None:
            raise RemoteError("notify.email is not set any more", permanent=True)
        urgent = incident is None or incident.severity is Severity.CRITICAL
        message = message_of(page, told, settings.sender, to, urgent, self._clock.now())
        await self._mail.send(settings, to, message)

    async def _by_webhook(
        self, page: Page, incident: Incident | None, person: Person | None, told: words.Told, name: str
    ) -> None:
        webhook = self._settings().notify.webhooks.get(name)
        if webhook is None:
            raise RemoteError(f"there is no webhook {name} under notify.webhooks any more", permanent=True)
        now = self._clock.now()
        urgency = urgency_of(incident.severity) if incident is not None else "low"
        said = body.values(page, incident, person, told, urgency)
        try:
            text = body.own_body(said, now) if webhook.body is None else body.filled(webhook, said)
        except TemplateError as error:
            raise RemoteError(f"notify.webhooks.{name}.body: {error}", permanent=True) from None
        await self._webhooks.post(webhook, page.id, text, now)

    async def _to_receiver(self, page: Page, incident: Incident | None) -> None:
        name = page.channel.removeprefix(RECEIVER)
        settings = self._settings()
        receiver = settings.notify.receivers.get(name)
        if receiver is None:
            raise RemoteError(f"there is no {name} under notify.receivers any more", permanent=True)
        said = payload.payload(page, incident, settings.http.external_url)
        try:
            text = payload.body_of(receiver, said, incident)
        except TemplateError as error:
            raise RemoteError(f"notify.receivers.{name}.body: {error}", permanent=True) from None
        await self._receivers.post(receiver, page.id, text, self._clock.now())

    def _link(self, page: Page) -> words.AckLink | None:
        """Only for a page to one person: the link acts in their name."""
        settings = self._settings()
        address = settings.http.external_url.rstrip("/")
        if not address or not self.key or page.kind is not PageKind.PAGE or page.person is None or not page.incident:
            return None
        until = self._clock.now() + max(settings.notify.ack_link_lifetime, timedelta(minutes=1))
        return words.AckLink(f"{address}/ack/{acklink.token_of(self.key, page, until)}", until)
