"""Replicas; and everything on PostgreSQL, whose history begins here."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for statement in _POSTGRESQL.split(";;"):
            op.execute(statement)
        return
    op.create_table(
        "replicas",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("groups", sa.Text, nullable=False),
        sa.Column("watching", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        raise NotImplementedError("there is nothing below it")
    op.drop_table("replicas")


# Text is compared by code points, as SQLite does: ranges and orders of names rely on it.
# A key may be longer than the entry of an ordered index may be, so that a hash keeps it unique.
# `pages.place` is what SQLite has as rowid: in which order they were added.
_POSTGRESQL = """
CREATE TABLE incidents (
    id text COLLATE "C" PRIMARY KEY,
    number integer NOT NULL UNIQUE,
    key text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    revision integer NOT NULL,
    next_at double precision,
    opened_at double precision NOT NULL,
    resolved_at double precision,
    version bigint NOT NULL DEFAULT 0,
    doc text COLLATE "C" NOT NULL
);;
CREATE INDEX incidents_opened_at ON incidents (opened_at);;
CREATE INDEX incidents_resolved_at ON incidents (resolved_at) WHERE resolved_at IS NOT NULL;;
CREATE INDEX incidents_version ON incidents (version);;
CREATE INDEX incidents_unresolved ON incidents (state) WHERE state <> 'resolved' OR next_at IS NOT NULL;;
CREATE INDEX incidents_next_at ON incidents (next_at) WHERE next_at IS NOT NULL;;
ALTER TABLE incidents ADD CONSTRAINT incidents_one_per_key EXCLUDE USING hash (key WITH =) WHERE (state <> 'resolved');;
CREATE TABLE pages (
    id text COLLATE "C" PRIMARY KEY,
    place bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    incident text COLLATE "C",
    kind text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    person text COLLATE "C",
    channel text COLLATE "C",
    lead text COLLATE "C",
    due_at double precision NOT NULL,
    slack_channel text COLLATE "C",
    ts text COLLATE "C",
    shown_revision integer NOT NULL,
    version bigint NOT NULL DEFAULT 0,
    behind integer NOT NULL DEFAULT 0,
    doc text COLLATE "C" NOT NULL
);;
CREATE INDEX ix_pages_incident ON pages (incident);;
CREATE INDEX pages_waiting ON pages (due_at) WHERE state IN ('due', 'sending', 'unknown');;
CREATE INDEX pages_behind ON pages (due_at) WHERE behind = 1;;
CREATE INDEX pages_version ON pages (version);;
CREATE INDEX pages_lead ON pages (lead) WHERE lead IS NOT NULL;;
CREATE INDEX pages_leads ON pages (due_at) WHERE lead = id;;
CREATE INDEX pages_address ON pages (slack_channel, ts);;
CREATE TABLE audit (
    sequence bigint PRIMARY KEY,
    at double precision NOT NULL,
    subject text COLLATE "C" NOT NULL,
    doc text COLLATE "C" NOT NULL,
    hash text COLLATE "C" NOT NULL
);;
CREATE INDEX ix_audit_subject ON audit (subject);;
CREATE FUNCTION agentpager_audit_is_appended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit rows are only appended';
END $$;;
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION agentpager_audit_is_appended();;
REVOKE UPDATE, DELETE, TRUNCATE ON audit FROM PUBLIC, CURRENT_USER;;
CREATE TABLE rule_states (
    "group" text COLLATE "C" PRIMARY KEY,
    evaluated_at double precision NOT NULL,
    state text COLLATE "C" NOT NULL
);;
CREATE TABLE clicks (key text COLLATE "C" PRIMARY KEY, at double precision NOT NULL);;
CREATE TABLE silences (
    id text COLLATE "C" PRIMARY KEY,
    number integer NOT NULL UNIQUE,
    ends_at double precision NOT NULL,
    doc text COLLATE "C" NOT NULL
);;
CREATE INDEX ix_silences_ends_at ON silences (ends_at);;
CREATE TABLE snapshots (id text COLLATE "C" PRIMARY KEY, doc text COLLATE "C" NOT NULL);;
CREATE TABLE feeds (url text COLLATE "C" PRIMARY KEY, doc text COLLATE "C" NOT NULL);;
CREATE TABLE keys (name text COLLATE "C" PRIMARY KEY, value text COLLATE "C" NOT NULL);;
CREATE TABLE renderings (incident text COLLATE "C" PRIMARY KEY, doc text COLLATE "C" NOT NULL);;
CREATE TABLE action_runs (
    id text COLLATE "C" PRIMARY KEY,
    incident text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    due_at double precision,
    doc text COLLATE "C" NOT NULL
);;
CREATE INDEX ix_action_runs_incident ON action_runs (incident);;
CREATE INDEX action_runs_due_at ON action_runs (due_at) WHERE due_at IS NOT NULL;;
CREATE TABLE rota_changes (
    id text COLLATE "C" PRIMARY KEY,
    number integer NOT NULL UNIQUE,
    until double precision NOT NULL,
    doc text COLLATE "C" NOT NULL
);;
CREATE INDEX ix_rota_changes_until ON rota_changes (until);;
CREATE TABLE agent_hours (
    agent text COLLATE "C",
    hour double precision,
    upto double precision NOT NULL,
    doc text COLLATE "C" NOT NULL,
    PRIMARY KEY (agent, hour)
);;
CREATE INDEX agent_hours_hour ON agent_hours (hour);;
CREATE TABLE evidence (
    number serial PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    agent text COLLATE "C" NOT NULL,
    at double precision NOT NULL,
    doc text COLLATE "C" NOT NULL
);;
CREATE INDEX ix_evidence_agent_kind_at ON evidence (agent, kind, at);;
CREATE TABLE counters (name text COLLATE "C" PRIMARY KEY, value bigint NOT NULL) WITH (fillfactor = 20);;
INSERT INTO counters VALUES ('version', 0);;
CREATE TABLE lease (
    name text COLLATE "C" PRIMARY KEY,
    holder text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    expires_at double precision NOT NULL
) WITH (fillfactor = 20);;
INSERT INTO lease VALUES ('pager', '', 0, 0);;
CREATE TABLE replicas (
    id text COLLATE "C" PRIMARY KEY,
    host text COLLATE "C" NOT NULL,
    pid integer NOT NULL,
    url text COLLATE "C" NOT NULL,
    groups text COLLATE "C" NOT NULL,
    watching integer NOT NULL,
    started_at double precision NOT NULL,
    expires_at double precision NOT NULL
) WITH (fillfactor = 20);;
CREATE FUNCTION agentpager_count_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO counters SELECT TG_TABLE_NAME || '.' || state, count(*) FROM added GROUP BY state
        ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value;
    RETURN NULL;
END $$;;
CREATE FUNCTION agentpager_count_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE counters SET value = value - gone.many
        FROM (SELECT TG_TABLE_NAME || '.' || state AS name, count(*) AS many FROM removed GROUP BY state) AS gone
        WHERE counters.name = gone.name;
    RETURN NULL;
END $$;;
CREATE FUNCTION agentpager_count_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO counters
        SELECT TG_TABLE_NAME || '.' || state, sum(many)
        FROM (SELECT state, 1 AS many FROM added UNION ALL SELECT state, -1 FROM removed) AS changes
        GROUP BY state HAVING sum(many) <> 0
        ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value;
    RETURN NULL;
END $$;;
CREATE TRIGGER incidents_added AFTER INSERT ON incidents REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION agentpager_count_added();;
CREATE TRIGGER incidents_removed AFTER DELETE ON incidents REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION agentpager_count_removed();;
CREATE TRIGGER incidents_moved AFTER UPDATE ON incidents REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION agentpager_count_moved();;
CREATE TRIGGER pages_added AFTER INSERT ON pages REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION agentpager_count_added();;
CREATE TRIGGER pages_removed AFTER DELETE ON pages REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION agentpager_count_removed();;
CREATE TRIGGER pages_moved AFTER UPDATE ON pages REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION agentpager_count_moved()
"""
