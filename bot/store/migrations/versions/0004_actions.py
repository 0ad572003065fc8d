"""Runs of actions, and changes of rotas made beside the files."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "action_runs",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("incident", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("due_at", sa.Double),
        sa.Column("doc", sa.Text, nullable=False),
    )
    op.create_index("ix_action_runs_incident", "action_runs", ["incident"])
    op.create_index("action_runs_due_at", "action_runs", ["due_at"], sqlite_where=sa.text("due_at IS NOT NULL"))
    op.create_table(
        "rota_changes",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False, unique=True),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
    )
    op.create_index("ix_rota_changes_until", "rota_changes", ["until"])


def downgrade() -> None:
    for table in ("rota_changes", "action_runs"):
        op.drop_table(table)
