"""The bot's connection to Slack: learns whose token it has, connects, and hands what comes in to its listeners."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult

from bot.errors import ConfigError, Finding, RemoteError
from bot.oncall.reachability import Account
from bot.ports import Clock, DeliveryMemory
from bot.settings import Slack
from bot.slack.approvals import Approvals
from bot.slack.authorize import Home
from bot.slack.buttons import Buttons
from bot.slack.deliveries import Deliveries
from bot.slack.directory import whoami
from bot.slack.guard import Guard
from bot.slack.hand_over import HandOver
from bot.slack.home import HomeTab
from bot.slack.reception import COMMIT_SECONDS, Desks, Reception
from bot.slack.runbook_window import RunbookWindow
from bot.slack.socket import DEAF_SECONDS, SocketLink
from bot.slack.web import quiet_logger, redact, web_client
from bot.slack.windows.listener import Windows
from bot.slack.words import Words

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0
_REFUSED_SECONDS = 60.0  # a token that is refused now is mended by a human, if at all
_LISTENERS = (Approvals, Buttons, HandOver, HomeTab, RunbookWindow, Windows, Words)


class SlackApp:
    """`start` returns at once and goes on connecting; `asgi` serves POST /slack/events in HTTP mode."""

    def __init__(
        self,
        settings: Slack,
        desks: Desks,
        clock: Clock,
        *,
        commit_seconds: float = COMMIT_SECONDS,
        deaf_seconds: float = DEAF_SECONDS,
        memory: DeliveryMemory | None = None,
        spare: Callable[[], bool] = lambda: True,
    ) -> None:
        _require_secrets(settings)
        self._settings = settings
        self._deaf_seconds = deaf_seconds
        self._spare = spare
        self._socket: SocketLink | None = None
        self._settling: asyncio.Task[None] | None = None
        self._web = web_client(settings.bot_token.get_secret_value(), settings.api_url)
        self._reception = Reception(self._web, desks, clock, commit_seconds)
        self._deliveries = Deliveries(clock, memory)
        self._bolt = self._build()
        secret = settings.signing_secret.get_secret_value()
        self.asgi = Guard(self._bolt, secret, clock, self._deliveries) if settings.mode == "http" else None

    async def start(self) -> None:
        self._reception.open()
        self._settling = self._reception.spawn(self._settle_in())

    async def stop(self) -> None:
        """Takes no more, then gives what was begun a moment to end."""
        if self._settling is not None:
            self._settling.cancel()
        if self._socket is not None:
            await self._socket.stop()
            self._socket = None
        await self._reception.close()
        await self._deliveries.close()

    @property
    def home(self) -> Home | None:
        return self._reception.home

    def learn(self, accounts: Iterable[Account]) -> None:
        """What Slack has said of people elsewhere."""
        self._reception.members.learn(accounts)

    def healthy(self) -> bool:
        """Slack has accepted the token, and in Socket Mode one connection shows signs of life."""
        if self.home is None:
            return False
        return self._settings.mode == "http" or (self._socket is not None and self._socket.healthy())

    def posted(self, channel: str, ts: str) -> None:
        """A message of ours stands there; Slack is to tell us so by an event."""
        if self._socket is not None:
            self._socket.canary.posted(channel, ts, asyncio.get_running_loop().time())

    # --- start ------------------------------------------------------------------------------------------------------

    async def _settle_in(self) -> None:
        """Learns the home workspace, then connects. The socket waits for it: a click cannot be judged before."""
        await self._deliveries.recall()
        while self.home is None:
            try:
                self._reception.home = await whoami(self._web)
            except RemoteError as error:
                logger.warning("slack: auth.test failed, trying again: %s", redact(str(error)))
                patience = _REFUSED_SECONDS if error.permanent else _RETRY_SECONDS
                await asyncio.sleep(error.retry_after_seconds or patience)
        logger.info("slack: serving workspace %s (%s)", self.home.team_name, self.home.team)
        if self._settings.mode == "socket":
            token = self._settings.app_token.get_secret_value()
            sockets, deaf = self._settings.sockets, self._deaf_seconds
            self._socket = SocketLink(
                self._bolt,
                token,
                self._web,
                self._deliveries,
                self.home.bot,
                sockets=sockets,
                spare=self._spare,
                deaf_seconds=deaf,
            )
            await self._socket.start()

    def _build(self) -> AsyncApp:
        async def identity() -> AuthorizeResult:  # Bolt cannot take a method here
            return self._bolt_identity()

        bolt = AsyncApp(
            name="agentpager",
            client=self._web,
            authorize=identity,
            signing_secret=self._settings.signing_secret.get_secret_value(),
            request_verification_enabled=self._settings.mode == "http",
            # The listener runs to its end before Slack is answered; see reception.py.
            process_before_response=True,
            logger=quiet_logger("bot.slack.bolt"),
        )
        bolt.use(self._meet)
        for listener in _LISTENERS:
            listener(self._reception).register(bolt)
        return bolt

    async def _meet(self, body: dict[str, Any], next: Any) -> None:  # noqa: A002 - Bolt's own name
        await self._reception.meet(body)
        await next()

    def _bolt_identity(self) -> AuthorizeResult:
        """Bolt's own authorize, which only asks for our identity; people are judged in authorize.py."""
        home = self.home
        return AuthorizeResult(
            enterprise_id=(home.enterprise or None) if home else None,
            team_id=home.team if home else None,
            bot_token=self._settings.bot_token.get_secret_value(),
            bot_id=home.bot if home else None,
            bot_user_id=home.bot_user if home else None,
        )


def _require_secrets(settings: Slack) -> None:
    """Without these nothing can be posted, or anybody could click."""
    wanted = {"bot_token": settings.bot_token}
    wanted |= {"app_token": settings.app_token} if settings.mode == "socket" else {}
    wanted |= {"signing_secret": settings.signing_secret} if settings.mode == "http" else {}
    missing = [key for key, value in wanted.items() if not value.get_secret_value().strip()]
    if missing:
        hint = "run `agentpager doctor`: it says where each is found"
        told = [f"slack.{key} is needed in {settings.mode} mode" for key in missing]
        raise ConfigError([Finding("agentpager.yaml", 0, 0, "missing-secret", text, hint=hint) for text in told])
