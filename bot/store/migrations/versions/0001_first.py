"""The first schema: incidents, pages, audit, rule states, clicks, renderings."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_UNRESOLVED = sa.text("state <> 'resolved' OR next_at IS NOT NULL")
_WAITING = sa.text("state IN ('due', 'sending', 'unknown')")


def upgrade() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("next_at", sa.Double),
        sa.Column("opened_at", sa.Double, nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
    )
    op.create_index("incidents_unresolved", "incidents", ["state"], sqlite_where=_UNRESOLVED)
    op.create_index("incidents_next_at", "incidents", ["next_at"], sqlite_where=sa.text("next_at IS NOT NULL"))
    op.create_index(
        "incidents_one_per_key", "incidents", ["key"], unique=True, sqlite_where=sa.text("state <> 'resolved'")
    )
    op.create_table(
        "pages",
        sa.Column("id", sa.String(160), primary_key=True),
        sa.Column("incident", sa.String(32), index=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("slack_channel", sa.String(64)),
        sa.Column("ts", sa.String(32)),
        sa.Column("shown_revision", sa.Integer, nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
    )
    op.create_index("pages_waiting", "pages", ["due_at"], sqlite_where=_WAITING)
    op.create_index("pages_address", "pages", ["slack_channel", "ts"])
    op.create_table(
        "audit",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("subject", sa.String(160), nullable=False, index=True),
        sa.Column("doc", sa.Text, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'audit rows are only appended'); END"
        )
    op.create_table(
        "rule_states",
        sa.Column("group", sa.Text, primary_key=True),
        sa.Column("evaluated_at", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
    )
    op.create_table(
        "clicks", sa.Column("key", sa.String(255), primary_key=True), sa.Column("at", sa.Double, nullable=False)
    )
    op.create_table(
        "renderings", sa.Column("incident", sa.String(32), primary_key=True), sa.Column("doc", sa.Text, nullable=False)
    )


def downgrade() -> None:
    for table in ("renderings", "clicks", "rule_states", "audit", "pages", "incidents"):
        op.drop_table(table)
