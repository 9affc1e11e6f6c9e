"""The store's tables."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from matcher.life import NEVER

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives out row numbers only for a column declared INTEGER.
Key = BigInteger().with_variant(Integer, "sqlite")

records = Table(
    "records",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("source", String(200), nullable=False),
    Column("source_id", String(200), nullable=False),
    Column("title", Text, nullable=False),
    Column("abstract", Text, nullable=False),
    Column("institution", Text),
    Column("institution_id", String(32)),
    Column("co_institutions", JSON, nullable=False),
    Column("province", String(32)),
    Column("city", String(64)),
    Column("county", String(64)),
    Column("region_code", String(6)),
    Column("date", String(10)),
    Column("keywords", JSON, nullable=False),
    Column("declared_programmes", JSON, nullable=False),
    Column("url", Text),
    Column("visibility", String(16), nullable=False),
    # The account that handed it in; 0 is the operator.
    Column("owner", Key, nullable=False, server_default="0"),
    # The last day on which it takes part in matches, see `matcher.life`.
    Column("ends", Integer, nullable=False, server_default=str(NEVER)),
    # Whether its texts hold what others must not read: looking anew with every match would take its time.
    Column("personal", Integer, nullable=False, server_default="1"),
    Column("details", JSON, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("withdrawn", Integer, nullable=False, default=0),
    # The id of the record that stands for it, see `matcher.groups`: reckoned from `duplicates` with every change.
    Column("merged_into", String(32)),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    Index(None, "revision"),
    Index(None, "kind"),
    Index(None, "institution_id"),
    Index(None, "owner"),
    Index(None, "merged_into"),
)

# Apart from the texts: a contact is never embedded, indexed, logged or shown with a match.
contacts = Table(
    "contacts",
    metadata,
    Column("key", Key, ForeignKey("records.key", ondelete="CASCADE"), primary_key=True),
    Column("contact", Text, nullable=False),
)

# What the tagger found, with the model and weights of the day: can be made again from the records.
tags = Table(
    "tags",
    metadata,
    Column("key", Key, ForeignKey("records.key", ondelete="CASCADE"), primary_key=True),
    Column("code", String(32), primary_key=True),
    Column("score", Float, nullable=False),
)

institution_names = Table(
    "institution_names",
    metadata,
    Column("name_key", String(200), primary_key=True),
    Column("institution_id", String(32), nullable=False),
)

# One row a counter. The revision counter is taken inside the writing transaction, so revisions become
# visible in order and a reader that has seen n has seen all below.
counters = Table(
    "counters",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

# Pairs of records that are, or may be, one thing. Those in state `merged` make up the groups, without circles:
# whichever pair is undone, its two sides come apart.
duplicates = Table(
    "duplicates",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("first", Key, ForeignKey("records.key", ondelete="CASCADE"), nullable=False),
    Column("second", Key, ForeignKey("records.key", ondelete="CASCADE"), nullable=False),
    Column("basis", String(16), nullable=False),
    Column("score", Float, nullable=False),
    Column("why", Text, nullable=False),
    Column("state", String(16), nullable=False),
    # The account that decided; none where nobody was asked.
    Column("account", Key),
    # Of both texts as they were compared: a rejected pair is not proposed again before one of them changes.
    Column("texts", String(64), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("decided_at", String(32)),
    UniqueConstraint("first", "second"),
    Index(None, "second"),
    Index(None, "state"),
)

# What makes records surely one, see `matcher.identities`.
record_identities = Table(
    "record_identities",
    metadata,
    Column("key", Key, ForeignKey("records.key", ondelete="CASCADE"), primary_key=True),
    Column("identity", String(64), primary_key=True),
    Index(None, "identity"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("role", String(16), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("closed_at", String(32)),
)

# Of a key only its hash is kept: who reads the database cannot call the API with what he finds.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account", Key, ForeignKey("accounts.key", ondelete="CASCADE"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("created_at", String(32), nullable=False),
    Column("expires_at", String(32)),
    Column("revoked_at", String(32)),
    Index(None, "account"),
)

# Who changed what and when; account 0 is the operator at the command line. `details` names fields, not texts.
audit = Table(
    "audit",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("at", String(32), nullable=False),
    Column("account", Key, nullable=False),
    Column("action", String(32), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("details", JSON, nullable=False),
    Index(None, "subject"),
    Index(None, "account"),
)

judgements = Table(
    "judgements",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("need_id", String(32), nullable=False),
    Column("offer_id", String(32), nullable=False),
    Column("account", Key, nullable=False),
    Column("level", Integer, nullable=False),
    Column("at", String(32), nullable=False),
    UniqueConstraint("need_id", "offer_id", "account"),
    Index(None, "account"),
)

# Files handed in over the API, and how far each has been read.
uploads = Table(
    "uploads",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("account", Key, ForeignKey("accounts.key", ondelete="CASCADE"), nullable=False),
    Column("file_name", String(200), nullable=False),
    Column("kind", String(16)),
    Column("visibility", String(16), nullable=False),
    Column("mapping", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("message", Text),
    Column("report", JSON),
    Column("rejects", Text),
    Column("created_at", String(32), nullable=False),
    Column("finished_at", String(32)),
    Index(None, "account"),
    Index(None, "status"),
)

# Answers to writes that carried an Idempotency-Key, so that a repeated request gets the first one's answer.
idempotency = Table(
    "idempotency",
    metadata,
    Column("account", Key, primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("request", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
)

# People who receive mail: one row an address, however many accounts write to it.
subscribers = Table(
    "subscribers",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("email", String(254), nullable=False, unique=True),
    # Opens the address's own pages without a login, and signs its links.
    Column("token", String(64), nullable=False, unique=True),
    # 0: news for everybody instead of matches (PIPL, article 24).
    Column("personalised", Integer, nullable=False, server_default="1"),
    Column("created_at", String(32), nullable=False),
    # Since when, and why, it gets no mail at all.
    Column("suppressed_at", String(32)),
    Column("suppressed_for", String(16)),
    # Permanent refusals since the last mail that was taken.
    Column("bounces", Integer, nullable=False, server_default="0"),
)

# What an address follows. Whoever set it up decides what it may bring: `account`, or 0 for what is public.
subscriptions = Table(
    "subscriptions",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("subscriber", Key, ForeignKey("subscribers.key", ondelete="CASCADE"), nullable=False),
    Column("account", Key, nullable=False, server_default="0"),
    Column("follows", String(16), nullable=False),
    # Of the record or institution that is followed; none for a text, or for all records of the account.
    Column("subject", String(32)),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("kinds", JSON, nullable=False),
    Column("programmes", JSON, nullable=False),
    Column("regions", JSON, nullable=False),
    Column("min_level", Integer, nullable=False),
    Column("frequency", String(8), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("confirmed_at", String(32)),
    Column("ended_at", String(32)),
    # How far the store had come, and which model and ranker there were, when it was matched last, and on what day.
    Column("matched_revision", BigInteger),
    Column("matched_with", String(64)),
    Column("matched_on", String(10)),
    Index(None, "subscriber"),
    Index(None, "account"),
)

# Every pair that has been put into a mail, with the highest level that was told.
mailed = Table(
    "mailed",
    metadata,
    Column("subscription", Key, ForeignKey("subscriptions.key", ondelete="CASCADE"), primary_key=True),
    # The record that asked, where a portfolio is followed; empty otherwise.
    Column("asking_id", String(32), primary_key=True),
    Column("record_id", String(32), primary_key=True),
    Column("level", Integer, nullable=False),
)

# Mails to be sent, being sent, and sent. A person has one of a kind a day, whatever happens.
outbox = Table(
    "outbox",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("subscriber", Key, ForeignKey("subscribers.key", ondelete="CASCADE"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("day", String(10), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    # Not to be tried again before.
    Column("next_at", String(32), nullable=False),
    Column("message", Text),
    # Of each subscription, by its id, how many pairs found no room in a digest.
    Column("omitted", JSON),
    Column("created_at", String(32), nullable=False),
    Column("done_at", String(32)),
    UniqueConstraint("subscriber", "kind", "day"),
    Index(None, "state"),
)

# What a digest holds, rendered when it is sent: what was hidden or withdrawn meanwhile stays out.
outbox_items = Table(
    "outbox_items",
    metadata,
    Column("outbox", Key, ForeignKey("outbox.key", ondelete="CASCADE"), primary_key=True),
    Column("subscription", Key, ForeignKey("subscriptions.key", ondelete="CASCADE"), primary_key=True),
    Column("asking_id", String(32), primary_key=True),
    Column("record_id", String(32), primary_key=True),
    Column("level", Integer, nullable=False),
    # Told before, where the level has risen since.
    Column("level_before", Integer),
    Column("score", Float, nullable=False),
    Column("why", JSON, nullable=False),
)

# Pairs that were listed to somebody, each with where it stands. One row a pair for the whole platform:
# nobody is told of a lead as new that another is working on.
leads = Table(
    "leads",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("need_id", String(32), nullable=False),
    Column("offer_id", String(32), nullable=False),
    Column("level", Integer, nullable=False),
    Column("score", Float, nullable=False),
    Column("status", String(16), nullable=False),
    # To whom it was listed as new, and when; who works on it.
    Column("listed_to", Key, nullable=False),
    Column("listed_at", String(32), nullable=False),
    Column("assignee", Key),
    # Of a contract: yuan, the day, whether it is a major introduction (引进转化重大科技成果); of a loss, why.
    Column("amount", BigInteger),
    Column("signed_on", String(10)),
    Column("major", Integer, nullable=False, server_default="0"),
    Column("reason", String(16)),
    Column("revision", Integer, nullable=False, server_default="1"),
    Column("updated_at", String(32), nullable=False),
    UniqueConstraint("need_id", "offer_id"),
    Index(None, "offer_id"),
    Index(None, "status"),
    Index(None, "assignee"),
    Index(None, "listed_to"),
)

# Who did what with a lead, when.
lead_steps = Table(
    "lead_steps",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("lead", Key, ForeignKey("leads.key", ondelete="CASCADE"), nullable=False),
    Column("at", String(32), nullable=False),
    Column("account", Key, nullable=False),
    Column("status", String(16), nullable=False),
    Column("note", Text, nullable=False),
    Column("details", JSON, nullable=False),
    Index(None, "lead"),
    Index(None, "account"),
)

# Questions for leads that somebody asks again and again.
lead_lists = Table(
    "lead_lists",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("account", Key, nullable=False),
    Column("name", String(200), nullable=False),
    Column("wanted", JSON, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("drawn_at", String(32)),
    UniqueConstraint("account", "name"),
)
