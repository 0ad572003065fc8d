"""Logging of both processes: structlog on standard error, lines of JSON unless a person is looking."""

from __future__ import annotations

import contextlib
import logging
import re  # noqa: TID251 - fixed patterns, never a user's
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor

from bot.audit.events import reason
from bot.audit.model import Entry
from bot.incidents.model import Incident
from bot.paging.attempt import Verdict

log = structlog.get_logger()

_MANY = 50  # rows of one transaction: of more the log says how many, the audit has each
# What somebody may have to look after; so are attempts that did not succeed.
_WARNINGS = frozenset(
    {
        "page.otherwise",
        "sla.breached",
        "action.failed",
        "action.delayed",
        "drill.failed",
        "test.unanswered",
        "clock.jumped",
        "clock.bounded",
    }
)
_OURS = frozenset({"event", "level", "timestamp", "process", "incident", "page", "subject", "by", "why"})
_on = False  # a command keeps its output to itself

_SECRETS = re.compile(r"xox[a-z]-[\w-]+|xapp-[\w-]+|agp_[\w-]+|(?<=Bearer )\S+|(?<=://)[^/@\s]+:[^/@\s]+(?=@)")


def set_up(process: str, level: int = logging.INFO) -> None:
    """`process` names the process in every line."""
    global _on  # noqa: PLW0603 - there is one log in a process
    _on = True
    console = sys.stderr.isatty()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        of_incident,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.dev.set_exc_info if console else structlog.processors.format_exc_info,
        _redact,
    ]
    renderer: Processor = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unbreakable(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    formatter = structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


def audited(entries: Sequence[Entry], known: Mapping[str, Incident]) -> None:
    """What has just been written down is a line each: an action of the audit log, about what, by whom, and why. `known`
    are incidents as they were saved with it."""
    if not _on:
        return
    try:
        _audited(entries, known)
    except Exception:  # it is committed: whoever has written it must not take it for failed
        log.exception("audit.not_logged")


def _audited(entries: Sequence[Entry], known: Mapping[str, Incident]) -> None:
    if len(entries) > _MANY:
        counts = dict(Counter(entry.action for entry in entries))
        log.info("many", count=len(entries), first=entries[0].subject, last=entries[-1].subject, actions=counts)
        return
    for entry in entries:
        name, page = entry.detail.get("incident") or entry.subject.partition(".")[0], entry.action.startswith("page.")
        about: dict[str, Any] = {"page": entry.subject} if page else {"subject": entry.subject}
        if name.startswith("INC-"):
            about = {"incident": known.get(name, name)} | (about if page else {})
        said = {"by": entry.actor, "why": reason(entry)}
        detail = {key: value for key, value in entry.detail.items() if key not in _OURS}
        failed = page and entry.action != f"page.{Verdict.SENT}"
        say = log.warning if failed or entry.action in _WARNINGS else log.info
        say(entry.action, **about, **detail, **{key: value for key, value in said.items() if value})


class _Unbreakable:
    """A stream whose reader may have gone: nobody is left unpaged because a line could not be logged."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


def redact(text: str) -> str:
    """Replaces tokens and passwords by three stars."""
    return _SECRETS.sub("***", text)


def _no_ids(_incident: Incident | str, _event: Mapping[str, Any]) -> dict[str, str]:
    return {}


# Of a line about an incident; bot.tracing knows its trace.
ids_of: Callable[[Incident | str, Mapping[str, Any]], dict[str, str]] = _no_ids


def of_incident(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """`incident` is one, or the id of one: the line has the id, and those of its trace."""
    about = event.get("incident")
    if isinstance(about, Incident):
        event = {**event, "incident": about.id}
    return {**event, **ids_of(about, event)} if isinstance(about, Incident | str) else event


def _redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}
