"""Clicks, commands, mentions and direct messages: from Slack to the Commands port and back.

Everything a person changes is committed before Slack is answered. What takes longer than Slack waits is told to the
person as it is: not recorded yet, and later what became of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Coroutine
from typing import Any

import aiohttp
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.errors import AgentpagerError, ConfigError, Finding, RemoteError, UsageError
from bot.ports import Actor, Clock, Commands, Outcome, Silencing
from bot.settings import Slack
from bot.slack import answers, blocks, runbook, silence_words, storm
from bot.slack.authorize import Home, NotAllowedError, authorize, caller_of
from bot.slack.errors import call
from bot.slack.grammar import CHANGES, Request, parse, wish
from bot.slack.guard import Guard
from bot.slack.socket import DEAF_SECONDS, SocketLink
from bot.slack.web import TIMEOUT_SECONDS, new_session, quiet_logger, redact, web_client

logger = logging.getLogger(__name__)

# Slack waits three seconds; what is left is for the way there and back.
COMMIT_SECONDS = 2.5
_RETRY_SECONDS = 5.0
_REFUSED_SECONDS = 60.0  # a token that is refused now is mended by a human, if at all
_EVENTS_REMEMBERED = 5_000
_BUTTONS = {
    blocks.ACK: "ack",
    blocks.KEEP: "ack",
    blocks.DECLINE: "pass",
    blocks.RESOLVE: "resolve",
    blocks.RELEASE: "release",
    storm.ACK_ALL: "ack_all",
}
_SLOW = (
    "Not recorded yet: agentpager is slow just now. It goes on trying and tells you here; if it does not, try again."
)
_COMMANDS = CHANGES - {"silence", "unsilence", "note", "mark"}  # those that are commands of the same name


class SlackApp:
    """`start` returns at once and goes on connecting; `asgi` serves POST /slack/events in HTTP mode."""

    def __init__(
        self,
        settings: Slack,
        commands: Commands,
        silencing: Silencing,
        clock: Clock,
        *,
        commit_seconds: float = COMMIT_SECONDS,
        deaf_seconds: float = DEAF_SECONDS,
    ) -> None:
        _require_secrets(settings)
        self._settings = settings
        self._commands = commands
        self._silencing = silencing
        self._clock = clock
        self._commit_seconds = commit_seconds
        self._deaf_seconds = deaf_seconds
        self._tasks: set[asyncio.Task[Any]] = set()
        self._events: OrderedDict[str, None] = OrderedDict()
        self._session: aiohttp.ClientSession | None = None
        self._socket: SocketLink | None = None
        self._settling: asyncio.Task[None] | None = None
        self.home: Home | None = None
        self._web = web_client(settings.bot_token.get_secret_value(), settings.api_url)
        self._bolt = self._build()
        secret = settings.signing_secret.get_secret_value()
        self.asgi = Guard(self._bolt, secret, clock) if settings.mode == "http" else None

    async def start(self) -> None:
        self._session = new_session()
        self._web.session = self._session
        self._settling = self._spawn(self._settle_in())

    async def stop(self) -> None:
        """Takes no more, then gives what was begun a moment to end."""
        if self._settling is not None:
            self._settling.cancel()
        if self._socket is not None:
            await self._socket.stop()
            self._socket = None
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=self._commit_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def healthy(self) -> bool:
        """Slack has accepted the token, and in Socket Mode the connection shows signs of life."""
        if self.home is None:
            return False
        return self._settings.mode == "http" or (self._socket is not None and self._socket.healthy())

    # --- start ------------------------------------------------------------------------------------------------------

    async def _settle_in(self) -> None:
        """Learns the home workspace, then connects. The socket waits for it: a click cannot be judged before."""
        while self.home is None:
            try:
                self.home = await whoami(self._web)
            except RemoteError as error:
                logger.warning("slack: auth.test failed, trying again: %s", redact(str(error)))
                patience = _REFUSED_SECONDS if error.permanent else _RETRY_SECONDS
                await asyncio.sleep(error.retry_after_seconds or patience)
        logger.info("slack: serving workspace %s (%s)", self.home.team_name, self.home.team)
        if self._settings.mode == "socket":
            token = self._settings.app_token.get_secret_value()
            self._socket = SocketLink(self._bolt, token, self._web, self._deaf_seconds)
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
            # The listener runs to its end before Slack is answered; see the module's first lines.
            process_before_response=True,
            logger=quiet_logger("bot.slack.bolt"),
        )
        for action_id in _BUTTONS:
            bolt.action(action_id)(self._on_button)
        bolt.action(blocks.RUNBOOK)(self._on_runbook)
        bolt.command("/agent")(self._on_command)
        bolt.event("app_mention")(self._on_words)
        bolt.event("message")(self._on_message)
        return bolt

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

    # --- buttons ----------------------------------------------------------------------------------------------------

    async def _on_button(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        reference = str(action.get("value") or "").partition("|")[0]
        verb = _BUTTONS[action["action_id"]]
        url = body.get("response_url")
        try:
            actor = authorize(body, self.home, self._commands.book)
        except NotAllowedError as refusal:
            await ack()
            self._tell_later(url, answers.say(str(refusal)))
            return
        key = f"{reference}|{action['action_id']}|{caller_of(body).user}|{action.get('action_ts', '')}"
        task = self._spawn(self._change(verb, actor, reference, key))
        if await self._done_in_time(task):
            await ack()
            if text := task.result():
                self._tell_later(url, answers.say(text))
        else:
            await ack()
            self._tell_later(url, answers.say(_SLOW))
            what = "All of them" if verb == "ack_all" else reference
            self._spawn(self._tell_when_done(task, url, f"{what}: recorded."))

    async def _change(self, verb: str, actor: Actor, reference: str | None, key: str | None) -> str:
        """Carries out one change; returns what the person must be told, empty when the message itself shows it."""
        try:
            outcome = await self._carry_out(verb, actor, reference, key)
        except AgentpagerError as error:
            return str(error)
        except Exception:  # a click must get an honest answer, whatever failed
            logger.exception("slack: %s of %s by %s failed", verb, reference, actor.id)
            return _broken(verb, reference)
        return "" if outcome.changed else outcome.message

    async def _carry_out(
        self, verb: str, actor: Actor, reference: str | None, key: str | None, more: str = ""
    ) -> Outcome:
        """`more` is what some words need besides the incident: until when, or who."""
        match verb:
            case "take":
                return await self._commands.take(actor, reference, event_key=key)
            case "escalate":
                return await self._commands.escalate(actor, reference, event_key=key)
            case "snooze":
                return await self._commands.snooze(actor, reference, more, event_key=key)
            case "note":
                return await self._commands.note(actor, reference, more, event_key=key)
            case "mark":
                return await self._commands.mark(actor, reference, more, event_key=key)
            case "hand":
                return await self._commands.hand(actor, reference, more, event_key=key)
            case "ack":
                return await self._commands.ack(actor, reference, event_key=key)
            case "ack_all":
                return await self._commands.ack_all(actor, reference or "", event_key=key)
            case "pass":
                return await self._commands.decline(actor, reference, event_key=key)
            case "release":
                return await self._commands.release(actor, reference, event_key=key)
            case _:
                return await self._commands.resolve(actor, reference, event_key=key)

    # --- the runbook modal ------------------------------------------------------------------------------------------

    async def _on_runbook(self, ack: Any, body: dict[str, Any], action: dict[str, Any]) -> None:
        await ack()
        reference = str(action.get("value") or "").partition("|")[0]
        try:
            authorize(body, self.home, self._commands.book)
        except NotAllowedError as refusal:
            self._tell_later(body.get("response_url"), answers.say(str(refusal)))
            return
        self._spawn(self._show_runbook(reference, str(body.get("trigger_id") or ""), body.get("response_url")))

    async def _show_runbook(self, reference: str, trigger: str, url: str | None) -> None:
        """A skeleton at once, since the trigger lasts three seconds; then the real thing with fresh checks."""
        view_id = ""
        try:
            opened = await call(
                "views.open", self._web.views_open(trigger_id=trigger, view=runbook.skeleton(reference))
            )
            view_id = str((opened.get("view") or {}).get("id") or "")
        except RemoteError as error:
            logger.info("slack: views.open failed, answering with a message: %s", redact(str(error)))
        view = await self._runbook_view(reference)
        if view_id:
            await self._quietly("views.update", self._web.views_update(view_id=view_id, view=view))
        else:
            await self._tell(url, {"text": f"Runbook {reference}", "blocks": view["blocks"][:40]})

    async def _runbook_view(self, reference: str) -> dict[str, Any]:
        try:
            incident = await self._commands.incident(reference)
            rendered = await self._commands.rendered(incident, fresh=True)
        except AgentpagerError as error:
            return runbook.failed_modal(reference, f"The runbook could not be shown: {error}")
        except Exception:  # the window is open and must not wait for ever
            logger.exception("slack: the runbook of %s could not be shown", reference)
            return runbook.failed_modal(
                reference, "The runbook could not be shown: something failed inside agentpager."
            )
        return runbook.modal(incident, rendered, self._clock.now())

    # --- /agent, @agentpager and direct messages ----------------------------------------------------------------------

    async def _on_command(self, ack: Any, body: dict[str, Any]) -> None:
        try:
            actor = authorize(body, self.home, self._commands.book)
        except NotAllowedError as refusal:
            await ack(**answers.say(str(refusal)))
            return
        request = parse(str(body.get("text") or ""))
        key = f"command|{body.get('trigger_id', '')}"
        task = self._spawn(self._answer(request, actor, wish(request)[0], key))
        if await self._done_in_time(task):
            await ack(**task.result(), response_type="in_channel" if request.here else "ephemeral")
        else:
            await ack(_SLOW if request.verb in CHANGES else "Still looking…")
            self._spawn(self._tell_answer(task, body.get("response_url"), request.here))

    async def _on_message(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        """Only what a person has just written to us directly: our own pages and every edit come here as well."""
        plain = event.get("channel_type") == "im" and not any(event.get(key) for key in ("subtype", "bot_id", "hidden"))
        if plain and str(event.get("text") or "").strip():
            await self._on_words(body, event)

    async def _on_words(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        event_id = str(body.get("event_id") or "")
        if event_id in self._events:
            return
        channel, thread = str(event.get("channel") or ""), str(event.get("thread_ts") or "")
        alone = event.get("channel_type") == "im"
        try:
            actor = authorize(body, self.home, self._commands.book)
        except NotAllowedError as refusal:
            if str(refusal):
                self._spawn(self._whisper(channel, thread, event, answers.say(str(refusal))))
            return
        request = parse(_without_mention(str(event.get("text") or ""), self.home.bot_user if self.home else ""))
        task = self._spawn(self._answer_in_thread(request, actor, channel, thread, f"event|{event_id}", alone))
        if await self._done_in_time(task):
            self._remember(event_id)
            self._spawn(self._whisper(channel, thread, event, task.result(), here=request.here))
        else:
            self._spawn(self._whisper_when_done(task, channel, thread, event, request))

    async def _answer_in_thread(
        self, request: Request, actor: Actor, channel: str, thread: str, key: str, alone: bool
    ) -> answers.Answer:
        reference = wish(request)[0]
        if reference is None and thread and request.verb in CHANGES:
            try:
                reference = await self._commands.incident_of_message(channel, thread)
            except AgentpagerError as error:
                return answers.say(str(error))
        return await self._answer(request, actor, reference, key, in_full=alone)

    async def _answer(
        self, request: Request, actor: Actor, reference: str | None, key: str, *, in_full: bool = False
    ) -> answers.Answer:
        try:
            if request.verb in {"silence", "unsilence"}:
                return answers.say(await self._silence(request, actor))
            if request.verb in CHANGES:
                outcome = await self._carry_out(request.verb, actor, reference, key, wish(request)[1])
                return answers.say(outcome.message)
            return await self._look_up(request, in_full)
        except AgentpagerError as error:
            return answers.say(str(error))
        except Exception:  # a command must get an honest answer, whatever failed
            logger.exception("slack: /agent %s by %s failed", request.verb, actor.id)
            if request.verb in CHANGES:
                return answers.say(_broken(request.verb, reference))
            return answers.say("That failed inside agentpager. Try again.")

    async def _silence(self, request: Request, actor: Actor) -> str:
        if request.verb == "unsilence":
            if not request.argument:
                raise UsageError("name the silence: unsilence SIL-3; `silences` lists them")
            ended = await self._silencing.expire(actor, request.argument)
            return f"{ended.id} has ended; what it hid and still fires wakes its owner."
        wish = silence_words.parse(request.raw)
        incident = await self._commands.incident(wish.incident) if wish.incident else None
        made, hidden = await self._silencing.add(actor, wish.draft(incident, self._clock.now()))
        return silence_words.made(made, hidden)

    async def _look_up(self, request: Request, in_full: bool) -> answers.Answer:
        book, now = self._commands.book, self._clock.now()
        match request.verb:
            case "status":
                return answers.status(await self._commands.status(), request.argument, book)
            case "incidents" if request.argument in {"", "open"}:
                return answers.incidents(await self._commands.incidents(), "open", book, now)
            case "incidents":
                rows = await self._commands.incidents(only_open=False, limit=200)
                return answers.incidents(answers.last_day(rows, now), "24h", book, now)
            case "silences":
                return answers.silences(await self._silencing.silences(), book, now)
            case "oncall":
                return answers.oncall(self._commands.oncall(), request.argument, book, now)
            case "help":
                return answers.help_on(request.argument)
            case _:
                return answers.unknown(request, in_full=in_full)

    # --- answering --------------------------------------------------------------------------------------------------

    async def _done_in_time(self, task: asyncio.Task[Any]) -> bool:
        done, _ = await asyncio.wait({task}, timeout=self._commit_seconds)
        return bool(done)

    def _tell_later(self, url: str | None, answer: answers.Answer) -> None:
        if answer["text"]:
            self._spawn(self._tell(url, answer))

    async def _tell_when_done(self, task: asyncio.Task[str], url: str | None, recorded: str) -> None:
        await self._tell(url, answers.say(await task or recorded))

    async def _tell_answer(self, task: asyncio.Task[answers.Answer], url: str | None, here: bool) -> None:
        await self._tell(url, await task, here=here)

    async def _tell(self, url: str | None, answer: answers.Answer, *, here: bool = False) -> None:
        """To the one who clicked or asked, through the address that came with it."""
        if not url:
            return
        webhook = AsyncWebhookClient(
            url,
            timeout=TIMEOUT_SECONDS,
            session=self._session,
            retry_handlers=[],
            logger=quiet_logger("bot.slack.response"),
        )
        message = {
            "response_type": "in_channel" if here else "ephemeral",
            "replace_original": False,
            "unfurl_links": False,
            **answer,
        }
        try:
            answered = await webhook.send_dict(message)
            if answered.status_code != 200:
                logger.warning("slack: an answer was refused with status %d", answered.status_code)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            logger.warning("slack: an answer was lost: %s", redact(str(error) or type(error).__name__))

    async def _whisper(
        self, channel: str, thread: str, event: dict[str, Any], answer: answers.Answer, *, here: bool = False
    ) -> None:
        """An answer to a mention or message: for its writer's eyes only, in the thread where there is one."""
        user = str(event.get("user") or "")
        alone = event.get("channel_type") == "im"
        where = {"channel": channel, "thread_ts": thread or None, "link_names": False, "parse": "none", **answer}
        if not here and not alone:
            try:
                await call("chat.postEphemeral", self._web.chat_postEphemeral(user=user, **where))
                return
            except RemoteError as error:
                if error.unknown or error.retry_after_seconds is not None:
                    logger.warning("slack: an answer was lost: %s", redact(str(error)))
                    return
        where["thread_ts"] = thread or (None if alone else event.get("ts"))
        await self._quietly("chat.postMessage", self._web.chat_postMessage(unfurl_links=False, **where))

    async def _whisper_when_done(
        self, task: asyncio.Task[answers.Answer], channel: str, thread: str, event: dict[str, Any], request: Request
    ) -> None:
        if request.verb in CHANGES:
            await self._whisper(channel, thread, event, answers.say(_SLOW))
        await self._whisper(channel, thread, event, await task, here=request.here)

    async def _quietly(self, method: str, request: Coroutine[Any, Any, Any]) -> None:
        try:
            await call(method, request)
        except RemoteError as error:
            logger.warning("slack: an answer was lost: %s", redact(str(error)))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("slack: background work failed: %s: %s", type(error).__name__, redact(str(error)))

    def _remember(self, event_id: str) -> None:
        self._events[event_id] = None
        while len(self._events) > _EVENTS_REMEMBERED:
            self._events.popitem(last=False)


async def whoami(web: AsyncWebClient) -> Home:
    """auth.test: whose token this is, and what it may do."""
    scopes: list[str] = []

    async def ask() -> Any:
        answer = await web.auth_test()
        named = answer.headers.get("x-oauth-scopes") or answer.headers.get("X-OAuth-Scopes") or ""
        scopes.extend(scope.strip() for scope in named.split(",") if scope.strip())
        return answer

    data = await call("auth.test", ask())
    return Home(
        team=str(data.get("team_id") or ""),
        team_name=str(data.get("team") or ""),
        bot_user=str(data.get("user_id") or ""),
        bot=str(data.get("bot_id") or ""),
        enterprise=str(data.get("enterprise_id") or ""),
        scopes=tuple(scopes),
    )


def _broken(verb: str, reference: str | None) -> str:
    otherwise = f", or run `agentpager {verb} {reference or 'INC-…'}`" if verb in _COMMANDS else ""
    return f"Not recorded: something failed inside agentpager. Try again{otherwise}."


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


def _without_mention(text: str, bot_user: str) -> str:
    """`<@U0BOT> ack` → `ack`; also where the name stands later in the line. Somebody else's mention stays: it may be
    the one to hand an incident to."""
    ours = (f"<@{bot_user}>", f"<@{bot_user}|")
    return " ".join(word for word in text.split() if not word.startswith(ours))
