"""The error tree, and the finding that every complaint about a user's file is made of.

AgentpagerError
├── ConfigError        the user's file: carries every finding at once
├── UsageError         the user's command: unknown person, incident, option
├── QueryError         the user's PromQL: does not parse, unsupported, over a limit, fails at run time
├── TemplateError      the user's template: does not parse, uses an unknown name, fails when rendered
├── ConflictError      the user's click came too late: names the state the incident is in now
├── LeaseLostError     another process has taken over the database: this one must write nothing any more
├── StaleReplicaError  this replica was given up by the others: it must renew before it writes anything
└── RemoteError        the other side: carries `permanent`, `retry_after_seconds`, `unknown`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, order=True)
class Finding:
    """One mistake in one file. `line` and `column` count from 1; 0 means the file as a whole. Those of runbooks have a
    `number` too, RB030."""

    file: str
    line: int
    column: int
    code: str
    message: str
    severity: Severity = "error"
    hint: str = ""
    number: str = ""

    def __str__(self) -> str:
        code = f"{self.number} {self.code}" if self.number else self.code
        text = f"{self.file}:{self.line}:{self.column} {code} {self.message}"
        return f"{text} ({self.hint})" if self.hint else text


class AgentpagerError(Exception):
    """Root of everything this project raises on purpose."""


class ConfigError(AgentpagerError):
    """The configuration cannot be used. `findings` holds every mistake found, in file order."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(sorted(findings))
        super().__init__("\n".join(str(finding) for finding in self.findings))


class UsageError(AgentpagerError):
    """A command names something that does not exist or makes no sense."""


class SeveralError(UsageError):
    """It may mean several things; `names` are those to choose from."""

    def __init__(self, message: str, names: Sequence[str]) -> None:
        self.names = tuple(names)
        super().__init__(message)


class QueryError(AgentpagerError):
    """A PromQL expression cannot be answered. `kind` follows Prometheus' API error types."""

    def __init__(
        self, message: str, kind: Literal["bad_data", "execution", "timeout", "unavailable"] = "bad_data"
    ) -> None:
        self.kind = kind
        super().__init__(message)


class EngineDownError(QueryError):
    """The engine elsewhere that holds the samples has not answered, or not wholly: the expression may be in order."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "unavailable")


class UnsupportedQueryError(QueryError):
    """Valid PromQL that this engine does not answer; the message names the function or feature."""


class TemplateError(AgentpagerError):
    """A template cannot be read or rendered. `offset` counts characters from the start of its source."""

    def __init__(self, message: str, offset: int = 0) -> None:
        self.offset = offset
        super().__init__(message)


class ConflictError(AgentpagerError):
    """The incident has moved on since the button was drawn. `holder` is whoever has it, where that is the reason."""

    def __init__(self, message: str, holder: str | None = None) -> None:
        self.holder = holder
        super().__init__(message)


class LeaseLostError(AgentpagerError):
    """Another process has taken over the database, or the lead among the replicas that share it."""


class StaleReplicaError(AgentpagerError):
    """This replica gave no sign of life for so long that others have taken over what was its. What it found out
    meanwhile must not be written down once it has renewed."""


class RemoteError(AgentpagerError):
    """The other side refused or failed.

    permanent            trying the same again is pointless
    retry_after_seconds  the other side asked us to wait this long
    unknown              the request may have been carried out all the same
    code                 the other side's own word for it, for example `channel_not_found`
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        permanent: bool = False,
        retry_after_seconds: float | None = None,
        unknown: bool = False,
    ) -> None:
        self.code = code
        self.permanent = permanent
        self.retry_after_seconds = retry_after_seconds
        self.unknown = unknown
        super().__init__(message)
