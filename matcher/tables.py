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
)

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
    Column("date", String(10)),
    Column("keywords", JSON, nullable=False),
    Column("declared_programmes", JSON, nullable=False),
    Column("url", Text),
    Column("visibility", String(16), nullable=False),
    Column("details", JSON, nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("withdrawn", Integer, nullable=False, default=0),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    Index(None, "revision"),
    Index(None, "kind"),
    Index(None, "institution_id"),
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
