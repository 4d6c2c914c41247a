"""Run by Alembic: migrates over the connection, and in the transaction, that migrate.py gives."""

from alembic import context

from airloom.store.revision import VERSION_TABLE
from airloom.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
    # SQLite too undoes CREATE TABLE with its transaction.
    transactional_ddl=True,
)
context.run_migrations()
