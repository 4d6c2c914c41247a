"""Rows of processes: renewed over what was there, removed at an end in good order, forgotten after a day."""

from airloom.model.events import SetPaused
from airloom.model.processes import SILENCE, ProcessKind, ProcessRow
from airloom.store import inbox, processes
from airloom.store.database import Database
from tests.store.rows import NOW, read, write


def row(name: str, kind: ProcessKind = ProcessKind.RUNNER, seen_at: float = NOW, running: int = 0) -> ProcessRow:
    state = {"executor": "local", "running": running}
    return ProcessRow(id=name, kind=kind, host="h", pid=1, version="1", started_at=NOW, seen_at=seen_at, state=state)


def test_a_renewed_row_says_what_is_true_now(db: Database) -> None:
    write(db, processes.renew, [row("a"), row("b", ProcessKind.API)])
    write(db, processes.renew, [row("a", seen_at=NOW + 5, running=3)])
    assert read(db, processes.list_processes) == [row("b", ProcessKind.API), row("a", seen_at=NOW + 5, running=3)]
    assert read(db, processes.list_processes, ProcessKind.RUNNER) == [row("a", seen_at=NOW + 5, running=3)]


def test_a_process_that_ends_leaves_nothing(db: Database) -> None:
    write(db, processes.renew, [row("a"), row("b")])
    write(db, processes.remove, ["a", "never was"])
    assert [found.id for found in read(db, processes.list_processes)] == ["b"]


def test_what_was_not_seen_for_long_is_forgotten(db: Database) -> None:
    write(db, processes.renew, [row("old", seen_at=NOW - 100), row("young", seen_at=NOW)])
    assert write(db, processes.sweep, NOW - 50) == 1
    assert [found.id for found in read(db, processes.list_processes)] == ["young"]


def test_a_process_lives_until_it_has_been_silent_for_long() -> None:
    assert row("a").alive(NOW + SILENCE)
    assert not row("a").alive(NOW + SILENCE + 1)


def test_commands_that_wait_are_counted(db: Database) -> None:
    assert read(db, processes.inbox_size) == 0
    write(db, inbox.put, SetPaused(dag_id="d", paused=True), "ada", NOW)
    assert read(db, processes.inbox_size) == 1
