"""Reads a configuration directory: `agentpager.yaml` and every file it names, as text, with what went wrong on the way.

The only part of the configuration that touches the disk and the environment. What the text means is config.py's work.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re  # noqa: TID251 - fixed pattern, never a user's
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr

from bot import complaints
from bot.errors import Finding, UsageError
from bot.oncall import feeds, ical
from bot.oncall.changes import RotaChange
from bot.oncall.feeds import Copy
from bot.schema import Model
from bot.settings import (
    Actions,
    Agents,
    Bridge,
    Http,
    Incidents,
    Notify,
    Oncall,
    Rules,
    Runbooks,
    Slack,
    Slos,
    Store,
    Tracing,
)
from bot.yamldoc import MAX_BYTES, Document, scan

Kind = Literal["rules", "runbooks", "agents", "oncall", "incidents", "slos"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MAX_FILES = 2000  # of one kind; a stray ** must not read the whole disk
VARIABLE = re.compile(r"(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)\}")  # a doubled $ keeps the text as it is
_SECTIONS: dict[Kind, type[Rules | Runbooks | Agents | Oncall | Incidents | Slos]] = {
    "rules": Rules,
    "runbooks": Runbooks,
    "agents": Agents,
    "oncall": Oncall,
    "incidents": Incidents,
    "slos": Slos,
}
_SECRET_SECTIONS: dict[str, Any] = {
    "slack": Slack,
    "http": Http,
    "notify": Notify,
    "actions": Actions,
    "bridges": dict[str, Bridge],
    "store": Store,
    "tracing": Tracing,
}


class Source(Model):
    """One file: its name relative to the directory of `agentpager.yaml`, and its text."""

    file: str
    text: str


class Sources(Model):
    """Everything a configuration is made of, as plain data that may cross to the other process.

    `calendars` holds the iCal files that on-call files name, by the path as it is written there; of those at an address
    the last good copy, by the address as it is written, which `feeds` lists. One that was never read is not there.
    `changes` are the overrides and swaps that people made beside the files.
    `env` holds the variables that `agentpager.yaml` names, `secrets` what its `*_file` keys of slack, http, notify and
    actions led to (by dotted name of the key they fill), `findings` what could not be read.
    """

    base_dir: str
    main: Source | None
    files: dict[Kind, tuple[Source, ...]]
    calendars: dict[str, Source] = {}
    feeds: tuple[str, ...] = ()
    changes: tuple[RotaChange, ...] = ()
    env: dict[str, str] = {}
    secrets: dict[str, str] = {}
    findings: tuple[Finding, ...] = ()
    digest: str

    @property
    def book_digest(self) -> str:
        """Changes with what the on-call files and the calendars they name say."""
        return _digest([*self.files["oncall"], *self.calendars.values(), *_as_files(self.changes)])

    def with_changes(self, changes: Sequence[RotaChange]) -> Sources:
        """The same files with other overrides and swaps beside them."""
        main = [self.main] if self.main is not None else []
        every = [*main, *_every(self.files, self.calendars), *_as_files(changes)]
        return self.model_copy(update={"changes": tuple(changes), "digest": _digest(every)})

    def for_book(self) -> Sources:
        """What says who is on duty and nothing else: it is kept for the incidents that open with it."""
        files = {kind: self.files[kind] if kind == "oncall" else () for kind in KINDS}
        bare = {"base_dir": "", "main": None, "files": files, "env": {}, "secrets": {}, "findings": ()}
        return self.model_copy(update=bare | {"digest": self.book_digest})

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Sources:
        return cls.model_validate(data)

    def for_watcher(self) -> Sources:
        """Without the secrets that only the pager needs: the watcher reads things nobody vouches for. Without calendars
        too: it wakes nobody."""
        document, _ = scan(self.main.text, self.main.file) if self.main else (None, [])
        data = document.data if document is not None and isinstance(document.data, dict) else {}
        wanted = variables(str(_without(data, set(_secret_places(data)), ())))
        env = {name: value for name, value in self.env.items() if name in wanted}
        findings = tuple(finding for finding in self.findings if finding.severity == "error")
        return self.model_copy(update={"env": env, "secrets": {}, "calendars": {}, "changes": (), "findings": findings})


def _without(data: Any, places: set[tuple[str, ...]], here: tuple[str, ...]) -> Any:
    if not isinstance(data, dict):
        return data
    kept = {key: value for key, value in data.items() if (*here, key) not in places}
    return {key: _without(value, places, (*here, key)) for key, value in kept.items()}


def _secret_places(data: Any) -> Iterator[tuple[str, ...]]:
    """Where the pager's secrets stand, or would stand, in `agentpager.yaml`."""
    for section, model in _SECRET_SECTIONS.items():
        yield from _secrets_in(model, data.get(section) if isinstance(data, dict) else None, (section,))


def _secrets_in(annotation: Any, data: Any, here: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """A model's keys, the entries of a mapping; lists have no secrets of ours in them."""
    if annotation is SecretStr:
        yield here
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for key, field in annotation.model_fields.items():
            inner = data.get(key) if isinstance(data, dict) else None
            yield from _secrets_in(field.annotation, inner, (*here, key))
    elif get_origin(annotation) is dict:
        for key in data if isinstance(data, dict) else ():
            yield from _secrets_in(get_args(annotation)[1], data[key], (*here, key))
    else:  # a union, or a type with its constraints
        for part in get_args(annotation):
            yield from _secrets_in(part, data, here)


def variables(text: str) -> set[str]:
    return {name for escape, name in VARIABLE.findall(text) if not escape}


def read_sources(
    path: Path,
    env: Mapping[str, str],
    copies: Mapping[str, Copy] | None = None,
    changes: Sequence[RotaChange] = (),
) -> Sources:
    """Reads `path` (`agentpager.yaml` or its directory) and all it names. Raises UsageError if it is not there.

    `copies` are what is kept of calendars at an address, by the address as it is written: here nobody is asked.
    `changes` are the overrides and swaps that people made."""
    main = path / "agentpager.yaml" if path.is_dir() else path
    if not main.is_file():
        raise UsageError(f'no configuration at "{main}"; make one with: agentpager init DIR')
    base = main.parent.absolute()
    findings: list[Finding] = []
    text = _read(main, main.name, findings)
    document, _ = scan(text, main.name)
    files = {kind: tuple(_matched(base, kind, document, findings)) for kind in KINDS}
    _check_targets(base, document, findings)
    named: list[str] = []
    calendars = dict(_calendars(base, files["oncall"], env, copies or {}, findings, named))
    secrets = dict(_secrets(base, document, findings))
    read = Sources(
        base_dir=str(base),
        main=Source(file=main.name, text=text),
        files=files,
        calendars=calendars,
        feeds=tuple(named),
        env={name: env[name] for name in sorted(variables(text)) if name in env},
        secrets=secrets,
        findings=tuple(findings),
        digest=_digest([Source(file=main.name, text=text), *_every(files, calendars)]),
    )
    return read.with_changes(changes) if changes else read


def read_loose(
    base: Path, paths: list[Path], env: Mapping[str, str] | None = None, copies: Mapping[str, Copy] | None = None
) -> Sources:
    """Files without an `agentpager.yaml`, each taken for what its first keys say it is."""
    findings: list[Finding] = []
    files: dict[Kind, tuple[Source, ...]] = dict.fromkeys(KINDS, ())
    for path in paths:
        name = _relative(path, base)
        source = Source(file=name, text=_read(path, name, findings))
        kind = kind_of(source.text)
        if kind is None:
            hint = "expected groups (rules), schema (runbook), agents, people and schedules, inhibit_rules, or OpenSLO"
            findings.append(Finding(name, 1, 1, "unknown-file", "cannot tell what this file is for", hint=hint))
        else:
            files[kind] = (*files[kind], source)
    named: list[str] = []
    calendars = dict(_calendars(base, files["oncall"], env or {}, copies or {}, findings, named))
    return Sources(
        base_dir=str(base.absolute()),
        main=None,
        files=files,
        calendars=calendars,
        feeds=tuple(named),
        findings=tuple(findings),
        digest=_digest(_every(files, calendars)),
    )


def _as_files(changes: Sequence[RotaChange]) -> list[Source]:
    return [Source(file=change.id, text=change.model_dump_json()) for change in changes]


def _every(files: Mapping[Kind, tuple[Source, ...]], calendars: Mapping[str, Source]) -> list[Source]:
    return [*(source for kind in KINDS for source in files[kind]), *calendars.values()]


_FIRST_KEYS: dict[str, Kind] = {
    "groups": "rules",
    "schema": "runbooks",
    "applies_to": "runbooks",
    "steps": "runbooks",
    "agents": "agents",
    "people": "oncall",
    "teams": "oncall",
    "schedules": "oncall",
    "escalation_policies": "oncall",
    "holidays": "oncall",
    "fallback": "oncall",
    "grouping": "incidents",
    "inhibit_rules": "incidents",
    "mute_windows": "incidents",
    "maintenance": "incidents",
    "flapping": "incidents",
    "reopen_window": "incidents",
    "sla": "incidents",
    "apiVersion": "slos",
}


def kind_of(text: str) -> Kind | None:
    """Told by the keys at the start of lines, so that a file that is not valid YAML is still told by them."""
    for line in text.splitlines():
        key = line.split(":")[0]
        if key in _FIRST_KEYS:
            return _FIRST_KEYS[key]
    return None


def _matched(base: Path, kind: Kind, document: Document | None, findings: list[Finding]) -> Iterator[Source]:
    written = document is not None and document.node((kind, "files")) is not None
    section = None
    if document is not None and document.node((kind,)) is not None:
        section, _ = document.read(_SECTIONS[kind], (kind,))
    patterns = (section or _SECTIONS[kind]()).files
    seen: set[Path] = set()
    for index, pattern in enumerate(patterns):
        paths = [path for path in _glob(base, pattern) if path.is_file()]
        if not paths and written and document is not None:
            message = f"no file matches {complaints.quote(pattern)}"
            hint = "the path counts from the directory of agentpager.yaml"
            place = (kind, "files", index)
            findings.append(document.finding(place, "no-match", message, hint, severity="warning"))
        for path in paths:
            if len(seen) == MAX_FILES:
                text = f"more than {MAX_FILES} files match"
                findings.append(Finding("agentpager.yaml", 0, 0, "yaml-limit", text, hint=f"narrow {kind}.files"))
                return
            if path.resolve() not in seen:
                seen.add(path.resolve())
                name = _relative(path, base)
                yield Source(file=name, text=_read(path, name, findings))


def _calendars(
    base: Path,
    files: tuple[Source, ...],
    env: Mapping[str, str],
    copies: Mapping[str, Copy],
    findings: list[Finding],
    named: list[str],
) -> Iterator[tuple[str, Source]]:
    """The iCal files of holidays and layers; relative paths count from the directory of agentpager.yaml. Those at an
    address are `named`."""
    seen: set[str] = set()
    for source in files:
        document = scan(source.text, source.file)[0] if "ical" in source.text else None
        for place, written in _written_calendars(document.data if document is not None else None):
            if written in seen or document is None:
                continue
            seen.add(written)
            if feeds.is_feed(written):
                named.append(written)
                copy = copies.get(written, Copy())
                findings += _of_feed(document, place, written, copy, env)
                if copy.text:
                    yield written, Source(file=feeds.shown(written), text=copy.text)
                continue
            path = base / written
            if "\0" not in written and path.is_file():
                name = _relative(path, base)
                yield written, Source(file=name, text=_read(path, name, findings, ical.MAX_BYTES))
            else:
                text = f"there is no file {complaints.quote(written)}"
                hint = "the path counts from the directory of agentpager.yaml"
                findings.append(document.finding(place, "unreadable", text, hint))


def _of_feed(
    document: Document, place: tuple[str | int, ...], written: str, copy: Copy, env: Mapping[str, str]
) -> Iterator[Finding]:
    """A calendar at an address never stops a configuration, unless the file names what can be no address."""
    why = copy.error
    try:
        feeds.address(written, env)
    except ValueError as error:
        why = str(error)
        if not feeds.variables(written):
            hint = "write for example https://example.com/rota.ics"
            yield document.finding(place, "bad-value", why, hint)
            return
    if not copy.text:
        text = f"the calendar at {feeds.shown(written)} has not been read{f': {why}' if why else ' yet'}"
        hint = "until it is, nobody is on duty by it; try check --fetch"
        yield document.finding(place, "feed-not-read", text, hint, severity="warning")


def _written_calendars(data: Any) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for section in ("holidays", "schedules"):
        entries = data.get(section) if isinstance(data, dict) else None
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            layers = entry.get("layers") if isinstance(entry, dict) and section == "schedules" else None
            parts: list[tuple[tuple[str | int, ...], Any]] = [((section, name), entry)] if layers is None else []
            if isinstance(layers, list):
                parts += [((section, name, "layers", index), layer) for index, layer in enumerate(layers)]
            for place, part in parts:
                if isinstance(part, dict) and isinstance(part.get("ical"), str):
                    yield (*place, "ical"), part["ical"]


def _check_targets(base: Path, document: Document | None, findings: list[Finding]) -> None:
    """Target files may come and go while we run, their folder may not."""
    data = document.data if document is not None else None
    for key in ("metrics", "scrape", "file_sd"):
        data = data.get(key) if isinstance(data, dict) else None
    if document is None or not isinstance(data, list):
        return
    for index, pattern in enumerate(data):
        path = ("metrics", "scrape", "file_sd", index)
        if not isinstance(pattern, str):
            continue
        if not pattern.endswith((".yaml", ".yml", ".json")):
            text = f"{complaints.quote(pattern)} names no .yaml, .yml or .json file"
            findings.append(document.finding(path, "bad-value", text, "write for example targets/*.yaml"))
        elif not _glob(base, pattern) and not _glob(base, str(Path(pattern).parent)):
            text = f"no file matches {complaints.quote(pattern)}, and its folder does not exist"
            hint = "the path counts from the directory of agentpager.yaml"
            findings.append(document.finding(path, "no-match", text, hint, severity="warning"))


def _glob(base: Path, pattern: str) -> list[Path]:
    try:
        return [Path(name) for name in sorted(glob.glob(str(base / pattern), recursive=True))]  # noqa: PTH207 - may be absolute
    except (ValueError, OSError):  # a null byte, a name too long
        return []


def _relative(path: Path, base: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()


def _read(path: Path, name: str, findings: list[Finding], limit: int = MAX_BYTES) -> str:
    """At most a little more than the limit is read: whoever parses it complains about the rest."""
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 4)
    except OSError as error:
        findings.append(Finding(name, 0, 0, "unreadable", f"cannot be read: {error.strerror}"))
        return ""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        if len(raw) <= limit:
            line = raw.count(b"\n", 0, error.start) + 1
            column = error.start - raw.rfind(b"\n", 0, error.start)
            text = f"byte 0x{raw[error.start]:02x} is not UTF-8"
            findings.append(Finding(name, line, column, "yaml-syntax", text, hint="save the file as UTF-8"))
        return raw.decode(errors="replace")


def _secrets(base: Path, document: Document | None, findings: list[Finding]) -> Iterator[tuple[str, str]]:
    """What `bot_token_file` and its like hold. One that is not there yet is no mistake of the file: `serve` asks."""
    for place in dict.fromkeys(_secret_places(document.data)) if document is not None else ():
        by_file = (*place[:-1], f"{place[-1]}_file")
        text = getattr(document.node(by_file), "text", None) if document is not None else None
        if document is None or not text:
            continue
        path = base / text
        try:
            mode = path.stat().st_mode
            yield ".".join(place), path.read_text()[:8192].strip()
        except (OSError, ValueError):
            continue
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            message = f"{complaints.quote(text)} may be read by everybody on this machine"
            hint = f"chmod 600 {text}"
            findings.append(document.finding(by_file, "open-secret", message, hint, severity="warning"))


def _digest(sources: list[Source]) -> str:
    """Changes with any file's name or text; says nothing about secrets."""
    digest = hashlib.sha256()
    for source in sources:
        for part in (source.file, source.text):
            encoded = part.encode("utf-8", "replace")
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()
