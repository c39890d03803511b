"""The first tables: jobs, pictures and their tags."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Written out rather than taken from `database.METADATA`, which will have moved on."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("started", sa.Double),
        sa.Column("finished", sa.Double),
        sa.Column("key", sa.Text, unique=True),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("previews", sa.Integer, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("painted", sa.Integer, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("steps", sa.Integer, nullable=False),
        sa.Column("cancelled", sa.Boolean, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("idempotency", sa.Text, unique=True),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("parties", sa.Integer, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
    )
    op.create_index("jobs_state", "jobs", ["state", "priority", "id"])
    op.create_table(
        "pictures",
        sa.Column("serial", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("job", sa.Text),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("negative", sa.Text, nullable=False),
        sa.Column("seed", sa.Text),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("sampler", sa.Text, nullable=False),
        sa.Column("schedule", sa.Text, nullable=False),
        sa.Column("steps", sa.Integer),
        sa.Column("guidance", sa.Double),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("recipe", sa.Text, nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("favourite", sa.Boolean, nullable=False),
        sa.Column("trashed", sa.Double),
        sa.Column("emptied", sa.Double),
        sqlite_autoincrement=True,
    )
    for name in ("job", "seed", "model", "sha256"):
        op.create_index(f"ix_pictures_{name}", "pictures", [name])
    shown = sa.text("trashed IS NULL")
    op.create_index(
        "pictures_shown",
        "pictures",
        [sa.text("created DESC"), sa.text("id DESC")],
        sqlite_where=shown,
        postgresql_where=shown,
    )
    op.create_index(
        "pictures_favourite",
        "pictures",
        [sa.text("created DESC"), sa.text("id DESC")],
        sqlite_where=sa.text("favourite IS 1 AND trashed IS NULL"),
        postgresql_where=sa.text("favourite IS true AND trashed IS NULL"),
    )
    trashed = sa.text("trashed IS NOT NULL")
    op.create_index(
        "pictures_trashed",
        "pictures",
        ["trashed"],
        sqlite_where=trashed,
        postgresql_where=trashed,
    )
    op.create_table(
        "picture_tags",
        sa.Column(
            "picture", sa.Text, sa.ForeignKey("pictures.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("tag", sa.Text, primary_key=True),
    )
    op.create_index("ix_picture_tags_tag", "picture_tags", ["tag"])
