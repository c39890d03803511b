"""Sheets: whether one was given up, which counts once however often it is said."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Of those that are there nobody knows; none of their jobs waits for long any more."""
    given_up = sa.Column("cancelled", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("sheets", given_up)
