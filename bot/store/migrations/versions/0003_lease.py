"""The lease, counters, and what finds changed rows, messages to be redrawn and old incidents without a scan."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_REDRAWN = "state = 'sent' AND kind IN ('page', 'card', 'reminder')"


def upgrade() -> None:
    op.create_table(
        "counters", sa.Column("name", sa.String(64), primary_key=True), sa.Column("value", sa.Integer, nullable=False)
    )
    op.create_table(
        "lease",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.add_column("pages", sa.Column("version", sa.Integer, nullable=False, server_default="0"))
    op.add_column("pages", sa.Column("behind", sa.Integer, nullable=False, server_default="0"))
    op.execute(
        f"UPDATE pages SET behind = 1 WHERE {_REDRAWN} "
        "AND shown_revision < (SELECT revision FROM incidents WHERE incidents.id = pages.incident)"
    )
    op.execute(
        "UPDATE pages SET person = coalesce(person, json_extract(doc, '$.person')), "
        "channel = coalesce(channel, json_extract(doc, '$.channel'))"
    )
    op.execute(
        "UPDATE incidents SET resolved_at = (julianday(json_extract(doc, '$.resolved_at')) - 2440587.5) * 86400.0 "
        "WHERE resolved_at IS NULL AND state = 'resolved'"
    )
    op.create_index(
        "incidents_resolved_at", "incidents", ["resolved_at"], sqlite_where=sa.text("resolved_at IS NOT NULL")
    )
    op.create_index("incidents_version", "incidents", ["version"])
    op.create_index("pages_behind", "pages", ["due_at"], sqlite_where=sa.text("behind = 1"))
    op.create_index("pages_version", "pages", ["version"])
    op.create_index("pages_lead", "pages", ["lead"], sqlite_where=sa.text("lead IS NOT NULL"))
    op.create_index("pages_leads", "pages", ["due_at"], sqlite_where=sa.text("lead = id"))
    op.execute("INSERT INTO counters SELECT 'version', coalesce(max(version), 0) FROM incidents")
    for table in ("incidents", "pages"):
        op.execute(f"INSERT INTO counters SELECT '{table}.' || state, count(*) FROM {table} GROUP BY state")
        _count_by_triggers(table)


def _count_by_triggers(table: str) -> None:
    one_more = f"INSERT INTO counters VALUES ('{table}.' || NEW.state, 1) ON CONFLICT DO UPDATE SET value = value + 1;"
    one_less = f"UPDATE counters SET value = value - 1 WHERE name = '{table}.' || OLD.state;"
    op.execute(f"CREATE TRIGGER {table}_added AFTER INSERT ON {table} BEGIN {one_more} END")
    op.execute(f"CREATE TRIGGER {table}_removed AFTER DELETE ON {table} BEGIN {one_less} END")
    op.execute(
        f"CREATE TRIGGER {table}_moved AFTER UPDATE OF state ON {table} WHEN OLD.state <> NEW.state "
        f"BEGIN {one_less} {one_more} END"
    )


def downgrade() -> None:
    for table in ("pages", "incidents"):
        for what in ("moved", "removed", "added"):
            op.execute(f"DROP TRIGGER {table}_{what}")
        op.drop_index(f"{table}_version", table)
    for name in ("pages_behind", "pages_lead", "pages_leads"):
        op.drop_index(name, "pages")
    op.drop_index("incidents_resolved_at", "incidents")
    with op.batch_alter_table("pages") as batch:
        for name in ("behind", "version"):
            batch.drop_column(name)
    for table in ("lease", "counters"):
        op.drop_table(table)
