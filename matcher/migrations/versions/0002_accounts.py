"""Accounts, keys, audit, judgements, uploads, idempotency; what records gain: owner, last day, region, masking."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("records", sa.Column("region_code", sa.String(6)))
    op.add_column("records", sa.Column("owner", Key, nullable=False, server_default="0"))
    # Records that are there already keep taking part until they are read again.
    op.add_column("records", sa.Column("ends", sa.Integer, nullable=False, server_default="99991231"))
    op.add_column("records", sa.Column("personal", sa.Integer, nullable=False, server_default="1"))
    op.create_index("ix_records_owner", "records", ["owner"])
    op.create_table(
        "accounts",
        sa.Column("key", Key, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("closed_at", sa.String(32)),
        sa.PrimaryKeyConstraint("key", name="pk_accounts"),
        sa.UniqueConstraint("id", name="uq_accounts_id"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(32)),
        sa.Column("account", Key, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.String(32)),
        sa.Column("revoked_at", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("hash", name="uq_api_keys_hash"),
        sa.ForeignKeyConstraint(["account"], ["accounts.key"], name="fk_api_keys_account_accounts", ondelete="CASCADE"),
    )
    op.create_index("ix_api_keys_account", "api_keys", ["account"])
    op.create_table(
        "audit",
        sa.Column("key", Key, autoincrement=True),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("account", Key, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_audit"),
    )
    op.create_table(
        "judgements",
        sa.Column("key", Key, autoincrement=True),
        sa.Column("need_id", sa.String(32), nullable=False),
        sa.Column("offer_id", sa.String(32), nullable=False),
        sa.Column("account", Key, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_judgements"),
        sa.UniqueConstraint("need_id", "offer_id", "account", name="uq_judgements_need_id_offer_id_account"),
    )
    op.create_table(
        "uploads",
        sa.Column("key", Key, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account", Key, nullable=False),
        sa.Column("file_name", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(16)),
        sa.Column("visibility", sa.String(16), nullable=False),
        sa.Column("mapping", sa.JSON, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("report", sa.JSON),
        sa.Column("rejects", sa.Text),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("finished_at", sa.String(32)),
        sa.PrimaryKeyConstraint("key", name="pk_uploads"),
        sa.UniqueConstraint("id", name="uq_uploads_id"),
        sa.ForeignKeyConstraint(["account"], ["accounts.key"], name="fk_uploads_account_accounts", ondelete="CASCADE"),
    )
    for table, column in (
        ("audit", "subject"),
        ("audit", "account"),
        ("judgements", "account"),
        ("uploads", "account"),
        ("uploads", "status"),
    ):
        op.create_index(f"ix_{table}_{column}", table, [column])
    op.create_table(
        "idempotency",
        sa.Column("account", Key, nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("headers", sa.JSON, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("account", "name", name="pk_idempotency"),
    )


def downgrade() -> None:
    for table in ("idempotency", "uploads", "judgements", "audit", "api_keys", "accounts"):
        op.drop_table(table)
    op.drop_index("ix_records_owner", "records")
    for column in ("personal", "ends", "owner", "region_code"):
        op.drop_column("records", column)
