"""Full-text search over the words of a picture, kept by the database itself."""

from alembic import op

revision = "0002"
down_revision = "0001"

_SQLITE = (
    """CREATE VIRTUAL TABLE pictures_words USING fts5(
        words, content='pictures', content_rowid='serial', tokenize='ascii', prefix='2 3'
    )""",
    """CREATE TRIGGER pictures_words_insert AFTER INSERT ON pictures BEGIN
        INSERT INTO pictures_words(rowid, words) VALUES (new.serial, new.words);
    END""",
    """CREATE TRIGGER pictures_words_delete AFTER DELETE ON pictures BEGIN
        INSERT INTO pictures_words(pictures_words, rowid, words)
        VALUES ('delete', old.serial, old.words);
    END""",
    """CREATE TRIGGER pictures_words_update AFTER UPDATE OF words ON pictures BEGIN
        INSERT INTO pictures_words(pictures_words, rowid, words)
        VALUES ('delete', old.serial, old.words);
        INSERT INTO pictures_words(rowid, words) VALUES (new.serial, new.words);
    END""",
    "INSERT INTO pictures_words(pictures_words) VALUES ('rebuild')",
)
_POSTGRESQL = (
    """ALTER TABLE pictures ADD COLUMN lexemes tsvector
        GENERATED ALWAYS AS (to_tsvector('simple', words)) STORED""",
    "CREATE INDEX pictures_lexemes ON pictures USING gin (lexemes)",
)


def upgrade() -> None:
    """SQLite has tables for it, PostgreSQL a column type and an index."""
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)
