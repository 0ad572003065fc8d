"""What agents did by the hour, evidence of what was tried, and alerts that others send."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agent_hours",
        sa.Column("agent", sa.String(255), primary_key=True),
        sa.Column("hour", sa.Double, primary_key=True),
        sa.Column("upto", sa.Double, nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
    )
    op.create_index("agent_hours_hour", "agent_hours", ["hour"])
    op.create_table(
        "evidence",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("agent", sa.String(255), nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
    )
    op.create_index("ix_evidence_agent_kind_at", "evidence", ["agent", "kind", "at"])
    op.create_table(
        "pushed_alerts",
        sa.Column("fingerprint", sa.String(64), primary_key=True),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("ends_at", sa.Double, nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
    )
    op.create_index("ix_pushed_alerts_ends_at", "pushed_alerts", ["ends_at"])


def downgrade() -> None:
    for table in ("pushed_alerts", "evidence", "agent_hours"):
        op.drop_table(table)
