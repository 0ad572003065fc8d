"""Who may ask what, and how often: judged once for every request, before anything of it is worked on.

Without a token in the configuration only this machine may ask, and only under a name of this machine: a page in
somebody's browser must not be able to acknowledge anything. With one, everybody shows a token, which may do what its
scopes say. Tokens are compared by their digests, in a time that does not depend on what was shown.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Protocol
from urllib.parse import urlsplit

from starlette.requests import Request

from bot import telemetry
from bot.ports import Clock
from bot.settings import SHORTEST_TOKEN, ApiScope, Http
from bot.web.limits import Limits
from bot.web.request import RefusedError

# A proxy on this machine makes everybody look local.
_PROXIED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
_LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}
_READS = {"GET", "HEAD"}


class Open(StrEnum):
    """Why a path asks for no token of ours."""

    HEALTH = "health"  # whoever watches us must always get an answer: no limit either
    SLACK = "slack"  # signed by Slack; a click must get through whatever else goes on
    LINK = "link"  # the address is the permission
    BRIDGE = "bridge"  # each has a token of its own


class Backend(Protocol):
    @property
    def clock(self) -> Clock: ...


Needs = ApiScope | Open
_UNLIMITED = {Open.HEALTH, Open.SLACK}


@dataclass(frozen=True)
class Caller:
    """Who asks. `token` is its name; empty for `http.token`, and on this machine without one. `person` is whom it acts
    for; `anybody` says that it may act for whomever it names."""

    token: str = ""
    person: str | None = None
    anybody: bool = True


@dataclass(frozen=True)
class _Key:
    name: str
    digest: bytes
    scopes: frozenset[ApiScope]
    expires: date | None = None
    person: str | None = None

    def may(self, scope: ApiScope) -> bool:
        return scope in self.scopes or ApiScope.ADMIN in self.scopes


class Door:
    """`settings` are asked for each time: a token that a reload took away opens nothing any more."""

    def __init__(self, settings: Callable[[], Http], backend: Backend) -> None:
        self._settings = settings
        self._backend = backend
        self._read: Http | None = None
        self._keys: tuple[_Key, ...] = ()
        self._limits = Limits()

    def enter(self, request: Request, needs: Needs) -> Caller:
        """Raises RefusedError."""
        if needs in _UNLIMITED:
            return Caller()
        settings = self._settings()
        if isinstance(needs, Open) or (needs is ApiScope.METRICS and settings.metrics == "open"):
            # Many may be behind one address: whoever asks for something else keeps nobody from acknowledging.
            kind = request.scope["path"].split("/")[1]
            self._count(f"address {_address(request)}, {kind}", settings)
            return Caller()
        if settings.locked:
            return self._by_token(request, needs, settings)
        _from_here(request, settings)
        self._count_caller("this machine", needs, settings)
        return Caller()

    def _by_token(self, request: Request, needs: ApiScope, settings: Http) -> Caller:
        """Whoever shows a token that is one is counted by its name: nobody else can use up its requests."""
        key = self._key(request, settings)
        if key is None or (key.expires is not None and self._backend.clock.now().date() > key.expires):
            self._count(f"address {_address(request)}", settings)
            raise _unknown(key)
        self._count_caller(f"token {key.name}", needs, settings)
        if not key.may(needs):
            raise lacking(key.name, needs)
        return Caller(key.name, key.person, key.may(ApiScope.IMPERSONATE))

    def _key(self, request: Request, settings: Http) -> _Key | None:
        if settings is not self._read:
            self._read, self._keys = settings, tuple(_keys(settings))
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        digest = hashlib.sha256(shown.strip().encode()).digest()
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest) and scheme.lower() == "bearer":
                found = key
        return found

    def _count_caller(self, name: str, needs: ApiScope, settings: Http) -> None:
        """Whoever looks too often can act all the same, and no alert is turned away."""
        if needs is not ApiScope.INGEST:
            self._count(f"{name}, {'looking' if needs is ApiScope.READ else 'acting'}", settings)

    def _count(self, name: str, settings: Http) -> None:
        limit = settings.limit
        if limit.per_second == 0:
            return
        seconds = self._limits.take(name, limit.per_second, limit.burst, self._backend.clock.now())
        if seconds:
            telemetry.http_refused.labels("rate").inc()
            text = f"asked too often: {limit.per_second:g} requests a second are answered; wait {seconds} s"
            raise RefusedError(429, "rate_limited", text, {"Retry-After": str(seconds)})


def _keys(settings: Http) -> list[_Key]:
    everything = frozenset({ApiScope.ADMIN})
    keys = []
    if settings.token is not None and settings.token.get_secret_value():
        keys.append(_Key("", _digest(settings.token.get_secret_value()), everything))
    for name, token in settings.tokens.items():
        value = token.token.get_secret_value() if token.token is not None else ""
        if token.hash is not None:
            digest = bytes.fromhex(token.hash.removeprefix("sha256:"))
        elif len(value) >= SHORTEST_TOKEN:
            digest = _digest(value)
        else:
            continue  # its variable or file is empty: it opens nothing
        keys.append(_Key(name, digest, frozenset(token.scopes), token.expires, token.person))
    return keys


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.strip().encode()).digest()


def _unknown(key: _Key | None) -> RefusedError:
    challenge = 'Bearer realm="agentpager"'
    if key is None:
        telemetry.http_refused.labels("token").inc()
        text = "send Authorization: Bearer and a token; see http.tokens in agentpager.yaml"
        return RefusedError(401, "unauthorized", text, {"WWW-Authenticate": challenge})
    telemetry.http_refused.labels("expired").inc()
    challenge += ', error="invalid_token"'
    text = f'the token "{key.name}" worked until {key.expires}; make another one with: agentpager token new'
    return RefusedError(401, "unauthorized", text, {"WWW-Authenticate": challenge})


def lacking(name: str, scope: ApiScope) -> RefusedError:
    telemetry.http_refused.labels("scope").inc()
    text = f'the token "{name}" lacks the scope "{scope}"; http.tokens in agentpager.yaml says what it may do'
    challenge = f'Bearer realm="agentpager", error="insufficient_scope", scope="{scope}"'
    return RefusedError(403, "forbidden", text, {"WWW-Authenticate": challenge}, {"scope": scope.value})


def _from_here(request: Request, settings: Http) -> None:
    """Raises RefusedError unless it is a program on this machine."""
    host = _hostname(f"//{request.headers.get('host', '')}")
    origin = request.headers.get("origin")
    why = ""
    if any(header in request.headers for header in _PROXIED):
        why = "give http.tokens in agentpager.yaml to be asked through a proxy"
    elif request.client is None or not _is_loopback(request.client.host):
        why = "give http.tokens in agentpager.yaml to allow other machines"
    elif host not in _LOCAL_NAMES | _own_names(settings):
        why = f'unknown host name "{host}"; give http.tokens in agentpager.yaml to be asked under another name'
    elif request.method not in _READS and origin is not None and _hostname(origin) != host:
        why = "requests from other sites are refused"
    if why:
        telemetry.http_refused.labels("elsewhere").inc()
        raise RefusedError(403, "forbidden", why)


def _address(request: Request) -> str:
    """Of IPv6 the network: one household has 2⁶⁴ addresses."""
    text = request.client.host if request.client is not None else ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _own_names(settings: Http) -> set[str]:
    return {_hostname(f"//{settings.listen}")} - {""}


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # a bracket too many
        return ""
