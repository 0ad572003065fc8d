"""What is to be scraped: one frozen object per target, whether it comes from the settings or from service discovery.

Pure: settings and discovered groups in, targets out. Labels follow Prometheus' rules for `__address__` and its kin.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from pydantic import ValidationError
from yarl import URL

from bot.metrics.naming import Naming
from bot.metrics.profiles import PROFILES, profiled
from bot.schema import format_duration, parse_duration
from bot.settings import Access, ProfileName, Scrape, Target

DEFAULT_JOB = "agents"


@dataclass(frozen=True)
class Group:
    """One entry of a file_sd or http_sd list: addresses and the labels they share, `__…` labels included."""

    source: str
    targets: tuple[str, ...]
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Spec:
    """One target, ready to be scraped. `key` tells targets apart and stays the same over reloads."""

    key: str
    url: str
    shown_url: str  # without a password
    pool: str
    access: Access
    naming: Naming
    interval_seconds: float
    timeout_seconds: float
    discovered: Mapping[str, str]
    profile: tuple[str, ...] = ()

    @property
    def offset_seconds(self) -> float:
        """Where in the interval this target's turn is: spread by hash, the same after a restart."""
        digest = hashlib.blake2b(self.key.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64 * self.interval_seconds


def static_specs(scrape: Scrape) -> tuple[list[Spec], list[str]]:
    """Targets of the settings, and what is wrong with those that cannot be used."""
    specs: list[Spec] = []
    problems: list[str] = []
    for number, target in enumerate(scrape.targets):
        try:
            specs.append(_spec(scrape, target, target.labels, {}))
        except ValueError as error:
            problems.append(f"metrics.scrape.targets[{number}]: {error}")
    return specs, problems


def discovered_specs(scrape: Scrape, groups: Iterable[Group]) -> tuple[list[Spec], list[str]]:
    """Targets of discovered groups, and what is wrong with those that cannot be used."""
    specs: list[Spec] = []
    problems: list[str] = []
    for group in groups:
        for address in group.targets:
            try:
                specs.append(_discovered(scrape, group, address))
            except ValueError as error:
                problems.append(f"{group.source}: target {address[:200]!r}: {_words(error)}")
    return specs, problems


def distinct(specs: Iterable[Spec]) -> dict[str, Spec]:
    """By key; a target that two lists bring is scraped once, as the first list says."""
    found: dict[str, Spec] = {}
    for spec in specs:
        found.setdefault(spec.key, spec)
    return found


def _discovered(scrape: Scrape, group: Group, address: str) -> Spec:
    labels = {"__address__": address, **group.labels}
    query = [(name.removeprefix("__param_"), value) for name, value in labels.items() if name.startswith("__param_")]
    scheme = labels.get("__scheme__", "http")
    if scheme not in {"http", "https"}:
        raise ValueError(f"__scheme__ is {scheme[:40]!r}; http and https are known")
    if not address or any(sign in address for sign in "/?#@ \t\n") or "__address__" in group.labels:
        raise ValueError("expected host:port")
    path = labels.get("__metrics_path__", "/metrics")
    url = URL(f"{scheme}://{address}/{path.removeprefix('/')}").with_fragment(None).extend_query(query)
    target = Target(
        url=str(url),
        interval=_duration(labels, "__scrape_interval__"),
        timeout=_duration(labels, "__scrape_timeout__"),
        profile=_profile(labels),
    )
    kept = {name: value for name, value in labels.items() if not name.startswith("__")}
    return _spec(scrape, target, kept, labels)


def _profile(labels: Mapping[str, str]) -> tuple[ProfileName, ...]:
    """Of a discovered target; several have commas between them."""
    names = [name.strip() for name in labels.get("__profile__", "").split(",") if name.strip()]
    unknown = next((name for name in names if name not in PROFILES), None)
    if unknown is not None:
        raise ValueError(f"__profile__ names {unknown[:40]!r}; known are {', '.join(PROFILES)}")
    return cast("tuple[ProfileName, ...]", tuple(names))


def _words(error: ValueError) -> str:
    return "; ".join(each["msg"] for each in error.errors()) if isinstance(error, ValidationError) else str(error)


def _duration(labels: Mapping[str, str], name: str) -> timedelta | None:
    if name not in labels:
        return None
    value = parse_duration(labels[name])
    if value <= timedelta():
        raise ValueError(f"{name} must be more than nothing")
    return value


def _spec(scrape: Scrape, target: Target, own: Mapping[str, str], discovered: Mapping[str, str]) -> Spec:
    target = profiled(target)
    url = URL(target.url)
    if not url.host:
        raise ValueError("the url names no host")
    reserved = next((name for name in own if name.startswith("__")), None)
    if reserved is not None:
        raise ValueError(f"label {reserved[:60]!r}: names that start with __ are reserved")
    address = f"{url.host_subcomponent}:{url.port}"
    labels = {"job": DEFAULT_JOB, "instance": address, **own}
    labels = {name: value for name, value in labels.items() if value}
    interval = target.interval or scrape.interval
    timeout = min(target.timeout or scrape.timeout, interval)  # a scrape that outlives its turn would skip the next
    naming = Naming(
        labels=labels,
        limits=target.limits or scrape.limits,
        honor_labels=target.honor_labels,
        honor_timestamps=target.honor_timestamps,
        label_map=target.label_map,
        drop_labels=frozenset(target.drop_labels),
        on_duplicate=target.on_duplicate,
        keep_created=target.keep_created,
    )
    before = {
        "__address__": address,
        "__metrics_path__": url.path,
        "__scheme__": url.scheme,
        "__scrape_interval__": format_duration(interval),
        "__scrape_timeout__": format_duration(timeout),
        "job": labels.get("job", ""),
    }
    shown = url.with_password("xxxxx") if url.password else url
    return Spec(
        key="\x00".join((target.url, *(f"{name}={labels[name]}" for name in sorted(labels)))),
        url=target.url,
        shown_url=str(shown),
        pool=labels.get("job", DEFAULT_JOB),
        access=Access(
            bearer_token=target.bearer_token,
            bearer_token_file=target.bearer_token_file,
            basic_auth=target.basic_auth,
            tls=target.tls,
        ),
        naming=naming,
        interval_seconds=interval.total_seconds(),
        timeout_seconds=timeout.total_seconds(),
        discovered={**before, **own, **discovered},
        profile=target.profile,
    )
