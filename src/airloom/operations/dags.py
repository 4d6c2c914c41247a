"""Verbs about dags."""

from airloom.model.events import DeleteDag, SetPaused
from airloom.model.run import DagRow
from airloom.operations.asking import ask
from airloom.operations.lookup import find_dag
from airloom.operations.ops import Ops
from airloom.store import dags
from airloom.store.dags import ImportErrorRow


def list_dags(ops: Ops, *, gone: bool = False) -> list[DagRow]:
    """Every dag, by id. `gone`: also those whose definition is gone, which are not `active`."""
    with ops.db.reading() as conn:
        return dags.list_dags(conn, active_only=not gone)


def get_dag(ops: Ops, dag_id: str) -> DagRow:
    """One dag. Raises NotFound."""
    with ops.db.reading() as conn:
        return find_dag(conn, dag_id)


def import_errors(ops: Ops) -> list[ImportErrorRow]:
    """What could not be loaded, and why."""
    with ops.db.reading() as conn:
        return dags.import_errors(conn)


def set_paused(ops: Ops, dag_id: str, paused: bool) -> None:
    """Pause or unpause a dag: what runs goes on, nothing new of it is started while it is paused.

    Raises NotFound, NoAnswer.
    """
    get_dag(ops, dag_id)
    ask(ops, SetPaused(dag_id=dag_id, paused=paused))


def delete_dag(ops: Ops, dag_id: str) -> None:
    """Forget a dag whose definition is gone, with all its history; live tries are cancelled.

    Raises NotFound, Conflict (its file still defines it), NoAnswer.
    """
    get_dag(ops, dag_id)
    ask(ops, DeleteDag(dag_id=dag_id))
