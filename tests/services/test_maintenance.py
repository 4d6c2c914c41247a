"""Retention: what is old goes, rows and logs; what is live, young, or the last of its dag stays."""

import os
import time
from pathlib import Path

import pytest

from airloom.model.errors import StoreError
from airloom.services import maintenance
from airloom.services.maintenance import Maintenance
from airloom.store import runs
from airloom.store.database import Database
from tests.services.rig import Rig, dag, task

DAY = 86_400.0


def keeper(db: Database, logs: Path, runs_days: int = 0, logs_days: int = 0, leads: bool = True) -> Maintenance:
    return Maintenance(db, logs, (runs_days, logs_days, 0), 3_600.0, lambda: leads)


def run_ids(db: Database) -> list[str]:
    with db.reading() as conn:
        return sorted(run.run_id for run in runs.list_runs(conn))


def test_runs_that_are_older_than_kept_go_and_live_ones_stay(db: Database, tmp_path: Path) -> None:
    rig = Rig(db)
    rig.clock.now = time.time() - 10 * DAY
    rig.load(dag(task("a", empty=True), task("b")))
    for name in ("old", "older"):
        rig.trigger(name)
        rig.executor.end("b", at=rig.clock.now)
        rig.tick()
    rig.clock.now = time.time()
    rig.trigger("young")
    rig.executor.end("b", at=rig.clock.now)
    rig.tick()
    # One that began long ago and has not ended.
    rig.clock.now -= 10 * DAY
    rig.trigger("live")
    rig.clock.now += 10 * DAY
    assert run_ids(db) == ["live", "old", "older", "young"]
    assert keeper(db, tmp_path, runs_days=3).tick() == 3_600.0
    assert run_ids(db) == ["live", "young"]
    with db.reading() as conn:
        counts = [conn.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() for name in ("task_instance", "dag")]
    assert counts == [4, 1]
    # The scheduler knows nothing of it, and goes on.
    rig.executor.end("b", at=rig.clock.now)
    rig.tick()
    assert rig.run("live").state == "success"


def test_the_last_run_of_a_dag_stays_however_old_it_is(db: Database, tmp_path: Path) -> None:
    rig = Rig(db)
    rig.clock.now = time.time() - 100 * DAY
    rig.load(dag(task("a", empty=True)))
    for name in ("r1", "r2"):
        rig.trigger(name)
    keeper(db, tmp_path, runs_days=1).tick()
    assert run_ids(db) == ["r2"]


@pytest.mark.parametrize(("days", "leads"), [(0, True), (1, False)])
def test_nothing_goes_for_ever_or_at_a_spare(db: Database, tmp_path: Path, days: int, leads: bool) -> None:
    rig = Rig(db)
    rig.clock.now = time.time() - 100 * DAY
    rig.load(dag(task("a", empty=True)))
    for name in ("r1", "r2"):
        rig.trigger(name)
    keeper(db, tmp_path, runs_days=days, leads=leads).tick()
    assert run_ids(db) == ["r1", "r2"]


def log_file(path: Path, days: float) -> Path:
    """A log that was written to so many days ago, in folders as old."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a line")
    at = time.time() - days * DAY
    for each in (path, path.parent, path.parent.parent, path.parent.parent.parent):
        os.utime(each, (at, at))
    return path


def test_logs_that_are_older_than_kept_go_with_their_folders(db: Database, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    old = log_file(logs / "d" / "run1" / "a" / "1.log", 10)
    young = log_file(logs / "e" / "run2" / "a" / "1.log", 0)
    mixed = [log_file(logs / "f" / "run3" / "a" / f"{number}.log", days) for number, days in ((1, 10), (2, 0))]
    keeper(db, logs, logs_days=3).tick()
    assert not old.exists()
    assert not (logs / "d").exists()
    assert young.exists()
    assert [path.exists() for path in mixed] == [False, True]


def test_a_folder_that_was_made_just_now_is_not_taken_away_from_who_made_it(db: Database, tmp_path: Path) -> None:
    fresh = tmp_path / "logs" / "d" / "run" / "a"
    fresh.mkdir(parents=True)
    keeper(db, tmp_path / "logs", logs_days=1).tick()
    assert fresh.is_dir()


def test_the_runners_own_log_stays(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "runner.log"
    path.parent.mkdir()
    path.write_text("")
    os.utime(path, (0.0, 0.0))
    keeper(db, tmp_path / "logs", logs_days=1).tick()
    assert path.exists()


def test_a_database_that_fails_is_said_and_logs_are_cleaned_all_the_same(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*args: object, **values: object) -> None:
        raise StoreError("the disk failed")

    monkeypatch.setattr(maintenance, "clean", failing)
    old = log_file(tmp_path / "logs" / "d" / "run" / "a" / "1.log", 10)
    assert keeper(db, tmp_path / "logs", runs_days=1, logs_days=1).tick() == 3_600.0
    assert "retention: the disk failed; it goes on at the next time" in caplog.text
    assert not old.exists()
