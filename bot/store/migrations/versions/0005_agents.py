"""What agents did by the hour and evidence of what was tried."""

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


def downgrade() -> None:
    for table in ("evidence", "agent_hours"):
        op.drop_table(table)
