"""Duplicates: pairs, identities, and the record that stands for a merged one."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("records", sa.Column("merged_into", sa.String(32)))
    op.create_index("ix_records_merged_into", "records", ["merged_into"])
    op.create_table(
        "duplicates",
        sa.Column("key", Key, autoincrement=True),
        sa.Column("first", Key, nullable=False),
        sa.Column("second", Key, nullable=False),
        sa.Column("basis", sa.String(16), nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("account", Key),
        sa.Column("texts", sa.String(64), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("decided_at", sa.String(32)),
        sa.PrimaryKeyConstraint("key", name="pk_duplicates"),
        sa.UniqueConstraint("first", "second", name="uq_duplicates_first_second"),
        sa.ForeignKeyConstraint(["first"], ["records.key"], name="fk_duplicates_first_records", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["second"], ["records.key"], name="fk_duplicates_second_records", ondelete="CASCADE"),
    )
    for column in ("second", "state"):
        op.create_index(f"ix_duplicates_{column}", "duplicates", [column])
    op.create_table(
        "record_identities",
        sa.Column("key", Key, nullable=False),
        sa.Column("identity", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("key", "identity", name="pk_record_identities"),
        sa.ForeignKeyConstraint(["key"], ["records.key"], name="fk_record_identities_key_records", ondelete="CASCADE"),
    )
    op.create_index("ix_record_identities_identity", "record_identities", ["identity"])


def downgrade() -> None:
    for table in ("record_identities", "duplicates"):
        op.drop_table(table)
    op.drop_index("ix_records_merged_into", "records")
    op.drop_column("records", "merged_into")
