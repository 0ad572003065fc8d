"""Finds what looks like a password or token in a text that many people read. Never repeats what it found."""

from __future__ import annotations

import re  # noqa: TID251 - fixed patterns, never a user's
from typing import NamedTuple

# What it is, and how the issuer says that it looks. Where there is a group, the finger points at it.
_KINDS = (
    ("a Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-\d-[A-Za-z0-9-]{10,}"),
    ("the secret address of a Slack webhook", r"hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]+"),
    ("an AWS access key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    ("a GitHub token", r"\bgh[opsur]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}"),
    ("a GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    ("a Google API key", r"\bAIza[A-Za-z0-9_-]{35}"),
    ("an API key of a model provider", r"\bsk-(?:[a-z]+-)*[A-Za-z0-9_-]{20,}"),
    ("a Stripe key", r"\b[rs]k_live_[A-Za-z0-9]{16,}"),
    ("a token of agentpager", r"\bagp_[A-Za-z0-9_-]{20,}"),
    ("a private key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    ("a JSON web token", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    ("a bearer token", r"(?i)\bbearer\s+([A-Za-z0-9._~+/-]{20,})"),
    ("a password in an address", r"\b[a-z][a-z0-9+.-]*://[^\s/:@{}$<]+:([^\s/@{}$<*]+)@"),
    (
        "a password",
        r"""(?i)(?:password|passwd|pwd|secret|token|api[_-]?key)["']?\s*[=:]\s*["']?((?=[^\s"']*\d)(?=[^\s"']*[A-Za-z])[^\s"'{}$<>()/,;&|]{8,})""",
    ),
)
_PATTERNS = tuple((what, re.compile(pattern)) for what, pattern in _KINDS)


class Secret(NamedTuple):
    line: int
    column: int
    what: str


def secrets(text: str) -> list[Secret]:
    """At most one a line, with the place where it begins."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        for what, pattern in _PATTERNS:
            match = pattern.search(line)
            if match is not None:
                found.append(Secret(number, match.start(match.lastindex or 0) + 1, what))
                break
    return found
