"""Orders to workers, and the logs of tries that run on other machines."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table("compatible", sa.Column("oldest", NAME, nullable=False))
    op.create_table(
        "worker_order",
        sa.Column("worker", NAME, primary_key=True),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("runner", NAME),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
    )
    op.create_table(
        "log_chunk",
        sa.Column("ti_id", ID, primary_key=True, autoincrement=False),
        sa.Column("try_number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("start", ID, primary_key=True, autoincrement=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "try_log",
        sa.Column("ti_id", ID, primary_key=True, autoincrement=False),
        sa.Column("try_number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("size", ID, nullable=False),
        sa.Column("loose", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("settled_at", sa.Double()),
        sa.Column("object", sa.Text()),
        sqlite_with_rowid=False,
    )
    open_logs = sa.text("settled_at IS NULL")
    op.create_index("ix_try_log_open", "try_log", ["ti_id"], sqlite_where=open_logs, postgresql_where=open_logs)
    op.create_table("doomed_log", sa.Column("object", NAME, primary_key=True))
    op.add_column("dag_run", sa.Column("bundle_version", sa.Text()))
    op.add_column("dag_file", sa.Column("bundle_version", sa.Text()))


def downgrade() -> None:
    """Delete them."""
    op.drop_column("dag_file", "bundle_version")
    op.drop_column("dag_run", "bundle_version")
    op.drop_table("doomed_log")
    op.drop_table("try_log")
    op.drop_table("log_chunk")
    op.drop_table("worker_order")
    op.drop_table("compatible")
