"""Reports on disk: what was appended is found by a successor, wherever the writer was killed."""

import errno
import os
from pathlib import Path

import pytest

from airloom.model.report import Ended, HandedBack, Outcome, Started, TryKey, XComValue
from airloom.model.wire import Ack, Reports
from airloom.runtime.journal import Journal, keep_ends, read_remains


def started(number: int) -> Started:
    return Started(key=TryKey(number, 1), at=1.0, pid=1000 + number)


def ended(number: int, size: int = 10) -> Ended:
    xcom = XComValue(key="return_value", value=b"1" * size)
    return Ended(key=TryKey(number, 1), at=2.0, outcome=Outcome.SUCCESS, xcoms=(xcom,))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(str(tmp_path / "r.journal"))


def test_what_was_not_acknowledged_is_found(journal: Journal):
    journal.append(Reports(seq=1, reports=(started(1), ended(1))))
    journal.append(Reports(seq=2, reports=(started(2),)))
    journal.append(Ack(seq=1))
    remains = read_remains(journal.path)
    assert remains.reports == [started(2)]
    assert remains.pids == [1002]


def test_when_all_is_acknowledged_and_nothing_runs_the_file_is_empty(journal: Journal):
    journal.append(Reports(seq=1, reports=(started(1), ended(1))))
    journal.acknowledged(1, [], list)
    assert Path(journal.path).stat().st_size == 0
    journal.append(Reports(seq=2, reports=(started(2), ended(2))))
    assert read_remains(journal.path).reports == [started(2), ended(2)]


def test_the_processes_of_running_tries_stay_known_when_the_file_is_made_small(journal: Journal):
    journal.append(Reports(seq=1, reports=(started(1),)))
    journal.append(Reports(seq=2, reports=(ended(2, size=300_000),)))
    journal.acknowledged(2, [], lambda: [started(1)])
    assert Path(journal.path).stat().st_size < 1000
    assert read_remains(journal.path).pids == [1001]
    assert read_remains(journal.path).reports == []
    journal.append(Reports(seq=3, reports=(ended(1),)))
    remains = read_remains(journal.path)
    assert (remains.reports, remains.pids) == ([ended(1)], [])


def test_a_try_that_was_claimed_is_unfinished_until_its_end_and_is_never_told_as_started(journal: Journal):
    def claimed(number: int) -> Started:
        return Started(key=TryKey(number, 1), at=1.0, token="t")

    journal.append(Reports(seq=0, reports=(claimed(1),)))
    journal.append(Reports(seq=0, reports=(claimed(2),)))
    journal.append(Reports(seq=1, reports=(ended(2),)))
    assert read_remains(journal.path).unfinished == [claimed(1)]
    assert read_remains(journal.path).reports == [ended(2)]
    journal.acknowledged(1, [], lambda: [claimed(1)])
    remains = read_remains(journal.path)
    assert (remains.reports, remains.unfinished, remains.pids) == ([], [claimed(1)], [])
    journal.append(Reports(seq=2, reports=(started(1),)))
    assert read_remains(journal.path).pids == [1001]


def test_wherever_the_writer_was_killed_the_whole_messages_are_found(journal: Journal, tmp_path: Path):
    messages = [Reports(seq=number, reports=(started(number), ended(number))) for number in (1, 2, 3)]
    ends = [0]
    for message in messages:
        journal.append(message)
        ends.append(Path(journal.path).stat().st_size)
    data = Path(journal.path).read_bytes()
    torn = tmp_path / "torn.journal"
    for size in range(len(data) + 1):
        torn.write_bytes(data[:size])
        whole = sum(end <= size for end in ends[1:])
        assert len(read_remains(str(torn)).reports) == 2 * whole


def test_a_full_disk_delays_the_writing_and_tears_nothing(journal: Journal, monkeypatch: pytest.MonkeyPatch):
    journal.append(Reports(seq=1, reports=(ended(1),)))
    real = os.write
    answers = iter([5, 0])

    def write(fd: int, data: bytes) -> int:
        room = next(answers)
        if room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data[:room])

    monkeypatch.setattr(os, "write", write)
    journal.append(Reports(seq=2, reports=(ended(2),)))
    assert not journal.written
    assert read_remains(journal.path).reports == [ended(1)]
    journal.append(Reports(seq=3, reports=(ended(3),)))
    monkeypatch.undo()
    journal.append(Reports(seq=4, reports=(ended(4),)))
    assert journal.written
    assert read_remains(journal.path).reports == [ended(number) for number in (1, 2, 3, 4)]


def test_closing_leaves_the_file_only_if_it_is_needed(journal: Journal):
    journal.append(Reports(seq=1, reports=(ended(1),)))
    journal.close(remove=False)
    assert Path(journal.path).exists()
    journal.close(remove=True)
    assert not Path(journal.path).exists()


def test_the_file_stays_small_under_a_load_of_which_something_is_always_unacknowledged(journal: Journal):
    live = [started(0)]
    journal.append(Reports(seq=1, reports=(started(0),)))
    message = Reports(seq=2, reports=(started(2), ended(2, size=20_000)))
    journal.append(message)
    largest = 0
    for seq in range(3, 203):
        following = Reports(seq=seq, reports=(started(seq), ended(seq, size=20_000)))
        journal.append(following)
        journal.acknowledged(message.seq, [following], lambda: live)
        message = following
        largest = max(largest, Path(journal.path).stat().st_size)
    assert largest < 400_000
    remains = read_remains(journal.path)
    assert remains.reports == list(message.reports)
    assert remains.pids == [1000]


def test_a_file_that_cannot_be_written_anew_still_holds_everything(journal: Journal, monkeypatch: pytest.MonkeyPatch):
    journal.append(Reports(seq=1, reports=(ended(1, size=300_000),)))
    journal.append(Reports(seq=2, reports=(ended(2),)))

    def full(_self: Path, _target: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    journal.acknowledged(1, [Reports(seq=2, reports=(ended(2),))], list)
    monkeypatch.undo()
    journal.append(Reports(seq=3, reports=(ended(3),)))
    assert read_remains(journal.path).reports[-2:] == [ended(2), ended(3)]
    assert not Path(journal.path + ".new").exists()


def test_of_another_owners_tries_the_ends_are_kept_and_the_processes_forgotten(journal: Journal):
    back = HandedBack(key=TryKey(3, 1), at=1.0, detail="stopping")
    journal.append(Reports(seq=1, reports=(started(1), ended(2), back)))
    keep_ends(journal.path, read_remains(journal.path))
    assert not Path(journal.path).exists()
    remains = read_remains(journal.path.replace(".journal", ".ends"))
    assert (remains.reports, remains.pids) == ([ended(2), back], [])
