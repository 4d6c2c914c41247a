"""The first tables."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TABLES = (
    "dag",
    "dag_version",
    "dag_code",
    "dag_file",
    "import_error",
    "dag_run",
    "doomed_run",
    "task_instance",
    "task_try",
    "xcom",
    "pool",
    "variable",
    "connection",
    "inbox",
    "inbox_answer",
    "leader",
)


def upgrade() -> None:
    """Make every table, the default pool, and the leader's row."""
    _dags()
    _runs()
    _rest()
    op.execute(
        "INSERT INTO pool (name, slots, description, include_deferred) "
        "VALUES ('default_pool', 128, 'The pool of tasks that name no other', false)"
    )
    op.execute(
        "INSERT INTO leader (id, holder, epoch, expires_at, host, pid, address, last_run, last_ti, database_id) "
        f"VALUES (1, NULL, 0, 0, '', 0, '', 0, 0, '{uuid.uuid4().hex}')"
    )


def downgrade() -> None:
    """Delete every table."""
    for name in TABLES:
        op.drop_table(name)


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _dags() -> None:
    """What the loader keeps."""
    op.create_table(
        "dag",
        sa.Column("dag_id", NAME, primary_key=True),
        sa.Column("version_id", ID, nullable=False),
        sa.Column("bundle", NAME, nullable=False),
        sa.Column("rel_path", NAME, nullable=False),
        sa.Column("file_hash", NAME, nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("first_seen", sa.Double(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("last_run_after", sa.Double()),
        sa.Column("last_logical", sa.Double()),
    )
    op.create_index("ix_dag_file", "dag", ["bundle", "rel_path"])
    op.create_table(
        "dag_version",
        sa.Column("id", ID, primary_key=True, autoincrement=True),
        sa.Column("dag_id", NAME, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("spec", sa.LargeBinary(), nullable=False),
        sa.Column("spec_hash", NAME, nullable=False),
        sa.Column("file_hash", NAME, nullable=False),
        sa.Column("bundle", NAME, nullable=False),
        sa.Column("bundle_version", sa.Text()),
        sa.Column("rel_path", NAME, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.UniqueConstraint("dag_id", "number", name="uq_dag_version"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "dag_code",
        sa.Column("file_hash", NAME, primary_key=True),
        sa.Column("source", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "dag_file",
        sa.Column("bundle", NAME, primary_key=True),
        sa.Column("rel_path", NAME, primary_key=True),
        sa.Column("file_hash", NAME, nullable=False),
        sa.Column("mtime", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("threads", sa.Boolean(), nullable=False),
        sa.Column("modules", sa.Text(), nullable=False),
        sa.Column("parsed_at", sa.Double(), nullable=False),
    )
    op.create_table(
        "import_error",
        sa.Column("id", ID, primary_key=True, autoincrement=True),
        sa.Column("bundle", NAME, nullable=False),
        sa.Column("rel_path", NAME, nullable=False),
        sa.Column("dag_id", NAME),
        sa.Column("line", sa.Integer()),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("traceback", sa.Text()),
        sa.Column("found_at", sa.Double(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_import_error_file", "import_error", ["bundle", "rel_path"])


def _runs() -> None:
    """Runs and what belongs to them."""
    op.create_table(
        "dag_run",
        sa.Column("id", ID, primary_key=True, autoincrement=False),
        sa.Column("dag_id", NAME, nullable=False),
        sa.Column("run_id", NAME, nullable=False),
        sa.Column("version_id", ID, nullable=False),
        sa.Column("run_type", NAME, nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("run_after", sa.Double(), nullable=False),
        sa.Column("logical_date", sa.Double()),
        sa.Column("data_interval_start", sa.Double()),
        sa.Column("data_interval_end", sa.Double()),
        sa.Column("conf", sa.Text(), nullable=False),
        sa.Column("triggered_by", sa.Text()),
        sa.Column("queued_at", sa.Double()),
        sa.Column("started_at", sa.Double()),
        sa.Column("ended_at", sa.Double()),
        sa.Column("cancelled_at", sa.Double()),
        sa.UniqueConstraint("dag_id", "run_id", name="uq_dag_run"),
    )
    op.create_index("ix_dag_run_dag", "dag_run", ["dag_id", "id"])
    op.create_index("ix_dag_run_ended", "dag_run", ["ended_at"])
    _partial("ix_dag_run_failed", "dag_run", ["id"], "state = 'failed'")
    _partial("ix_dag_run_live", "dag_run", ["id"], "state IN ('queued', 'running')")
    op.create_index("ix_dag_run_logical", "dag_run", ["dag_id", "logical_date"])
    op.create_index("ix_dag_run_version", "dag_run", ["version_id"])
    op.create_table(
        "doomed_run",
        sa.Column("id", ID, primary_key=True, autoincrement=False),
    )
    op.create_table(
        "task_instance",
        sa.Column("id", ID, primary_key=True, autoincrement=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("task_id", NAME, nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("try_number", sa.Integer(), nullable=False),
        sa.Column("max_tries", sa.Integer(), nullable=False),
        sa.Column("infra_failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.Double()),
        sa.Column("scheduled_at", sa.Double()),
        sa.Column("queued_at", sa.Double()),
        sa.Column("started_at", sa.Double()),
        sa.Column("ended_at", sa.Double()),
        sa.Column("executor", sa.Text()),
        sa.Column("cause", sa.Text()),
        sa.Column("detail", sa.Text()),
        sa.Column("map_length", sa.Integer()),
        sa.Column("skip", sa.Text()),
        sa.UniqueConstraint("run_id", "task_id", "map_index", name="uq_task_instance"),
    )
    op.create_table(
        "task_try",
        sa.Column("ti_id", ID, primary_key=True, autoincrement=False),
        sa.Column("try_number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("state", NAME, nullable=False),
        sa.Column("executor", NAME, nullable=False),
        sa.Column("queue", NAME, nullable=False),
        sa.Column("queued_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double()),
        sa.Column("ended_at", sa.Double()),
        sa.Column("runner", sa.Text()),
        sa.Column("host", sa.Text()),
        sa.Column("pid", sa.Integer()),
        sa.Column("cause", sa.Text()),
        sa.Column("detail", sa.Text()),
        sa.Column("exit_code", sa.Integer()),
        sa.Column("signal", sa.Integer()),
        sqlite_with_rowid=False,
    )
    _partial("ix_task_try_live", "task_try", ["ti_id"], "ended_at IS NULL")
    op.create_table(
        "xcom",
        sa.Column("ti_id", ID, primary_key=True, autoincrement=False),
        sa.Column("key", NAME, primary_key=True),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )


def _rest() -> None:
    """Everything else."""
    op.create_table(
        "pool",
        sa.Column("name", NAME, primary_key=True),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("include_deferred", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "variable",
        sa.Column("key", NAME, primary_key=True),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("updated_at", sa.Double(), nullable=False),
    )
    op.create_table(
        "connection",
        sa.Column("conn_id", NAME, primary_key=True),
        sa.Column("conn_type", sa.Text(), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
    )
    op.create_table(
        "inbox",
        sa.Column("id", ID, primary_key=True, autoincrement=True),
        sa.Column("command", sa.LargeBinary(), nullable=False),
        sa.Column("by", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "inbox_answer",
        sa.Column("id", ID, primary_key=True, autoincrement=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("answered_at", sa.Double(), nullable=False),
    )
    op.create_table(
        "leader",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("holder", sa.Text()),
        sa.Column("epoch", ID, nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("last_run", ID, nullable=False),
        sa.Column("last_ti", ID, nullable=False),
        sa.Column("database_id", sa.Text(), nullable=False),
    )
