"""Alembic's entry point; `matcher.store` hands the connection over."""

from alembic import context

from matcher.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
