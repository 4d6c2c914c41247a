"""Sending the log of a try piece by piece: what is lost on its way, what the server has already, what it refuses."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from airloom.model.report import TryKey
from airloom.model.wire import LogAck, LogChunk
from airloom.model.work import RunInfo, Work
from airloom.runtime import log_sender
from airloom.runtime.log_sender import LogSender
from airloom.runtime.loop import Loop

KEY = TryKey(3, 1)


class Rig:
    """A sender whose chunks are looked at, and which is turned by hand."""

    def __init__(self, folder: Path) -> None:
        self.loop = Loop()
        self.folder = folder
        self.path = folder / "log"
        self.sent: list[LogChunk] = []
        self.sender = LogSender(self.loop, str(folder), self.sent.append)
        self.wrote: Callable[[], None]

    def follow(self) -> None:
        run = RunInfo(run_id="r", run_type="manual", run_after=0.0)
        work = Work(
            key=KEY, dag_id="d", task_id="t", run=run, run_key=1, bundle="b", rel_path="d.py", version_id=1, token="x"
        )
        self.wrote = self.sender.follow(work, str(self.path))

    def write(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)
        self.wrote()

    def end(self) -> None:
        """The try is over, which is told together with the rest of its log."""
        self.sender.ended(KEY)
        self.sent += self.sender.last_words()

    def turn(self) -> list[tuple[int, bytes]]:
        """Let the timers pass; what was sent since the last call."""
        self.loop.later(0.0, lambda: None)
        self.loop.turn()
        sent = [(chunk.offset, chunk.data) for chunk in self.sent]
        self.sent.clear()
        return sent

    def ack(self, offset: int | None) -> list[tuple[int, bytes]]:
        self.sender.heard(LogAck(key=KEY, offset=offset))
        return self.turn()


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(log_sender, "_GATHER", 0.0)
    rig = Rig(tmp_path)
    rig.follow()
    return rig


def test_a_log_is_sent_as_it_grows_one_piece_at_a_time(rig: Rig):
    rig.write("one\n")
    assert rig.turn() == [(0, b"one\n")]
    rig.write("two\n")
    assert rig.turn() == []
    assert rig.ack(4) == [(4, b"two\n")]
    assert rig.ack(8) == []


def test_what_the_server_has_already_is_skipped_and_what_it_misses_is_sent_again(rig: Rig):
    rig.write("0123456789")
    assert rig.turn() == [(0, b"0123456789")]
    assert rig.ack(7) == [(7, b"789")]
    assert rig.ack(2) == [(2, b"23456789")]


def test_what_was_on_its_way_when_the_connection_broke_is_sent_again(rig: Rig):
    rig.write("one\n")
    assert rig.turn() == [(0, b"one\n")]
    rig.sender.reconnected()
    assert rig.turn() == [(0, b"one\n")]


def test_a_log_is_done_with_when_its_try_has_ended_and_the_server_has_all_of_it(rig: Rig):
    rig.write("one\n")
    rig.turn()
    rig.end()
    assert not rig.sender.settled
    rig.sender.heard(LogAck(key=KEY, offset=4))
    # All of it was sent before: that it ends is said by itself.
    (end,) = rig.sent
    assert (end.offset, end.data, end.last) == (4, b"", True)
    assert list(rig.folder.glob("*.note"))
    assert rig.path.exists()
    rig.ack(4)
    assert rig.sender.settled
    assert not list(rig.folder.glob("*.note"))
    assert not rig.path.exists()


def test_that_a_log_ends_is_said_with_the_last_of_it(rig: Rig):
    rig.write("one\n")
    rig.end()
    (end,) = rig.sent
    assert (end.offset, end.data, end.last) == (0, b"one\n", True)
    # It has less than was thought: it is sent what it lacks, and told again where the log ends.
    rig.sent.clear()
    rig.sender.heard(LogAck(key=KEY, offset=2))
    (again,) = rig.sent
    assert (again.offset, again.data, again.last) == (2, b"e\n", True)
    rig.ack(4)
    assert rig.sender.settled


def test_an_empty_log_is_not_spoken_of(rig: Rig):
    rig.end()
    assert rig.turn() == []
    assert rig.sender.settled


def test_a_log_of_more_than_one_piece_ends_with_the_last_of_them(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(log_sender, "_CHUNK", 3)
    rig.write("abcdef")
    rig.end()
    said: list[tuple[bytes, bool]] = []
    while not rig.sender.settled:
        (chunk,) = rig.sent
        rig.sent.clear()
        said.append((chunk.data, chunk.last))
        rig.sender.heard(LogAck(key=KEY, offset=chunk.offset + len(chunk.data)))
    assert said == [(b"abc", False), (b"def", False), (b"", True)]


def test_a_log_that_was_refused_stays_on_its_machine(rig: Rig):
    rig.write("one\n")
    rig.turn()
    rig.end()
    rig.ack(None)
    assert rig.sender.settled
    assert rig.path.exists()


def test_a_log_that_was_refused_goes_when_nobody_came_for_it_for_days(rig: Rig):
    rig.write("one\n")
    rig.turn()
    rig.end()
    rig.ack(None)
    (note,) = rig.folder.glob("*.refused")
    next_one = Rig(rig.folder)
    next_one.sender.inherit()
    assert next_one.turn() == []
    assert rig.path.exists()
    os.utime(note, (1, 1))
    Rig(rig.folder).sender.inherit()
    assert not rig.path.exists()
    assert list(rig.folder.iterdir()) == []


def test_a_log_that_the_server_refuses_is_not_sent_on(rig: Rig):
    rig.write("one\n")
    rig.turn()
    assert rig.ack(None) == []
    rig.write("two\n")
    assert rig.turn() == []
    rig.end()
    assert rig.sender.settled


def test_a_server_that_makes_no_progress_is_given_time(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    rig.write("one\n")
    rig.turn()
    assert rig.ack(0) == []
    rig.sender.reconnected()
    assert rig.turn() == [(0, b"one\n")]


def test_the_next_runner_goes_on_where_a_dead_one_stopped(rig: Rig):
    rig.write("one\n")
    rig.turn()
    after = Rig(rig.folder)
    after.sender.inherit()
    after.sender.reconnected()
    assert after.turn() == [(0, b"one\n")]
    assert after.ack(4) == []
    assert after.sender.settled


def test_a_task_that_writes_nothing_leaves_nothing_to_send(rig: Rig):
    rig.end()
    assert rig.turn() == []
    assert rig.sender.settled
