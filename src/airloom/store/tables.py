"""Every table of the metadata database. Columns carry the names of the fields of model/run.py's structs.

Times are seconds since the epoch, ids of runs and task instances are given by the leader, JSON is text.
There are no foreign keys: rows are removed by the few functions that know the whole graph (cleanup.py), and the hot
path pays nothing for checks of what the leader has just decided.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()

#: SQLite numbers rows by itself only in a column that is exactly INTEGER.
Id = BigInteger().with_variant(Integer(), "sqlite")
#: Compared byte by byte on both databases: the order is the same, and indexes are faster.
Name = Text().with_variant(Text(collation="C"), "postgresql")

RUN_IS_LIVE = "state IN ('queued', 'running')"
RUN_IS_FAILED = "state = 'failed'"
TRY_IS_LIVE = "ended_at IS NULL"
LOG_IS_OPEN = "settled_at IS NULL"
#: ends that are rare, and looked for
TI_IS_REMARKABLE = "state IN ('failed', 'upstream_failed', 'skipped', 'removed')"


def _partial(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


def _required(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _times(*names: str) -> list[Column[Any]]:
    return [Column(name, Double) for name in names]


dag = Table(
    "dag",
    metadata,
    Column("dag_id", Name, primary_key=True),
    _required("version_id", Id),
    _required("bundle", Name),
    _required("rel_path", Name),
    _required("file_hash", Name),
    _required("paused", Boolean),
    _required("first_seen", Double),
    _required("active", Boolean),
    *_times("last_run_after", "last_logical"),
    Index("ix_dag_file", "bundle", "rel_path"),
)

# Numbers of deleted versions, inbox rows and errors must not come back: zygotes and waiting callers go by them.
dag_version = Table(
    "dag_version",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _required("dag_id", Name),
    _required("number", Integer),
    _required("spec", LargeBinary),
    _required("spec_hash", Name),
    _required("file_hash", Name),
    _required("bundle", Name),
    Column("bundle_version", Text),
    _required("rel_path", Name),
    _required("created_at", Double),
    UniqueConstraint("dag_id", "number", name="uq_dag_version"),
    sqlite_autoincrement=True,
)

dag_code = Table(
    "dag_code",
    metadata,
    Column("file_hash", Name, primary_key=True),
    _required("source", LargeBinary),
)

dag_file = Table(
    "dag_file",
    metadata,
    Column("bundle", Name, primary_key=True),
    Column("rel_path", Name, primary_key=True),
    _required("file_hash", Name),
    _required("mtime", Double),
    _required("seconds", Double),
    _required("threads", Boolean),
    _required("modules", Text),
    _required("parsed_at", Double),
    Column("bundle_version", Text),
)

import_error = Table(
    "import_error",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _required("bundle", Name),
    _required("rel_path", Name),
    Column("dag_id", Name),
    Column("line", Integer),
    _required("text", Text),
    Column("traceback", Text),
    _required("found_at", Double),
    Index("ix_import_error_file", "bundle", "rel_path"),
    sqlite_autoincrement=True,
)

dag_run = Table(
    "dag_run",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    _required("dag_id", Name),
    _required("run_id", Name),
    _required("version_id", Id),
    _required("run_type", Name),
    _required("state", Name),
    _required("run_after", Double),
    *_times("logical_date", "data_interval_start", "data_interval_end"),
    _required("conf", Text),
    Column("triggered_by", Text),
    *_times("queued_at", "started_at", "ended_at", "cancelled_at"),
    Column("bundle_version", Text),
    UniqueConstraint("dag_id", "run_id", name="uq_dag_run"),
    Index("ix_dag_run_dag", "dag_id", "id"),
    Index("ix_dag_run_logical", "dag_id", "logical_date"),
    Index("ix_dag_run_dag_due", "dag_id", "run_after", "id"),
    Index("ix_dag_run_due", "run_after", "id"),
    Index("ix_dag_run_version", "version_id"),
    Index("ix_dag_run_ended", "ended_at"),
    _partial("ix_dag_run_live", "id", where=RUN_IS_LIVE),
    _partial("ix_dag_run_failed", "id", where=RUN_IS_FAILED),
)

# Runs that are deleted, whose task instances are still to go: see cleanup.py.
doomed_run = Table("doomed_run", metadata, Column("id", Id, primary_key=True, autoincrement=False))

# None of its indexes has a column that changes before a TI's end: an update touches one page on either database.
task_instance = Table(
    "task_instance",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    _required("run_id", Id),
    _required("task_id", Name),
    _required("map_index", Integer),
    _required("state", Name),
    _required("try_number", Integer),
    _required("max_tries", Integer),
    _required("infra_failures", Integer),
    *_times("retry_at", "scheduled_at", "queued_at", "started_at", "ended_at"),
    Column("executor", Text),
    Column("cause", Text),
    Column("detail", Text),
    Column("map_length", Integer),
    Column("skip", Text),
    UniqueConstraint("run_id", "task_id", "map_index", name="uq_task_instance"),
    _partial("ix_task_instance_remarkable", "state", "id", where=TI_IS_REMARKABLE),
)

task_try = Table(
    "task_try",
    metadata,
    Column("ti_id", Id, primary_key=True, autoincrement=False),
    Column("try_number", Integer, primary_key=True, autoincrement=False),
    _required("state", Name),
    _required("executor", Name),
    _required("queue", Name),
    _required("queued_at", Double),
    *_times("started_at", "ended_at"),
    Column("runner", Text),
    Column("host", Text),
    Column("pid", Integer),
    Column("cause", Text),
    Column("detail", Text),
    Column("exit_code", Integer),
    Column("signal", Integer),
    _partial("ix_task_try_live", "ti_id", where=TRY_IS_LIVE),
    sqlite_with_rowid=False,
)

xcom = Table(
    "xcom",
    metadata,
    Column("ti_id", Id, primary_key=True, autoincrement=False),
    Column("key", Name, primary_key=True),
    _required("value", LargeBinary),
    sqlite_with_rowid=False,
)

pool = Table(
    "pool",
    metadata,
    Column("name", Name, primary_key=True),
    _required("slots", Integer),
    _required("description", Text),
    _required("include_deferred", Boolean),
)

variable = Table(
    "variable",
    metadata,
    Column("key", Name, primary_key=True),
    _required("value", LargeBinary),
    Column("description", Text),
    _required("updated_at", Double),
)

connection = Table(
    "connection",
    metadata,
    Column("conn_id", Name, primary_key=True),
    _required("conn_type", Text),
    Column("description", Text),
    _required("secret", LargeBinary),
    _required("updated_at", Double),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _required("command", LargeBinary),
    Column("by", Text),
    _required("created_at", Double),
    sqlite_autoincrement=True,
)

inbox_answer = Table(
    "inbox_answer",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    _required("answer", LargeBinary),
    _required("answered_at", Double),
)

# One row, made by the migration. last_run and last_ti: the highest numbers of rows that were deleted.
leader = Table(
    "leader",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", Text),
    _required("epoch", Id),
    _required("expires_at", Double),
    _required("host", Text),
    _required("pid", Integer),
    _required("address", Text),
    _required("last_run", Id),
    _required("last_ti", Id),
    # Made with the database: a runner that has tries of another one must not take this one's for them.
    _required("database_id", Text),
)

# --- people and programs: who may do what, and what they did ----------------------------------------------------------
# role NULL: nothing but what the grants say. password NULL: the user comes by a one-time link or by OpenID Connect.
account = Table(
    "account",
    metadata,
    Column("username", Name, primary_key=True),
    _required("display_name", Text),
    Column("email", Text),
    Column("role", Name),
    Column("password", Text),
    #: issuer and subject of OpenID Connect, as "issuer#subject"
    Column("identity", Name),
    _required("active", Boolean),
    _required("created_at", Double),
    Column("last_login_at", Double),
    Index("ix_account_identity", "identity", unique=True),
)

# A role on one dag, or on all whose id matches a pattern with `*`.
dag_grant = Table(
    "dag_grant",
    metadata,
    Column("username", Name, primary_key=True),
    Column("pattern", Name, primary_key=True),
    _required("role", Name),
)

# Only hashes of secrets are kept. kind: session (a browser's cookie), token (a program's), link (a one-time login),
# runner (a worker's). role and dags: what narrows the user's own rights; NULL = as the user.
credential = Table(
    "credential",
    metadata,
    Column("id", Name, primary_key=True),
    _required("kind", Name),
    _required("username", Name),
    _required("hash", LargeBinary),
    _required("name", Text),
    Column("role", Name),
    Column("dags", Text),
    _required("created_at", Double),
    *_times("expires_at", "used_at"),
    Index("ix_credential_username", "username", "kind"),
    Index("ix_credential_expires", "expires_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _required("at", Double),
    #: who: a user's name; via: cli, api, task or scheduler
    _required("by", Name),
    _required("via", Name),
    _required("action", Name),
    Column("dag_id", Name),
    Column("run_id", Name),
    Column("subject", Text),
    Column("detail", Text),
    Column("address", Text),
    Index("ix_audit_dag", "dag_id", "id"),
    Index("ix_audit_by", "by", "id"),
    Index("ix_audit_action", "action", "id"),
    Index("ix_audit_at", "at"),
    sqlite_autoincrement=True,
)

# What was answered to a request that may come again, so that it is not done twice.
idempotency = Table(
    "idempotency",
    metadata,
    Column("username", Name, primary_key=True),
    Column("key", Name, primary_key=True),
    #: a hash of the request: the same key for another request is refused
    _required("request", LargeBinary),
    Column("status", Integer),
    Column("body", LargeBinary),
    _required("created_at", Double),
    Index("ix_idempotency_created", "created_at"),
)

# --- what goes on -----------------------------------------------------------------------------------------------------
# One row for each commit that changed something people see, in the order of the commits: browsers follow it. Every turn
# of the scheduler pays for it, so it has no index: the newest row always stays, so numbers never come back, and what is
# old is at the beginning.
feed = Table(
    "feed",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    _required("at", Double),
    _required("data", LargeBinary),
)

# Every process of ours tells here that it lives. kind: scheduler, loader, api, runner. state: JSON, by kind.
process = Table(
    "process",
    metadata,
    Column("id", Name, primary_key=True),
    _required("kind", Name),
    _required("host", Text),
    _required("pid", Integer),
    _required("version", Text),
    _required("started_at", Double),
    _required("seen_at", Double),
    _required("state", Text),
)

# What people wrote about a run (ti_id 0) or about a task instance.
note = Table(
    "note",
    metadata,
    Column("run_id", Id, primary_key=True, autoincrement=False),
    Column("ti_id", Id, primary_key=True, autoincrement=False),
    _required("text", Text),
    _required("by", Text),
    _required("at", Double),
)

# What people want of a worker: that it is drained, until it is resumed; that one runner of it stops.
worker_order = Table(
    "worker_order",
    metadata,
    Column("worker", Name, primary_key=True),
    _required("kind", Name),
    Column("runner", Name),
    _required("by", Text),
    _required("at", Double),
)

# What the code of an older release has to know; see revision.py.
compatible = Table("compatible", metadata, _required("oldest", Name))

# Logs of tries that ran on other machines, in pieces as they came: `data` is compressed, `size` its length before.
log_chunk = Table(
    "log_chunk",
    metadata,
    Column("ti_id", Id, primary_key=True, autoincrement=False),
    Column("try_number", Integer, primary_key=True, autoincrement=False),
    Column("start", Id, primary_key=True, autoincrement=False),
    _required("size", Integer),
    _required("data", LargeBinary),
)

# The logs that are in log_chunk, or in the object store by that name. size: bytes that there are. loose: pieces that
# came since they were last put together. complete: its runner has sent all. settled_at NULL: it may grow yet, or is to
# be put together or stored.
try_log = Table(
    "try_log",
    metadata,
    Column("ti_id", Id, primary_key=True, autoincrement=False),
    Column("try_number", Integer, primary_key=True, autoincrement=False),
    _required("size", Id),
    _required("loose", Integer),
    _required("at", Double),
    _required("complete", Boolean),
    Column("settled_at", Double),
    Column("object", Text),
    _partial("ix_try_log_open", "ti_id", where=LOG_IS_OPEN),
    sqlite_with_rowid=False,
)

# Objects of logs that are deleted, which are to go from the object store, too.
doomed_log = Table("doomed_log", metadata, Column("object", Name, primary_key=True))
