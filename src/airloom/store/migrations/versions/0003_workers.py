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


def downgrade() -> None:
    """Delete them."""
    op.drop_table("log_chunk")
    op.drop_table("worker_order")
