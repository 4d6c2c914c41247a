"""Deleting: dags with their history, and history that is old. In short transactions that let the scheduler through.

A run goes in two steps, so that none is ever seen by halves and a run of any size stops nobody: its row moves to
doomed_run, and its task instances follow in batches. A crash in between is made good by the next cleaning.
"""

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, delete, exists, func, literal, or_, select, update

from airloom.model.states import RUN_FINISHED
from airloom.store import audit, credentials, log_chunks
from airloom.store.dags import hand_over, parse_again
from airloom.store.database import Database
from airloom.store.dialects import dialect_of
from airloom.store.idempotency import KEPT
from airloom.store.tables import (
    dag,
    dag_code,
    dag_file,
    dag_run,
    dag_version,
    doomed_run,
    idempotency,
    import_error,
    inbox,
    inbox_answer,
    leader,
    note,
    task_instance,
    task_try,
    xcom,
)

#: Task instances that one transaction deletes: some tens of milliseconds.
BATCH_TIS = 5_000
BATCH_RUNS = 500
BATCH_AUDIT = 10_000
BATCH_LOGS = 500
#: seconds in which one can still see in a list that a token has expired
_EXPIRED_STAYS = 7 * 86400.0


class CleanCounts(msgspec.Struct, kw_only=True):
    """How many rows went, or would go."""

    runs: int = 0
    tis: int = 0
    tries: int = 0
    xcoms: int = 0
    versions: int = 0
    answers: int = 0
    commands: int = 0

    def add(self, other: "CleanCounts") -> None:
        """Count `other` too."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def clean(
    db: Database, before: float, dry_run: bool = False, keep_last: bool = False, batch_tis: int = BATCH_TIS
) -> CleanCounts:
    """Delete what ended before `before`: finished runs with their task instances, tries and XComs, dag versions that
    were replaced before it and that no run needs, answers nobody fetched, commands nobody took.

    `keep_last`: the newest run of each dag stays. `dry_run`: nothing is deleted, the counts are what would be.
    Between two transactions it sleeps for as long as the last one took, so others have half the time at least.
    """
    if dry_run:
        with db.reading() as conn:
            return _count(conn, before, keep_last)
    counts = CleanCounts()
    while True:
        began = time.monotonic()
        with db.transaction() as conn:
            _exclude_plans(conn)
            # What is doomed goes first: never more than one batch of runs is on its way out.
            done = purge(conn, batch_tis)
            if not done.tis:
                done.runs = _doom(conn, _old_runs(before, keep_last).limit(BATCH_RUNS))
        counts.add(done)
        if not done.tis and not done.runs:
            break
        time.sleep(time.monotonic() - began)
    with db.transaction() as conn:
        counts.add(_clean_leftovers(conn, before))
    return counts


def sweep(db: Database, before: float) -> None:
    """Delete what nobody can want, whatever is to be kept: what is left of runs that were deleted, and answers given
    before `before` that nobody fetched."""
    with db.reading() as conn:
        doomed = conn.execute(select(doomed_run.c.id).limit(1)).first() is not None
        stale = conn.execute(select(inbox_answer.c.id).where(inbox_answer.c.answered_at < before).limit(1)).first()
    while doomed:
        began = time.monotonic()
        with db.transaction() as conn:
            _exclude_plans(conn)
            doomed = purge(conn).tis > 0
        time.sleep(time.monotonic() - began)
    if stale is not None:
        with db.transaction() as conn:
            conn.execute(delete(inbox_answer).where(inbox_answer.c.answered_at < before))


def expire(db: Database, now: float, audit_before: float | None = None) -> None:
    """Delete what has had its time: credentials a week after their end, answers kept for requests that come twice,
    and, where that is wanted, what the audit log has from before `audit_before`."""
    with db.transaction() as conn:
        credentials.forget_expired(conn, now - _EXPIRED_STAYS)
        conn.execute(delete(idempotency).where(idempotency.c.created_at < now - KEPT))
    while audit_before is not None:
        began = time.monotonic()
        with db.transaction() as conn:
            if not audit.forget(conn, audit_before, BATCH_AUDIT):
                break
        time.sleep(time.monotonic() - began)


def forget_logs(db: Database, before: float) -> None:
    """Delete the logs in the database to which nothing was added since `before`; their objects go in the background."""
    deleted = True
    while deleted:
        began = time.monotonic()
        with db.transaction() as conn:
            deleted = log_chunks.forget_old(conn, before, BATCH_LOGS) > 0
        time.sleep(time.monotonic() - began)


def purge(conn: Connection, limit: int = BATCH_TIS) -> CleanCounts:
    """Delete up to about `limit` task instances of runs that are deleted already, with their tries, XComs and logs."""
    counts = CleanCounts()
    ids = log_chunks.forget_tis(conn, list(conn.execute(doomed_tis_query(limit)).scalars()))
    dialect = dialect_of(conn)
    counts.xcoms = dialect.delete(conn, xcom, "ti_id", ids)
    counts.tries = dialect.delete(conn, task_try, "ti_id", ids)
    counts.tis = dialect.delete(conn, task_instance, "id", ids)
    if len(ids) < limit:
        conn.execute(delete(doomed_run).where(~exists().where(task_instance.c.run_id == doomed_run.c.id)))
    return counts


def doomed_tis_query(limit: int) -> Select[Any]:
    """The TIs that `purge` deletes next."""
    return select(task_instance.c.id).where(task_instance.c.run_id.in_(select(doomed_run.c.id))).limit(limit)


def delete_dags(conn: Connection, dag_ids: Sequence[str]) -> None:
    """Delete dags with all that belongs to them. Of a long history the task instances go with the next `clean`.

    A dag whose file is still there comes back as a new one: the loader parses it again.
    """
    if not dag_ids:
        return
    _doom(conn, select(dag_run.c.id).where(dag_run.c.dag_id.in_(dag_ids)))
    places = select(dag.c.bundle, dag.c.rel_path).where(dag.c.dag_id.in_(dag_ids))
    for bundle, rel_path in conn.execute(places).all():
        parse_again(conn, bundle, rel_path)
    hand_over(conn, dag_ids)
    for table in (dag, dag_version, import_error):
        conn.execute(delete(table).where(table.c.dag_id.in_(dag_ids)))
    purge(conn)


def _exclude_plans(conn: Connection) -> None:
    """No plan is committed while this transaction lasts: a run that it sees finished is not being cleared."""
    conn.exec_driver_sql(f"SELECT epoch FROM leader WHERE id = 1{dialect_of(conn).for_update}")


def _doom(conn: Connection, runs: Select[Any]) -> int:
    """Delete runs, and leave their numbers for `purge`; how many there were."""
    ids = list(conn.execute(runs).scalars())
    if not ids:
        return 0
    dialect = dialect_of(conn)
    # The leader never gives a number twice: a late report of a deleted try must not meet a new one.
    last_run = conn.execute(select(func.max(dag_run.c.id))).scalar()
    last_ti = conn.execute(select(func.max(task_instance.c.id))).scalar() or 0
    conn.execute(update(leader).where(leader.c.last_run < last_run).values(last_run=last_run))
    conn.execute(update(leader).where(leader.c.last_ti < last_ti).values(last_ti=last_ti))
    dialect.insert(conn, doomed_run, [{"id": run} for run in ids])
    dialect.delete(conn, note, "run_id", ids)
    return dialect.delete(conn, dag_run, "id", ids)


def _old_runs(before: float, keep_last: bool) -> Select[Any]:
    states = [state.value for state in RUN_FINISHED]
    finished = select(dag_run.c.id).where(dag_run.c.ended_at < before, dag_run.c.state.in_(states))
    if keep_last:
        newer = dag_run.alias("newer")
        finished = finished.where(exists().where(newer.c.dag_id == dag_run.c.dag_id, newer.c.id > dag_run.c.id))
    return finished.order_by(dag_run.c.ended_at)


def _old_versions(before: float) -> Select[Any]:
    """Versions that were replaced before `before` and that no run and no dag needs."""
    newer = dag_version.alias("newer")
    return select(dag_version.c.id).where(
        dag_version.c.created_at < before,
        exists().where(
            newer.c.dag_id == dag_version.c.dag_id,
            newer.c.number > dag_version.c.number,
            newer.c.created_at < before,
        ),
        ~exists().where(dag_run.c.version_id == dag_version.c.id),
        ~exists().where(dag.c.version_id == dag_version.c.id),
    )


def _clean_leftovers(conn: Connection, before: float) -> CleanCounts:
    versions = list(conn.execute(_old_versions(before)).scalars())
    counts = CleanCounts(
        versions=dialect_of(conn).delete(conn, dag_version, "id", versions),
        answers=conn.execute(delete(inbox_answer).where(inbox_answer.c.answered_at < before)).rowcount,
        commands=conn.execute(delete(inbox).where(inbox.c.created_at < before)).rowcount,
    )
    used = [table.c.file_hash for table in (dag_version, dag, dag_file)]
    conn.execute(delete(dag_code).where(*(dag_code.c.file_hash.not_in(select(column)) for column in used)))
    return counts


def _count(conn: Connection, before: float, keep_last: bool) -> CleanCounts:
    def number(query: Select[Any]) -> int:
        return int(conn.execute(query).scalar_one())

    old = _old_runs(before, keep_last).order_by(None)
    tis = select(task_instance.c.id).where(
        or_(task_instance.c.run_id.in_(old), task_instance.c.run_id.in_(select(doomed_run.c.id)))
    )
    every = select(func.count(literal(1)))
    return CleanCounts(
        runs=number(every.select_from(old.subquery())),
        tis=number(every.select_from(tis.subquery())),
        tries=number(every.select_from(task_try).where(task_try.c.ti_id.in_(tis))),
        xcoms=number(every.select_from(xcom).where(xcom.c.ti_id.in_(tis))),
        versions=number(every.select_from(_old_versions(before).subquery())),
        answers=number(every.select_from(inbox_answer).where(inbox_answer.c.answered_at < before)),
        commands=number(every.select_from(inbox).where(inbox.c.created_at < before)),
    )
