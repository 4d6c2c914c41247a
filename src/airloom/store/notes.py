"""Notes: what people wrote about a run, or about a task instance. A note about a run has ti_id 0."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, delete, select, tuple_

from airloom.store.dialects import dialect_of
from airloom.store.rows import storable, to_structs
from airloom.store.tables import note


class NoteRow(msgspec.Struct, frozen=True, kw_only=True):
    """A note. `text` is untrusted."""

    run_id: int
    ti_id: int
    text: str
    by: str
    at: float


def set_note(conn: Connection, row: NoteRow) -> None:
    """Write a note in place of the one that is there."""
    values = msgspec.structs.asdict(msgspec.structs.replace(row, text=storable(row.text)))
    dialect_of(conn).insert(conn, note, [values], replace=("run_id", "ti_id"))


def remove_note(conn: Connection, run_key: int, ti_id: int = 0) -> bool:
    """Remove a note; False if there is none."""
    return conn.execute(delete(note).where(note.c.run_id == run_key, note.c.ti_id == ti_id)).rowcount > 0


def notes_on(conn: Connection, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], NoteRow]:
    """The notes on runs and TIs, by (run, TI or 0)."""
    if not keys:
        return {}
    query = select(note).where(tuple_(note.c.run_id, note.c.ti_id).in_(list(keys)))
    return {(row.run_id, row.ti_id): row for row in to_structs(NoteRow, conn.execute(query))}
