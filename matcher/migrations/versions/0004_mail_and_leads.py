"""Mail and leads: subscriptions, what was mailed, the outbox; leads with their steps, and saved lists."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "subscribers",
        sa.Column("key", Key, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("personalised", sa.Integer, nullable=False, server_default="1"),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("suppressed_at", sa.String(32)),
        sa.Column("suppressed_for", sa.String(16)),
        sa.Column("bounces", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("key", name="pk_subscribers"),
        sa.UniqueConstraint("id", name="uq_subscribers_id"),
        sa.UniqueConstraint("email", name="uq_subscribers_email"),
        sa.UniqueConstraint("token", name="uq_subscribers_token"),
    )
    op.create_table(
        "subscriptions",
        sa.Column("key", Key, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("subscriber", Key, nullable=False),
        sa.Column("account", Key, nullable=False, server_default="0"),
        sa.Column("follows", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(32)),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("kinds", sa.JSON, nullable=False),
        sa.Column("programmes", sa.JSON, nullable=False),
        sa.Column("regions", sa.JSON, nullable=False),
        sa.Column("min_level", sa.Integer, nullable=False),
        sa.Column("frequency", sa.String(8), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("confirmed_at", sa.String(32)),
        sa.Column("ended_at", sa.String(32)),
        sa.Column("matched_revision", sa.BigInteger),
        sa.Column("matched_with", sa.String(64)),
        sa.Column("matched_on", sa.String(10)),
        sa.PrimaryKeyConstraint("key", name="pk_subscriptions"),
        sa.UniqueConstraint("id", name="uq_subscriptions_id"),
        sa.ForeignKeyConstraint(
            ["subscriber"], ["subscribers.key"], name="fk_subscriptions_subscriber_subscribers", ondelete="CASCADE"
        ),
    )
    for column in ("subscriber", "account"):
        op.create_index(f"ix_subscriptions_{column}", "subscriptions", [column])
    op.create_table(
        "mailed",
        sa.Column("subscription", Key, nullable=False),
        sa.Column("asking_id", sa.String(32), nullable=False),
        sa.Column("record_id", sa.String(32), nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("subscription", "asking_id", "record_id", name="pk_mailed"),
        sa.ForeignKeyConstraint(
            ["subscription"], ["subscriptions.key"], name="fk_mailed_subscription_subscriptions", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "outbox",
        sa.Column("key", Key, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("subscriber", Key, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_at", sa.String(32), nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("omitted", sa.JSON),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("done_at", sa.String(32)),
        sa.PrimaryKeyConstraint("key", name="pk_outbox"),
        sa.UniqueConstraint("id", name="uq_outbox_id"),
        sa.UniqueConstraint("subscriber", "kind", "day", name="uq_outbox_subscriber_kind_day"),
        sa.ForeignKeyConstraint(
            ["subscriber"], ["subscribers.key"], name="fk_outbox_subscriber_subscribers", ondelete="CASCADE"
        ),
    )
    for column in ("state",):
        op.create_index(f"ix_outbox_{column}", "outbox", [column])
    op.create_table(
        "outbox_items",
        sa.Column("outbox", Key, nullable=False),
        sa.Column("subscription", Key, nullable=False),
        sa.Column("asking_id", sa.String(32), nullable=False),
        sa.Column("record_id", sa.String(32), nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("level_before", sa.Integer),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("why", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("outbox", "subscription", "asking_id", "record_id", name="pk_outbox_items"),
        sa.ForeignKeyConstraint(["outbox"], ["outbox.key"], name="fk_outbox_items_outbox_outbox", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["subscription"],
            ["subscriptions.key"],
            name="fk_outbox_items_subscription_subscriptions",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "leads",
        sa.Column("key", Key, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("need_id", sa.String(32), nullable=False),
        sa.Column("offer_id", sa.String(32), nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("listed_to", Key, nullable=False),
        sa.Column("listed_at", sa.String(32), nullable=False),
        sa.Column("assignee", Key),
        sa.Column("amount", sa.BigInteger),
        sa.Column("signed_on", sa.String(10)),
        sa.Column("major", sa.Integer, nullable=False, server_default="0"),
        sa.Column("reason", sa.String(16)),
        sa.Column("revision", sa.Integer, nullable=False, server_default="1"),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_leads"),
        sa.UniqueConstraint("id", name="uq_leads_id"),
        sa.UniqueConstraint("need_id", "offer_id", name="uq_leads_need_id_offer_id"),
    )
    for column in ("offer_id", "status", "listed_to", "assignee"):
        op.create_index(f"ix_leads_{column}", "leads", [column])
    op.create_table(
        "lead_steps",
        sa.Column("key", Key, autoincrement=True),
        sa.Column("lead", Key, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("account", Key, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_lead_steps"),
        sa.ForeignKeyConstraint(["lead"], ["leads.key"], name="fk_lead_steps_lead_leads", ondelete="CASCADE"),
    )
    for column in ("lead", "account"):
        op.create_index(f"ix_lead_steps_{column}", "lead_steps", [column])
    op.create_table(
        "lead_lists",
        sa.Column("key", Key, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account", Key, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("wanted", sa.JSON, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("drawn_at", sa.String(32)),
        sa.PrimaryKeyConstraint("key", name="pk_lead_lists"),
        sa.UniqueConstraint("id", name="uq_lead_lists_id"),
        sa.UniqueConstraint("account", "name", name="uq_lead_lists_account_name"),
    )


def downgrade() -> None:
    for table in (
        *("lead_lists", "lead_steps", "leads"),
        *("outbox_items", "outbox", "mailed", "subscriptions", "subscribers"),
    ):
        op.drop_table(table)
