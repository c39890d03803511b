"""Sheets: which jobs are the cells of one grid."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """A table of its own; the jobs know nothing of it."""
    op.create_table(
        "sheets",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("axes", sa.Text, nullable=False),
        sa.Column("jobs", sa.Text, nullable=False),
    )
