"""The tables. Values live whole in `doc` as the JSON of their model; the columns beside it are what queries ask for.

Instants are seconds since the epoch, UTC. A migration in `migrations/` brings an older database here.

On PostgreSQL text has no length, for SQLite never looked at one, and is compared by code points, as there; what grows
with every transaction has 64 bits.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, Table, Text, text
from sqlalchemy import String as PlainString
from sqlalchemy.types import TypeEngine

metadata = MetaData()


def String(length: int) -> TypeEngine[str]:  # noqa: N802 - a type, as the others
    return PlainString(length).with_variant(Text(), "postgresql")


Long = Integer().with_variant(BigInteger, "postgresql")

# SQLite uses a partial index only for a query that repeats its condition word for word.
LIVE = text("state <> 'resolved' OR next_at IS NOT NULL")
UNRESOLVED = text("state <> 'resolved'")
WAITING = text("state IN ('due', 'sending', 'unknown')")
BEHIND = text("behind = 1")
MERGED = text("lead IS NOT NULL")
LEADS = text("lead = id")

incidents = Table(
    "incidents",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("key", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("next_at", Double),
    Column("opened_at", Double, nullable=False),
    Column("resolved_at", Double),
    Column("version", Long, nullable=False, server_default="0"),  # the counter of that name when it was saved
    Column("doc", Text, nullable=False),
    Index("incidents_opened_at", "opened_at"),
    Index("incidents_resolved_at", "resolved_at", sqlite_where=text("resolved_at IS NOT NULL")),
    Index("incidents_version", "version"),
    Index("incidents_unresolved", "state", sqlite_where=LIVE),
    Index("incidents_next_at", "next_at", sqlite_where=text("next_at IS NOT NULL")),
    # At most one incident per key is not resolved, whatever the code above believes.
    Index("incidents_one_per_key", "key", unique=True, sqlite_where=UNRESOLVED),
)

pages = Table(
    "pages",
    metadata,
    Column("id", String(160), primary_key=True),
    Column("incident", String(32), index=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("person", String(64)),
    Column("channel", String(320)),
    Column("lead", String(160)),
    Column("due_at", Double, nullable=False),
    Column("slack_channel", String(64)),
    Column("ts", String(32)),
    Column("shown_revision", Integer, nullable=False),
    Column("version", Long, nullable=False, server_default="0"),
    Column("behind", Integer, nullable=False, server_default="0"),  # 1: its message shows an older revision
    Column("doc", Text, nullable=False),
    Index("pages_waiting", "due_at", sqlite_where=WAITING),
    Index("pages_behind", "due_at", sqlite_where=BEHIND),
    Index("pages_version", "version"),
    Index("pages_lead", "lead", sqlite_where=MERGED),
    Index("pages_leads", "due_at", sqlite_where=LEADS),
    Index("pages_address", "slack_channel", "ts"),
)

audit = Table(
    "audit",
    metadata,
    Column("sequence", Long, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
    Column("subject", String(160), nullable=False, index=True),
    Column("doc", Text, nullable=False),
    Column("hash", String(64), nullable=False),
)

rule_states = Table(
    "rule_states",
    metadata,
    Column("group", Text, primary_key=True),
    Column("evaluated_at", Double, nullable=False),
    Column("state", Text, nullable=False),
)

clicks = Table("clicks", metadata, Column("key", String(255), primary_key=True), Column("at", Double, nullable=False))

silences = Table(
    "silences",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("ends_at", Double, nullable=False, index=True),
    Column("doc", Text, nullable=False),
)

# What the on-call files said when an incident opened, as the JSON of sources.Sources.
snapshots = Table(
    "snapshots", metadata, Column("id", String(64), primary_key=True), Column("doc", Text, nullable=False)
)

# The last good copy of each calendar that is read from an address.
feeds = Table("feeds", metadata, Column("url", Text, primary_key=True), Column("doc", Text, nullable=False))

# Keys made at the first start: they sign acknowledgement links and calendar addresses.
keys = Table(
    "keys", metadata, Column("name", String(64), primary_key=True), Column("value", String(128), nullable=False)
)

renderings = Table(
    "renderings", metadata, Column("incident", String(32), primary_key=True), Column("doc", Text, nullable=False)
)

# Requests of runbooks to declared webhooks; `due_at` is empty once a run is over.
action_runs = Table(
    "action_runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("incident", String(32), nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("due_at", Double),
    Column("doc", Text, nullable=False),
    Index("action_runs_due_at", "due_at", sqlite_where=text("due_at IS NOT NULL")),
)

# Overrides and swaps that people made beside the files.
rota_changes = Table(
    "rota_changes",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("until", Double, nullable=False, index=True),
    Column("doc", Text, nullable=False),
)

# What each agent did, by the hour: `upto` is the last minute that is counted in it, so that none counts twice.
agent_hours = Table(
    "agent_hours",
    metadata,
    Column("agent", String(255), primary_key=True),
    Column("hour", Double, primary_key=True),
    Column("upto", Double, nullable=False),
    Column("doc", Text, nullable=False),
    Index("agent_hours_hour", "hour"),
)

# What was shown once and counts for a while: drills, kill switches that were tried, promotions.
evidence = Table(
    "evidence",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("agent", String(255), nullable=False),
    Column("at", Double, nullable=False),
    Column("doc", Text, nullable=False),
    Index("ix_evidence_agent_kind_at", "agent", "kind", "at"),
)

# `version` grows with each transaction that saves incidents or pages; `incidents.<state>` and `pages.<state>` count
# rows, kept by triggers, so that nobody has to count a million of them.
counters = Table(
    "counters", metadata, Column("name", String(64), primary_key=True), Column("value", Long, nullable=False)
)

# Who may write. A process that finds a higher epoch than its own has been replaced.
lease = Table(
    "lease",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", Long, nullable=False),
    Column("expires_at", Double, nullable=False),
)

# The processes that share the database, by its own clock. SQLite has one alone, and no row here.
replicas = Table(
    "replicas",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("url", Text, nullable=False),
    Column("groups", Text, nullable=False),  # JSON: names of the rule groups of its configuration
    Column("watching", Integer, nullable=False),  # 1: it can evaluate them now
    Column("started_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
)
