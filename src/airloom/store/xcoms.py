"""Reading XComs. They are written with the end of the try that pushed them, by plans.py."""

from sqlalchemy import Connection, func, select

from airloom.model.run import XComRow
from airloom.store.rows import storable, to_structs
from airloom.store.tables import dag_run, task_instance, xcom


def get_xcoms(
    conn: Connection, dag_id: str, run_id: str, task_id: str, key: str, map_index: int | None
) -> list[tuple[int, bytes]]:
    """(map index, JSON) of one key of a task's TIs, by map index. `map_index` None: all of them.

    TIs that did not push the key are left out.
    """
    query = (
        select(task_instance.c.map_index, xcom.c.value)
        .select_from(dag_run)
        .join(task_instance, task_instance.c.run_id == dag_run.c.id)
        .join(xcom, xcom.c.ti_id == task_instance.c.id)
        .where(
            dag_run.c.dag_id == dag_id,
            dag_run.c.run_id == run_id,
            task_instance.c.task_id == task_id,
            xcom.c.key == storable(key),
        )
        .order_by(task_instance.c.map_index)
    )
    if map_index is not None:
        query = query.where(task_instance.c.map_index == map_index)
    return [(index, bytes(value)) for index, value in conn.execute(query)]


def list_xcoms(conn: Connection, ti_id: int) -> list[XComRow]:
    """All XComs of a TI, by key."""
    return to_structs(XComRow, conn.execute(select(xcom).where(xcom.c.ti_id == ti_id).order_by(xcom.c.key)))


def xcom_sizes(conn: Connection, ti_id: int) -> list[tuple[str, int]]:
    """(key, size in bytes) of each XCom of a TI, by key."""
    query = select(xcom.c.key, func.length(xcom.c.value)).where(xcom.c.ti_id == ti_id).order_by(xcom.c.key)
    return [(key, size) for key, size in conn.execute(query)]


def xcom_head(conn: Connection, ti_id: int, key: str, length: int) -> tuple[int, bytes] | None:
    """Size of an XCom and its first `length` bytes; None if there is none of that key."""
    query = select(func.length(xcom.c.value), func.substr(xcom.c.value, 1, length))
    row = conn.execute(query.where(xcom.c.ti_id == ti_id, xcom.c.key == storable(key))).one_or_none()
    return None if row is None else (row[0], bytes(row[1]))
