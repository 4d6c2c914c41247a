"""The log of a try: whole lines, masked, bounded, and never at the cost of the try."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airloom.model.log_lines import LogLine
from airloom.runtime.logs import LONGEST_LINE, TryLog, log_path, remove_log
from airloom.runtime.masking import Masker
from tests.logs import read_log


def all_lines(path: Path) -> list[LogLine]:
    lines: list[LogLine] = []
    offset = 0
    while True:
        some, after = read_log(str(path), offset)
        lines += some
        if after == offset:
            return lines
        offset = after


def texts(path: Path) -> list[str]:
    return [line.text for line in all_lines(path)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "down" / "attempt=1.log"


def new_log(path: Path, *secrets: str, limit: int = 100_000_000) -> TryLog:
    masker = Masker()
    masker.add(secrets)
    return TryLog(str(path), masker, limit)


def test_a_log_that_nobody_has_written_to_is_empty(path: Path):
    new_log(path).close()
    assert read_log(str(path)) == ([], 0)


def test_lines_keep_their_source_level_and_time(path: Path):
    log = new_log(path)
    log.output("stdout", b"one\n")
    log.output("stderr", b"two\r\n")
    log.record(0.5, "ERROR", "my.logger", "three\nTraceback")
    log.note("four")
    log.close()
    lines = all_lines(path)
    assert [(line.source, line.level, line.text, line.logger) for line in lines] == [
        ("stdout", "INFO", "one", None),
        ("stderr", "WARNING", "two", None),
        ("task", "ERROR", "three\nTraceback", "my.logger"),
        ("runner", "INFO", "four", None),
    ]
    assert lines[2].t == "1970-01-01T00:00:00.500000+00:00"


@given(st.data())
def test_however_the_output_is_cut_the_lines_are_the_same_and_no_secret_is_in_them(
    tmp_path_factory, data: st.DataObject
):
    words = st.sampled_from(["s3cret-word", "plain", "é", "\n", "\n\n", "s3cret", " ", "\xff"])
    output = "".join(data.draw(st.lists(words, max_size=30))).encode()
    path = tmp_path_factory.mktemp("log") / "a.log"
    log = new_log(path, "s3cret-word")
    rest = output
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        log.output("stdout", rest[:size])
        rest = rest[size:]
    log.close()
    expected = output.decode().replace("s3cret-word", "***").split("\n")
    assert texts(path) == (expected if expected[-1] else expected[:-1])


def test_a_last_line_without_an_end_is_a_line(path: Path):
    log = new_log(path)
    log.output("stdout", b"no end")
    assert texts(path) == []
    log.close()
    assert texts(path) == ["no end"]


def test_a_very_long_line_is_cut_but_never_in_the_middle_of_a_secret(path: Path):
    secret = "s3cret-word"
    log = new_log(path, secret)
    data = b"x" * (LONGEST_LINE - 5) + secret.encode() + b"y" * LONGEST_LINE
    for start in range(0, len(data), 65536):
        log.output("stdout", data[start : start + 65536])
    log.close()
    found = texts(path)
    assert all(len(text) <= LONGEST_LINE for text in found)
    assert "".join(found) == "x" * (LONGEST_LINE - 5) + "***" + "y" * LONGEST_LINE


def test_a_log_at_its_limit_says_so_once_and_takes_no_more(path: Path):
    log = new_log(path, limit=10_000)
    for _ in range(1000):
        log.output("stdout", b"z" * 99 + b"\n")
    log.record(0.0, "INFO", "x", "more")
    log.close()
    found = texts(path)
    assert found[-1] == "this log has reached its limit of 10,000 bytes: the rest is dropped"
    assert sum("limit" in text for text in found) == 1
    assert path.stat().st_size < 10_300


def test_a_full_disk_costs_lines_but_raises_nothing_and_is_told_later(path: Path, monkeypatch: pytest.MonkeyPatch):
    log = new_log(path)
    log.output("stdout", b"before\n")
    real = os.write
    left = 30

    def write(fd: int, data: bytes) -> int:
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(fd, data[:left])
        left -= written
        return written

    monkeypatch.setattr(os, "write", write)
    log.output("stdout", b"lost one\nlost two\n")
    log.output("stdout", b"lost three\n")
    monkeypatch.undo()
    log.output("stdout", b"after\n")
    log.close()
    assert texts(path) == ["before", "3 lines of this log are lost: they could not be written", "after"]


def test_a_place_that_cannot_be_written_raises_nothing(tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    log = new_log(tmp_path / "file" / "attempt=1.log")
    log.output("stdout", b"one\n")
    log.close()


def test_reading_goes_on_where_it_stopped_and_leaves_an_unfinished_line(path: Path):
    log = new_log(path)
    log.note("one")
    first, offset = read_log(str(path))
    log.note("two")
    with path.open("ab") as file:
        file.write(b'{"t":"x","level":"INFO","sour')
    second, after = read_log(str(path), offset)
    assert [line.text for line in first + second] == ["one", "two"]
    assert read_log(str(path), after) == ([], after)
    log.close()


def test_ids_become_safe_names_that_stay_apart():
    path = log_path("/home", "a/b", "../../x", "t\0", 3, 2)
    assert path == "/home/logs/dag_id=a%2Fb/run_id=..%2F..%2Fx/task_id=t%00/map_index=3/attempt=2.log"
    long, other = (log_path("/h", "d", "r", "x" * 300 + end, -1, 1).split("/")[5] for end in "ab")
    assert long != other
    assert len(long) < 255


def test_a_log_that_is_kept_elsewhere_goes_with_its_empty_folders(tmp_path: Path):
    first, other = (Path(log_path(str(tmp_path), "d", "r", task, 3, 1)) for task in ("a", "b"))
    for each in (first, other):
        new_log(each).note("one")
    remove_log(first)
    assert not first.parent.parent.exists()
    assert other.exists()
    remove_log(other)
    remove_log(other)
    assert list((tmp_path / "logs").iterdir()) == []


def test_a_folder_that_goes_while_a_log_begins_is_made_again(path: Path, monkeypatch: pytest.MonkeyPatch):
    made = Path.mkdir

    def gone_again(folder: Path, *args: object, **options: object) -> None:
        made(folder, parents=True, exist_ok=True)
        monkeypatch.setattr(Path, "mkdir", made)
        folder.rmdir()

    monkeypatch.setattr(Path, "mkdir", gone_again)
    new_log(path).note("one")
    assert texts(path) == ["one"]
