"""Silences, snapshots of on-call files, calendar feeds, keys; columns for merged pages and for reports."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("incidents", sa.Column("resolved_at", sa.Double))
    op.add_column("incidents", sa.Column("version", sa.Integer, nullable=False, server_default="0"))
    op.create_index("incidents_opened_at", "incidents", ["opened_at"])
    op.add_column("pages", sa.Column("person", sa.String(64)))
    op.add_column("pages", sa.Column("channel", sa.String(320)))
    op.add_column("pages", sa.Column("lead", sa.String(160)))
    op.create_table(
        "silences",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column("ends_at", sa.Double, nullable=False, index=True),
        sa.Column("doc", sa.Text, nullable=False),
    )
    op.create_table(
        "snapshots", sa.Column("id", sa.String(64), primary_key=True), sa.Column("doc", sa.Text, nullable=False)
    )
    op.create_table("feeds", sa.Column("url", sa.Text, primary_key=True), sa.Column("doc", sa.Text, nullable=False))
    op.create_table(
        "keys", sa.Column("name", sa.String(64), primary_key=True), sa.Column("value", sa.String(128), nullable=False)
    )


def downgrade() -> None:
    for table in ("keys", "feeds", "snapshots", "silences"):
        op.drop_table(table)
    op.drop_index("incidents_opened_at", "incidents")
    for table, names in (("pages", ("lead", "channel", "person")), ("incidents", ("version", "resolved_at"))):
        with op.batch_alter_table(table) as batch:
            for name in names:
                batch.drop_column(name)
