"""The loader with real files and real parser processes: what becomes of files that come, change, break and go."""

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airloom.bundles.local import LocalFolder
from airloom.bundles.sources import FolderSource
from airloom.model.errors import StoreError
from airloom.model.events import Reload, TriggerRun
from airloom.model.loading import ParsedFile
from airloom.model.run import DagRow
from airloom.runtime.parsing import ParseJob, ParserPool
from airloom.services.loader import FolderWatch, Loader, LoaderSettings
from airloom.store import dags, inbox
from airloom.store.dags import ImportErrorRow
from airloom.store.database import Database
from tests.services.rig import Clock, Rig

DEADLINE = 30.0
INTERVAL = 30.0


@pytest.fixture(scope="module")
def parser() -> Iterator[ParserPool]:
    pool = ParserPool(2, timeout=20.0)
    yield pool
    pool.close()


class Folder:
    """A folder of DAG files and the loader that looks at it."""

    def __init__(self, db: Database, path: Path, parser: ParserPool) -> None:
        path.mkdir()
        self.db = db
        self.path = path
        self.clock = Clock(2_000_000_000.0)
        self.told = 0
        settings = LoaderSettings(interval=INTERVAL, refresh=0.0, paused=False)
        self.loader = Loader(db, FolderSource(LocalFolder("dags", path)), parser, self._tell, self.clock, settings)
        self._ticks = 0

    def _tell(self) -> None:
        self.told += 1

    def write(self, name: str, text: str) -> Path:
        """A file; each one that is written is newer than those before."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self._ticks += 1
        os.utime(path, (1_000_000_000 + self._ticks,) * 2)
        return path

    def look(self) -> list[str]:
        """One look; the dags of which the leader is told. It is followed by another at once if there were any."""
        self.clock.now += 1.0
        pause = self.loader.tick()
        with self.db.transaction() as conn:
            commands = [(number, command) for number, command in inbox.take(conn, 1000)]
            for number, _ in commands:
                conn.exec_driver_sql(f"DELETE FROM inbox WHERE id = {number}")
        assert all(isinstance(command, Reload) for _, command in commands)
        told = [dag_id for _, command in commands for dag_id in getattr(command, "dag_ids", ())]
        assert pause == (0.0 if told else INTERVAL)
        return told

    def dag(self, dag_id: str) -> DagRow:
        with self.db.reading() as conn:
            row = dags.dag_row(conn, dag_id)
        assert row is not None
        return row

    def versions(self, dag_id: str) -> list[int]:
        with self.db.reading() as conn:
            return [version.number for version in dags.list_versions(conn, dag_id)]

    def errors(self) -> list[ImportErrorRow]:
        with self.db.reading() as conn:
            return dags.import_errors(conn)


@pytest.fixture
def folder(db: Database, tmp_path: Path, parser: ParserPool) -> Folder:
    return Folder(db, tmp_path / "dags", parser)


def dag_text(dag_id: str, *tasks: str) -> str:
    lines = [f"    EmptyOperator(task_id={task!r})" for task in tasks or ("a",)]
    return "\n".join(["from airloom import DAG, EmptyOperator", f"with DAG({dag_id!r}):", *lines, ""])


# --- coming and changing -------------------------------------------------------------------------------------------
def test_a_new_file_is_a_dag_and_the_leader_is_told(folder: Folder) -> None:
    folder.write("one.py", dag_text("one", "a", "b"))
    assert folder.look() == ["one"]
    assert folder.told == 1
    dag = folder.dag("one")
    assert [task.task_id for task in dag.spec.tasks] == ["a", "b"]
    assert (dag.bundle, dag.rel_path, dag.active, dag.paused) == ("dags", "one.py", True, False)
    with folder.db.reading() as conn:
        assert dags.source(conn, dag.file_hash) == dag_text("one", "a", "b")


def test_nobody_is_told_of_files_that_are_as_they_were(folder: Folder) -> None:
    path = folder.write("one.py", dag_text("one"))
    folder.look()
    assert folder.look() == []
    path.touch()
    assert folder.look() == []
    assert folder.versions("one") == [1]


def test_a_comment_makes_no_version_and_a_task_does(folder: Folder) -> None:
    folder.write("one.py", dag_text("one"))
    folder.look()
    before = folder.dag("one")
    folder.write("one.py", dag_text("one") + "# a remark\n")
    assert folder.look() == ["one"]
    assert folder.versions("one") == [1]
    assert folder.dag("one").file_hash != before.file_hash
    folder.write("one.py", dag_text("one", "a", "b"))
    assert folder.look() == ["one"]
    assert folder.versions("one") == [2, 1]


def test_a_change_in_a_module_that_a_file_imports_is_a_change_of_its_dag(folder: Folder) -> None:
    folder.write("names.py", "TASK = 'before'\n")
    folder.write("one.py", "from names import TASK\n" + dag_text("one").replace("'a'", "TASK"))
    folder.look()
    assert folder.dag("one").spec.tasks[0].task_id == "before"
    path = folder.write("names.py", "TASK = 'after'\n")
    os.utime(path, (folder.clock.now + 1,) * 2)
    assert folder.look() == ["one"]
    assert folder.dag("one").spec.tasks[0].task_id == "after"


def test_a_run_goes_on_with_the_version_it_began_with_while_the_file_changes(folder: Folder) -> None:
    rig = Rig(folder.db)
    text = "from airloom import DAG, BashOperator\nwith DAG('d'):\n" + "".join(
        f"    BashOperator(task_id={name!r}, bash_command='true'){after}\n"
        for name, after in (("a", " >> \\"), ("b", ""))
    )
    folder.write("d.py", text)
    folder.loader.tick()
    rig.scheduler.hint()
    rig.trigger("r", "d")
    folder.write("d.py", text.replace("'b'", "'other'"))
    folder.loader.tick()
    rig.executor.end("a")
    rig.scheduler.hint()
    rig.tick()
    rig.trigger("later", "d")
    assert rig.states("r") == {"a": "success", "b": "queued"}
    assert rig.states("later") == {"a": "queued", "other": "none"}


def test_thirty_files_at_once_are_thirty_dags(folder: Folder) -> None:
    for number in range(30):
        folder.write(f"team{number % 3}/dag{number}.py", dag_text(f"dag{number}"))
    assert sorted(folder.look()) == sorted(f"dag{number}" for number in range(30))
    assert folder.errors() == []


# --- what is wrong -------------------------------------------------------------------------------------------------
def test_a_syntax_error_is_shown_with_its_place_and_the_last_good_version_goes_on(folder: Folder) -> None:
    folder.write("one.py", dag_text("one", "a", "b"))
    folder.look()
    folder.write("one.py", "from airloom import DAG\n\nwith DAG('one':\n    pass\n")
    assert folder.look() == []
    (error,) = folder.errors()
    assert (error.rel_path, error.line) == ("one.py", 3)
    assert "SyntaxError" in error.text
    dag = folder.dag("one")
    assert (dag.active, len(dag.spec.tasks)) == (True, 2)
    folder.write("one.py", dag_text("one", "a", "b", "c"))
    assert folder.look() == ["one"]
    assert folder.errors() == []
    assert folder.versions("one") == [2, 1]


def test_a_file_that_never_returns_stops_no_other(db: Database, tmp_path: Path) -> None:
    pool = ParserPool(1, timeout=1.0)
    folder = Folder(db, tmp_path / "dags", pool)
    folder.write("a_stuck.py", "import time\ntime.sleep(3600)  # before the airloom DAG\n")
    folder.write("b_good.py", dag_text("good"))
    assert folder.look() == ["good"]
    assert [(error.rel_path, "was not imported within 1 s" in error.text) for error in folder.errors()] == [
        ("a_stuck.py", True)
    ]
    pool.close()


def test_a_file_that_cannot_be_read_is_an_error_until_it_can(folder: Folder) -> None:
    path = folder.path / "one.py"
    path.symlink_to("/proc/self/mem")  # a regular file, whose reading fails for any user
    assert folder.look() == []
    (error,) = folder.errors()
    assert (error.rel_path, error.text) == ("one.py", "the file cannot be read: Input/output error")
    path.unlink()
    folder.write("one.py", dag_text("one"))
    assert folder.look() == ["one"]
    assert folder.errors() == []


def test_of_two_files_with_one_dag_id_the_first_has_it_until_it_goes(folder: Folder) -> None:
    folder.write("first.py", dag_text("one", "a"))
    folder.look()
    folder.write("second.py", dag_text("one", "b"))
    assert folder.look() == []
    (error,) = folder.errors()
    assert (error.rel_path, error.dag_id) == ("second.py", "one")
    assert error.text == "the dag id 'one' is defined by first.py already: give one of the two another id"
    assert folder.dag("one").rel_path == "first.py"
    (folder.path / "first.py").unlink()
    assert folder.look() == ["one"]
    assert folder.look() == ["one"]
    dag = folder.dag("one")
    assert (dag.rel_path, dag.active, dag.spec.tasks[0].task_id) == ("second.py", True, "b")
    assert folder.errors() == []


def test_a_dag_that_moves_to_another_file_in_one_step_is_never_lost(folder: Folder) -> None:
    folder.write("z_both.py", dag_text("one") + dag_text("two"))
    folder.look()
    folder.write("a_new.py", dag_text("one"))
    folder.write("z_both.py", dag_text("two"))
    folder.look()
    folder.look()
    assert (folder.dag("one").rel_path, folder.dag("one").active) == ("a_new.py", True)
    assert folder.errors() == []


# --- going ---------------------------------------------------------------------------------------------------------
def test_a_file_that_is_removed_retires_its_dag_and_history_stays(folder: Folder) -> None:
    rig = Rig(folder.db)
    folder.write("d.py", dag_text("d"))
    folder.loader.tick()
    rig.scheduler.hint()
    rig.trigger("r", "d")
    assert rig.run("r", "d").state == "success"
    (folder.path / "d.py").unlink()
    folder.loader.tick()
    answer = rig.ask(TriggerRun(dag_id="d"))
    assert "is gone from its file" in (answer.message or "")
    assert not folder.dag("d").active
    assert rig.run("r", "d").state == "success"
    folder.write("d.py", dag_text("d"))
    folder.loader.tick()
    rig.scheduler.hint()
    rig.trigger("again", "d")
    assert folder.versions("d") == [1]


def test_a_definition_that_is_taken_out_of_its_file_retires_its_dag_alone(folder: Folder) -> None:
    folder.write("both.py", dag_text("one") + dag_text("two"))
    assert sorted(folder.look()) == ["one", "two"]
    folder.write("both.py", dag_text("two"))
    assert set(folder.look()) == {"one", "two"}
    assert (folder.dag("one").active, folder.dag("two").active) == (False, True)


def test_a_file_that_ceases_to_define_dags_retires_them(folder: Folder) -> None:
    folder.write("one.py", dag_text("one"))
    folder.look()
    folder.write("one.py", "nothing = 0\n")
    assert folder.look() == ["one"]
    assert not folder.dag("one").active


# --- what is none of its business ----------------------------------------------------------------------------------
def test_a_file_that_is_no_dag_file_is_not_imported(folder: Folder) -> None:
    mark = folder.path / "imported"
    folder.write("module.py", f"from pathlib import Path\nPath({str(mark)!r}).touch()\n")
    folder.look()
    folder.look()
    assert not mark.exists()


def test_hidden_and_ignored_files_are_not_looked_at(folder: Folder) -> None:
    folder.write(".airloomignore", "drafts\n*_test.py\n# a remark\n")
    names = (".hidden.py", "drafts/a.py", "deep/drafts/b.py", "c_test.py", ".git/d.py", "__pycache__/e.py", "f.txt")
    for number, name in enumerate(names):
        folder.write(name, dag_text(f"no{number}"))
    folder.write("yes.py", dag_text("yes"))
    assert folder.look() == ["yes"]
    folder.write(".airloomignore", "yes.py\n")
    assert "yes" in folder.look()
    assert not folder.dag("yes").active


def test_pipes_and_links_that_lead_back_hold_nobody_up(folder: Folder) -> None:
    os.mkfifo(folder.path / "pipe.py")
    (folder.path / "gone.py").symlink_to("nowhere.py")
    (folder.path / "round").symlink_to(".")
    folder.write("one.py", dag_text("one"))
    assert folder.look() == ["one"]
    assert folder.errors() == []


def test_a_folder_that_is_away_is_not_taken_for_an_empty_one(folder: Folder) -> None:
    folder.write("one.py", dag_text("one"))
    folder.look()
    away = folder.path.rename(folder.path.with_name("away"))
    assert folder.look() == []
    assert folder.dag("one").active
    away.rename(folder.path)
    (folder.path / "one.py").unlink()
    folder.look()
    assert not folder.dag("one").active


# --- when something fails ------------------------------------------------------------------------------------------
def test_a_file_that_takes_long_to_fail_is_let_alone_for_longer_unless_it_changes(
    folder: Folder, parser: ParserPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, done = parser.parse, []

    def slowly(jobs: Iterable[ParseJob]) -> Iterator[ParsedFile]:
        for parsed in real(jobs):
            folder.clock.now += 10.0
            done.append(parsed.rel_path)
            yield parsed

    monkeypatch.setattr(parser, "parse", slowly)
    folder.write("bad.py", "import airloom\nraise ValueError('no dag')\n")
    folder.look()
    folder.clock.now += 2 * INTERVAL
    folder.look()
    assert done == ["bad.py"]
    folder.clock.now += 200.0
    folder.look()
    assert done == ["bad.py"] * 2
    folder.write("bad.py", "import airloom\nraise ValueError('still no dag')\n")
    folder.look()
    assert done == ["bad.py"] * 3


def test_a_database_that_fails_delays_the_look_and_loses_nothing(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = [StoreError("the disk is full")]
    real = dags.save_file

    def save(*args: Any, **values: Any) -> Any:
        done = real(*args, **values)
        if failing:
            raise failing.pop()
        return done

    monkeypatch.setattr(dags, "save_file", save)
    for number in range(5):
        folder.write(f"dag{number}.py", dag_text(f"dag{number}"))
    assert folder.loader.tick() == 1.0
    folder.look()
    assert all(folder.dag(f"dag{number}").active for number in range(5))


def test_a_loader_that_starts_anew_parses_only_what_has_changed(folder: Folder, parser: ParserPool) -> None:
    folder.write("one.py", dag_text("one"))
    folder.write("two.py", dag_text("two"))
    folder.look()
    folder.write("two.py", dag_text("two", "a", "b"))
    jobs: list[str] = []

    class Counting(ParserPool):
        def parse(self, jobs_: Any) -> Any:
            return parser.parse(jobs.append(job.rel_path) or job for job in jobs_)

    settings = LoaderSettings(refresh=0.0)
    Loader(
        folder.db, FolderSource(LocalFolder("dags", folder.path)), Counting(), lambda: None, folder.clock, settings
    ).tick()
    assert jobs == ["two.py"]


def test_a_file_that_is_written_rings_at_once(tmp_path: Path) -> None:
    rung = threading.Event()
    watch = FolderWatch(tmp_path, rung.set)
    watch.start()
    try:
        for number in range(1000):  # the first events may come before the watch has begun
            (tmp_path / f"new{number}.py").write_text("")
            if rung.wait(DEADLINE / 1000):
                break
        assert rung.is_set()
    finally:
        watch.stop()
