"""Who may ask what: every path of the table with no token, a wrong one, one that lacks the scope, one that has it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, cast

import pytest
from core_world import NOW
from http_world import Noon
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.responses import Response

from bot.settings import ApiScope, ApiToken, Http, RateLimit
from bot.web import api
from bot.web.door import Door, Open
from bot.web.operation import Mounted, Operation, mounted

NOBODY = cast("api.Backend", None)
TABLE = api.operations(NOBODY)
GUARDED = [one for one in TABLE if isinstance(one.needs, ApiScope)]
# Whoever adds a path that asks for no token adds it here too, and says why it may.
OPEN = {
    "/-/healthy": Open.HEALTH,
    "/-/ready": Open.HEALTH,
    "/ack/{token}": Open.LINK,
    "/calendar/{token}/{kind}/{file:path}": Open.LINK,
    "/api/bridges/{name}": Open.BRIDGE,
}
FREE = RateLimit(per_second=0)


def hashed(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def token(*scopes: ApiScope, **more: Any) -> ApiToken:
    return ApiToken(scopes=scopes, **more)


def locked() -> Http:
    """A token `only-<scope>` and one `without-<scope>` for each scope, `admin`, and one that has expired."""
    tokens = {"admin": token(ApiScope.ADMIN, hash=hashed("everything"))}
    tokens["late"] = token(ApiScope.ADMIN, hash=hashed("yesterday"), expires=NOW.date() - timedelta(days=1))
    for scope in ApiScope:
        others = [one for one in ApiScope if one not in {scope, ApiScope.ADMIN}]
        tokens[f"only-{scope}"] = token(scope, hash=hashed(f"only-{scope}"))
        tokens[f"without-{scope}"] = token(*others, token=SecretStr(f"without-{scope}-16-characters"))
    return Http(tokens=tokens, metrics="token", limit=FREE)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, Any]


class Site:
    """The table behind its door, each path answering 204 once it is reached. Asked as uvicorn would."""

    def __init__(self, settings: Http) -> None:
        self.settings = settings
        self.now = NOW
        table = [replace(one, handler=_reached, raw=True) for one in TABLE]
        backend = Noon()
        backend.now = lambda: self.now  # type: ignore[method-assign]
        self._app = Starlette(routes=mounted(table, Door(lambda: self.settings, backend)))

    async def ask(self, one: Operation, shown: str = "", client: str = "127.0.0.1", **more: str) -> Answer:
        path = one.path.replace(":path", "").replace("{", "").replace("}", "")
        headers = {"host": "localhost", **more} | ({"authorization": shown} if shown else {})
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": one.method, "path": path, "headers": raw, "query_string": b""}
        await self._app(scope | {"client": (client, 1)}, receive, send)
        body = b"".join(part.get("body", b"") for part in sent[1:])
        told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], told, json.loads(body) if body else {})


async def _reached(_call: Any) -> Response:
    return Response(status_code=204)


@pytest.fixture(scope="module")
def site() -> Site:
    return Site(locked())


def named(one: Operation) -> str:
    return f"{one.method} {one.path}"


# The table


def test_every_route_is_in_the_table_but_slacks():
    app = api.build(cast("api.Backend", Noon()), Http, slack_events=cast("Any", _reached))
    others = [route for route in app.routes if not isinstance(route, Mounted)]
    assert [route.path for route in others] == ["/slack/events"]
    assert sum(len(route.operations) for route in app.routes if isinstance(route, Mounted)) == len(TABLE)


def test_only_these_are_open():
    assert {one.path: one.needs for one in TABLE if isinstance(one.needs, Open)} == OPEN


def test_what_changes_something_never_needs_only_the_right_to_read():
    asking = {"/api/pager/silences/preview", "/api/pager/actions/preview"}  # these change nothing
    changing = [one for one in GUARDED if one.method not in {"GET", "OPTIONS"} and one.path not in asking]
    assert [named(one) for one in changing if one.needs is ApiScope.READ and "/api/v1/" not in one.path] == []


@pytest.mark.parametrize("one", GUARDED, ids=named)
async def test_without_a_token_or_with_a_wrong_one_nobody_gets_in(site, one):
    for shown in ("", "Bearer", "Bearer ", "Bearer wrong", "Basic everything", "everything", "Bearer é", "bearer x y"):
        answer = await site.ask(one, shown)
        assert (answer.status, answer.body["errorType"]) == (401, "unauthorized"), shown
        assert answer.headers["www-authenticate"] == 'Bearer realm="agentpager"'
    late = await site.ask(one, "Bearer yesterday")
    assert (late.status, late.body["error"]) == (
        401,
        'the token "late" worked until 2026-11-03; make another one with: agentpager token new',
    )


@pytest.mark.parametrize("one", GUARDED, ids=named)
async def test_a_token_without_the_scope_is_told_which_one(site, one):
    if one.needs is ApiScope.ADMIN:
        answer = await site.ask(one, "Bearer without-admin-16-characters")
    else:
        answer = await site.ask(one, f"Bearer without-{one.needs}-16-characters")
    assert (answer.status, answer.body["errorType"], answer.body["scope"]) == (403, "forbidden", one.needs)
    assert f'lacks the scope "{one.needs}"' in answer.body["error"]
    assert f'error="insufficient_scope", scope="{one.needs}"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("one", GUARDED, ids=named)
async def test_a_token_with_the_scope_and_that_of_the_administrator_get_in(site, one):
    assert (await site.ask(one, f"Bearer only-{one.needs}")).status == 204
    assert (await site.ask(one, "Bearer everything", client="203.0.113.7", host="pager.example.com")).status == 204
    assert (await site.ask(one, "bearer everything")).status == 204  # the scheme's case does not count


@pytest.mark.parametrize("one", [one for one in TABLE if one.path in OPEN], ids=named)
async def test_what_is_open_asks_for_nothing(site, one):
    assert (await site.ask(one, client="203.0.113.7", host="pager.example.com")).status == 204


@pytest.mark.parametrize("one", GUARDED, ids=named)
async def test_without_tokens_only_this_machine_gets_in(one):
    site = Site(Http(metrics="token", limit=FREE))
    assert (await site.ask(one)).status == 204
    for refused in ({"client": "203.0.113.7"}, {"host": "pager.example.com"}, {"x-forwarded-for": "203.0.113.7"}):
        answer = await site.ask(one, **refused)
        assert (answer.status, answer.body["errorType"]) == (403, "forbidden")


# Single tokens

STATUS = next(one for one in TABLE if one.path == "/api/pager/status")
METRICS = next(one for one in TABLE if one.path == "/metrics")
HEALTHY = next(one for one in TABLE if one.path == "/-/healthy")
ACK = next(one for one in TABLE if one.path == "/ack/{token}")
BRIDGE = next(one for one in TABLE if one.needs is Open.BRIDGE)
CALENDAR = next(one for one in TABLE if one.path.startswith("/calendar/"))


async def test_the_day_on_which_a_token_expires_is_its_last():
    site = Site(Http(tokens={"ci": token(ApiScope.READ, hash=hashed("t"), expires=date(2026, 11, 4))}, limit=FREE))
    site.now = NOW.replace(hour=23, minute=59, second=59)
    assert (await site.ask(STATUS, "Bearer t")).status == 204
    site.now += timedelta(seconds=1)
    assert (await site.ask(STATUS, "Bearer t")).status == 401


async def test_a_token_that_a_reload_took_away_opens_nothing_any_more():
    site = Site(locked())
    assert (await site.ask(STATUS, "Bearer everything")).status == 204
    site.settings = Http(tokens={"other": token(ApiScope.ADMIN, hash=hashed("other"))}, limit=FREE)
    assert (await site.ask(STATUS, "Bearer everything")).status == 401
    assert (await site.ask(STATUS, "Bearer other")).status == 204


@pytest.mark.parametrize(
    "settings",
    [
        Http(tokens={"ci": token(ApiScope.ADMIN, token=SecretStr(""))}),
        Http(tokens={"ci": token(ApiScope.ADMIN, token_file="gone")}),
        Http(tokens={"ci": token(ApiScope.ADMIN, token=SecretStr("short"))}),
        Http(token=SecretStr("")),
        Http(token_file="gone"),
    ],
)
async def test_a_token_that_is_not_there_opens_nothing_and_locks_all_the_same(settings):
    site = Site(settings)
    for shown in ("", "Bearer", "Bearer ", "Bearer short"):
        assert (await site.ask(STATUS, shown)).status == 401


async def test_metrics_are_open_unless_they_are_not():
    site = Site(Http(tokens={"ci": token(ApiScope.READ, hash=hashed("t"))}))
    assert (await site.ask(METRICS, client="203.0.113.7", host="pager.example.com")).status == 204
    site.settings = site.settings.model_copy(update={"metrics": "token"})
    assert (await site.ask(METRICS)).status == 401
    assert (await site.ask(METRICS, "Bearer t")).body["scope"] == "metrics"


# How often


def limited(**more: Any) -> Site:
    tokens = {"ci": token(ApiScope.READ, hash=hashed("t")), "cd": token(ApiScope.READ, hash=hashed("u"))}
    return Site(Http(tokens=tokens, limit=RateLimit(per_second=1, burst=2), **more))


async def test_who_asks_too_often_is_told_when_to_come_again():
    site = limited()
    assert [(await site.ask(STATUS, "Bearer t")).status for _ in range(3)] == [204, 204, 429]
    answer = await site.ask(STATUS, "Bearer t")
    assert (answer.status, answer.headers["retry-after"], answer.body["errorType"]) == (429, "1", "rate_limited")
    assert (await site.ask(STATUS, "Bearer u")).status == 204  # each token has its own
    site.now += timedelta(seconds=1)
    assert (await site.ask(STATUS, "Bearer t")).status == 204


async def test_whoever_looks_too_often_can_act_all_the_same():
    act = next(one for one in TABLE if one.path.endswith("/ack"))
    site = Site(Http(tokens={"ci": token(ApiScope.ADMIN, hash=hashed("t"))}, limit=RateLimit(per_second=1, burst=2)))
    assert [(await site.ask(STATUS, "Bearer t")).status for _ in range(3)] == [204, 204, 429]
    assert [(await site.ask(act, "Bearer t")).status for _ in range(3)] == [204, 204, 429]
    site = Site(Http(limit=RateLimit(per_second=1, burst=1)))
    assert [(await site.ask(STATUS)).status for _ in range(2)] == [204, 429]
    assert [(await site.ask(act)).status for _ in range(2)] == [204, 429]


async def test_no_alert_is_turned_away_for_being_one_of_many():
    post = next(one for one in TABLE if one.needs is ApiScope.INGEST)
    site = Site(Http(tokens={"ci": token(ApiScope.INGEST, hash=hashed("t"))}, limit=RateLimit(per_second=1, burst=1)))
    assert {(await site.ask(post, "Bearer t")).status for _ in range(20)} == {204}
    assert [(await site.ask(post, "Bearer u")).status for _ in range(2)] == [401, 429]


async def test_whoever_guesses_is_stopped_and_stops_nobody_at_the_same_address():
    site = limited()
    assert [(await site.ask(STATUS, f"Bearer {number}")).status for number in range(4)] == [401, 401, 429, 429]
    assert (await site.ask(STATUS, "Bearer t")).status == 204
    assert (await site.ask(STATUS, "Bearer no", client="203.0.113.7")).status == 401


async def test_behind_one_address_no_guesser_scraper_or_reader_of_calendars_keeps_anybody_from_acknowledging():
    """A balancer's, or an office's: an alert that another system sends gets in there as well."""
    site = limited()
    assert [(await site.ask(STATUS, "Bearer no")).status for _ in range(3)] == [401, 401, 429]
    assert [(await site.ask(METRICS)).status for _ in range(3)] == [204, 204, 429]
    assert [(await site.ask(CALENDAR)).status for _ in range(3)] == [204, 204, 429]
    assert [(await site.ask(BRIDGE)).status for _ in range(3)] == [204, 204, 429]
    assert (await site.ask(ACK)).status == 204


async def test_addresses_of_one_network_of_ipv6_count_as_one():
    site = limited()
    clients = ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:1::3", "2001:db8:0:2::1"]
    assert [(await site.ask(ACK, client=client)).status for client in clients] == [204, 204, 429, 204]
    assert [(await site.ask(ACK, client=client)).status for client in ("192.0.2.1", "::ffff:192.0.2.1")] == [204, 204]
    assert (await site.ask(ACK, client="192.0.2.1")).status == 429  # an IPv4 address by either name


async def test_health_is_never_held_up_and_without_a_limit_nothing_is():
    site = limited()
    assert {(await site.ask(HEALTHY)).status for _ in range(50)} == {204}
    site = Site(Http(limit=FREE))
    assert {(await site.ask(STATUS)).status for _ in range(50)} == {204}
