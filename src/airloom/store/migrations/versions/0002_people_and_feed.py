"""Accounts, credentials and the audit log; the feed of changes, the processes, notes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TABLES = ("account", "dag_grant", "credential", "audit", "idempotency", "feed", "process", "note")
REMARKABLE = sa.text("state IN ('failed', 'upstream_failed', 'skipped', 'removed')")


def upgrade() -> None:
    """Make the tables."""
    _accounts()
    _records()
    _activity()
    op.create_index(
        "ix_task_instance_remarkable",
        "task_instance",
        ["state", "id"],
        sqlite_where=REMARKABLE,
        postgresql_where=REMARKABLE,
    )
    op.create_index("ix_dag_run_dag_due", "dag_run", ["dag_id", "run_after", "id"])
    op.create_index("ix_dag_run_due", "dag_run", ["run_after", "id"])


def downgrade() -> None:
    """Delete them."""
    op.drop_index("ix_task_instance_remarkable", "task_instance")
    op.drop_index("ix_dag_run_dag_due", "dag_run")
    op.drop_index("ix_dag_run_due", "dag_run")
    for name in TABLES:
        op.drop_table(name)


def _accounts() -> None:
    op.create_table(
        "account",
        sa.Column("username", NAME, primary_key=True),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text()),
        sa.Column("role", NAME),
        sa.Column("password", sa.Text()),
        sa.Column("identity", NAME),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("last_login_at", sa.Double()),
    )
    op.create_index("ix_account_identity", "account", ["identity"], unique=True)
    op.create_table(
        "dag_grant",
        sa.Column("username", NAME, primary_key=True),
        sa.Column("pattern", NAME, primary_key=True),
        sa.Column("role", NAME, nullable=False),
    )
    op.create_table(
        "credential",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("username", NAME, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", NAME),
        sa.Column("dags", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double()),
        sa.Column("used_at", sa.Double()),
    )
    op.create_index("ix_credential_username", "credential", ["username", "kind"])
    op.create_index("ix_credential_expires", "credential", ["expires_at"])


def _records() -> None:
    op.create_table(
        "audit",
        sa.Column("id", ID, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("by", NAME, nullable=False),
        sa.Column("via", NAME, nullable=False),
        sa.Column("action", NAME, nullable=False),
        sa.Column("dag_id", NAME),
        sa.Column("run_id", NAME),
        sa.Column("subject", sa.Text()),
        sa.Column("detail", sa.Text()),
        sa.Column("address", sa.Text()),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_dag", "audit", ["dag_id", "id"])
    op.create_index("ix_audit_by", "audit", ["by", "id"])
    op.create_index("ix_audit_action", "audit", ["action", "id"])
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_table(
        "idempotency",
        sa.Column("username", NAME, primary_key=True),
        sa.Column("key", NAME, primary_key=True),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("created_at", sa.Double(), nullable=False),
    )
    op.create_index("ix_idempotency_created", "idempotency", ["created_at"])


def _activity() -> None:
    op.create_table(
        "feed",
        sa.Column("id", ID, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "process",
        sa.Column("id", NAME, primary_key=True),
        sa.Column("kind", NAME, nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
    )
    op.create_table(
        "note",
        sa.Column("run_id", ID, primary_key=True, autoincrement=False),
        sa.Column("ti_id", ID, primary_key=True, autoincrement=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
    )
