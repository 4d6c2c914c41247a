"""Logs of tries as readers find them: wherever they are, and with what can be known of whether more is to come."""

import dataclasses
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from airloom.model.errors import LogsAway
from airloom.model.events import TriggerRun
from airloom.model.log_lines import LogLine
from airloom.model.report import TryKey
from airloom.model.wire import LogChunk
from airloom.operations import tasks, try_logs
from airloom.operations.asking import ask
from airloom.operations.log_store import LogPlaces
from airloom.operations.ops import Ops
from airloom.operations.try_logs import Seen, TryLog, keep_chunks, log_of, look, open_log
from airloom.sections import Settings
from airloom.store.tables import task_instance, task_try
from tests.logs import lines_of, read_bytes, texts
from tests.operations.leading import leading, never_end

LIMIT = 10**6


@pytest.fixture
def log(ops: Ops, settings: Settings) -> TryLog:
    """The log of a live try of `load`."""
    with leading(settings, never_end):
        ask(ops, TriggerRun(dag_id="flights", run_id="live"))
    run, [ti] = tasks.get_tis(ops, "flights", "live", "load")
    return log_of(run, ti, 1)


def line(text: str) -> bytes:
    return b'{"t":"2026-01-01T00:00:00","level":"INFO","source":"stdout","text":"%b"}\n' % text.encode()


def send(ops: Ops, log: TryLog, offset: int, data: bytes, *, last: bool = False) -> int | None:
    return keep_chunks(ops, [LogChunk(key=log.key, offset=offset, data=data, last=last)], LIMIT)[0]


def end(ops: Ops, at: float) -> None:
    """The try ends."""
    with ops.db.transaction() as conn:
        conn.execute(update(task_try).values(ended_at=at, state="success"))
        conn.execute(update(task_instance).where(task_instance.c.task_id == "load").values(state="success"))


def later(ops: Ops, now: float) -> Ops:
    return dataclasses.replace(ops, now=lambda: now)


def seen(ops: Ops, log: TryLog) -> Seen:
    return look(ops, [log])[log.key]


def file_of(ops: Ops, log: TryLog) -> Path:
    assert ops.logs.folder is not None
    path = ops.logs.folder / log.name
    path.parent.mkdir(parents=True)
    return path


# --- where it is ------------------------------------------------------------------------------------------------------
def test_a_log_that_nobody_has_is_empty(ops: Ops, log: TryLog) -> None:
    assert read_bytes(ops, log) == b""
    assert read_bytes(dataclasses.replace(ops, logs=LogPlaces()), log) == b""
    assert seen(ops, log) == Seen(size=0, over=False)


def test_a_log_is_read_from_the_file_of_this_machine(ops: Ops, log: TryLog) -> None:
    file_of(ops, log).write_bytes(line("one"))
    assert texts(lines_of(ops, log)) == ["one"]
    assert seen(ops, log).size == len(line("one"))


def test_what_a_runner_elsewhere_sent_counts_more_than_a_file(ops: Ops, log: TryLog) -> None:
    # Such a file may be of a run of the same name, which was deleted.
    file_of(ops, log).write_bytes(line("old"))
    send(ops, log, 0, line("new"))
    assert texts(lines_of(ops, log)) == ["new"]


def test_any_part_of_a_log_can_be_read_whatever_its_pieces(ops: Ops, log: TryLog) -> None:
    whole = b"".join(line(f"line {number}") for number in range(2_000))
    for at in range(0, len(whole), 7_001):
        send(ops, log, at, whole[at : at + 7_001])
    with open_log(ops, log) as file:
        assert file.seek(0, 2) == len(whole)
        for at in (0, 1, 7_000, 7_001, 7_002, len(whole) - 1, len(whole)):
            assert file.seek(at) == at
            assert file.read(10_000) == whole[at : at + 10_000]
            assert file.tell() == min(at + 10_000, len(whole))


def test_a_log_that_grows_is_read_on(ops: Ops, log: TryLog) -> None:
    run, [ti] = tasks.get_tis(ops, "flights", "live", "load")

    def read(place: object) -> tuple[list[str], object, bool]:
        lines, after, ended = tasks.read_log(ops, run, ti, 1, place)
        return texts(lines), after, ended

    send(ops, log, 0, line("one") + line("two")[:10])
    found, place, ended = read(None)
    assert (found, ended) == (["one"], False)
    send(ops, log, len(line("one")) + 10, line("two")[10:], last=True)
    end(ops, ops.now())
    found, place, ended = read(place)
    assert (found, ended) == (["two"], True)
    assert read(place) == ([], place, True)


def test_a_log_that_cannot_be_read_is_said(ops: Ops, log: TryLog) -> None:
    path = file_of(ops, log)
    path.mkdir()
    with pytest.raises(LogsAway, match="cannot be read: Is a directory"):
        open_log(ops, log)


# --- whether it is over -----------------------------------------------------------------------------------------------
def test_the_log_of_a_local_try_is_over_with_its_try(ops: Ops, log: TryLog) -> None:
    file_of(ops, log).write_bytes(line("one"))
    assert not seen(ops, log).over
    end(ops, 1000.0)
    assert seen(later(ops, 1000.0), log).over


def test_the_log_of_a_try_elsewhere_is_over_when_it_is_whole(ops: Ops, log: TryLog) -> None:
    assert send(later(ops, 999.0), log, 0, line("one")) == len(line("one"))
    end(ops, 1000.0)
    assert not seen(later(ops, 1001.0), log).over
    send(later(ops, 1001.0), log, len(line("one")), line("two"), last=True)
    assert seen(later(ops, 1001.0), log).over


def test_a_log_that_says_its_end_before_its_try_does_is_not_over(ops: Ops, log: TryLog) -> None:
    send(ops, log, 0, line("one"), last=True)
    assert not seen(ops, log).over


def test_the_rest_of_a_log_that_does_not_come_is_not_waited_for_for_ever(ops: Ops, log: TryLog) -> None:
    send(later(ops, 999.0), log, 0, line("one"))
    end(ops, 1000.0)
    assert not seen(later(ops, 1000.0 + try_logs._STALLED), log).over
    assert seen(later(ops, 1000.1 + try_logs._STALLED), log).over
    # Late is better than never.
    assert send(later(ops, 5000.0), log, len(line("one")), line("two")) == len(line("onetwo") + line(""))
    assert not seen(later(ops, 5001.0), log).over


def test_nothing_is_waited_for_a_moment_only(ops: Ops, log: TryLog) -> None:
    end(ops, 1000.0)
    assert not seen(later(ops, 1000.0 + try_logs._EMPTY), log).over
    assert seen(later(ops, 1000.1 + try_logs._EMPTY), log).over


def test_many_logs_are_looked_at_together_and_those_of_deleted_runs_are_left_out(ops: Ops, log: TryLog) -> None:
    gone = TryLog(key=TryKey(999, 1), dag_id="flights", run_id="gone", task_id="load", map_index=-1)
    assert set(look(ops, [log, gone])) == {log.key}
    with ops.db.transaction() as conn:
        conn.execute(delete(task_instance))
    assert look(ops, [log, gone]) == {}


def test_a_full_log_ends_with_a_line_that_says_so(ops: Ops, log: TryLog) -> None:
    chunk = LogChunk(key=log.key, offset=0, data=line("x" * 100) * 200)
    assert keep_chunks(ops, [chunk], 1000) == [None]
    lines: list[LogLine] = lines_of(ops, log)
    assert lines[-1].text == "this log has reached its limit of 1,000 bytes: the rest is dropped"
    assert (lines[-1].source, lines[-1].level) == ("runner", "WARNING")
