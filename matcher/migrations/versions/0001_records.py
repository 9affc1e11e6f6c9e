"""Records, contacts, tags, institution names, counters."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "records",
        sa.Column("key", Key, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("source_id", sa.String(200), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("abstract", sa.Text, nullable=False),
        sa.Column("institution", sa.Text),
        sa.Column("institution_id", sa.String(32)),
        sa.Column("co_institutions", sa.JSON, nullable=False),
        sa.Column("province", sa.String(32)),
        sa.Column("city", sa.String(64)),
        sa.Column("county", sa.String(64)),
        sa.Column("date", sa.String(10)),
        sa.Column("keywords", sa.JSON, nullable=False),
        sa.Column("declared_programmes", sa.JSON, nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("visibility", sa.String(16), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("withdrawn", sa.Integer, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_records"),
        sa.UniqueConstraint("id", name="uq_records_id"),
    )
    for column in ("revision", "kind", "institution_id"):
        op.create_index(f"ix_records_{column}", "records", [column])
    op.create_table(
        "contacts",
        sa.Column("key", Key, nullable=False),
        sa.Column("contact", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_contacts"),
        sa.ForeignKeyConstraint(["key"], ["records.key"], name="fk_contacts_key_records", ondelete="CASCADE"),
    )
    op.create_table(
        "tags",
        sa.Column("key", Key, nullable=False),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("key", "code", name="pk_tags"),
        sa.ForeignKeyConstraint(["key"], ["records.key"], name="fk_tags_key_records", ondelete="CASCADE"),
    )
    op.create_table(
        "institution_names",
        sa.Column("name_key", sa.String(200), nullable=False),
        sa.Column("institution_id", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("name_key", name="pk_institution_names"),
    )
    counters = op.create_table(
        "counters",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.bulk_insert(counters, [{"name": "revision", "value": 0}])


def downgrade() -> None:
    for table in ("counters", "institution_names", "tags", "contacts", "records"):
        op.drop_table(table)
