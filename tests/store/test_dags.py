"""What the loader keeps: versions, errors that leave the last good version, ids that two files claim."""

import pytest

from airloom.model.loading import LoadError
from airloom.model.spec import DagSpec, TaskSpec
from airloom.store.dags import (
    current,
    dag_row,
    files,
    forget_file,
    import_errors,
    list_dags,
    list_versions,
    save_file,
    source,
)
from airloom.store.database import Database
from airloom.store.snapshots import load_snapshot
from tests.store.rows import NOW, parsed, read, save_dag, spec, write


def test_a_new_dag_gets_its_first_version(db: Database) -> None:
    changed = write(db, save_file, "dags", parsed("f.py", spec(), seconds=0.5, threads=True), "código", NOW, 12.5)
    assert changed == ("sales",)
    row = read(db, dag_row, "sales")
    assert (row.spec, row.bundle, row.rel_path, row.file_hash) == (spec(), "dags", "f.py", "h1")
    assert (row.paused, row.active, row.first_seen) == (False, True, NOW)
    ((same, version),) = read(db, current, ["sales", "nobody"])
    assert same == row
    assert (version.id, version.number, version.spec) == (row.version_id, 1, spec())
    assert read(db, source, "h1") == "código"
    file = read(db, files, "dags")["f.py"]
    assert (file.mtime, file.seconds, file.threads, file.file_hash) == (12.5, 0.5, True, "h1")
    assert read(db, files, "elsewhere") == {}


def test_a_dag_is_paused_by_its_own_wish_or_by_the_setting_when_it_is_new_only(db: Database) -> None:
    tasks = (TaskSpec(task_id="a"),)
    dags = [DagSpec(dag_id=f"d{wish}", tasks=tasks, is_paused_upon_creation=wish) for wish in (True, False, None)]
    write(db, save_file, "dags", parsed("f.py", *dags), "", NOW)
    assert [dag.paused for dag in read(db, list_dags)] == [False, False, True]
    write(db, save_file, "dags", parsed("f.py", *dags, file_hash="h2"), "", NOW, 0.0, True)
    assert [dag.paused for dag in read(db, list_dags)] == [False, False, True]
    write(db, save_file, "dags", parsed("g.py", spec("by_setting")), "", NOW, 0.0, True)
    assert read(db, dag_row, "by_setting").paused


def test_the_same_file_again_changes_nothing(db: Database) -> None:
    save_dag(db, spec())
    assert write(db, save_file, "dags", parsed("sales.py", spec()), "source", NOW + 1) == ()
    assert len(read(db, list_versions, "sales")) == 1


def test_another_spec_is_a_new_version_and_the_old_one_stays(db: Database) -> None:
    save_dag(db, spec())
    changed = write(db, save_file, "dags", parsed("sales.py", spec("sales", "a"), file_hash="h2"), "new", NOW)
    assert changed == ("sales",)
    assert [version.number for version in read(db, list_versions, "sales")] == [2, 1]
    assert [version.spec for version in read(db, list_versions, "sales")][1] == spec()
    assert read(db, dag_row, "sales").spec == spec("sales", "a")
    assert read(db, source, "h1") == "source"


def test_other_code_for_the_same_spec_is_the_same_version_and_is_told(db: Database) -> None:
    save_dag(db, spec())
    assert write(db, save_file, "dags", parsed("sales.py", spec(), file_hash="h2"), "new", NOW) == ("sales",)
    (version,) = read(db, list_versions, "sales")
    assert (version.number, version.file_hash) == (1, "h2")
    assert read(db, dag_row, "sales").file_hash == "h2"


def test_a_broken_file_keeps_its_last_good_version(db: Database) -> None:
    save_dag(db, spec())
    error = LoadError(rel_path="sales.py", text="SyntaxError: no\0 good", line=3, traceback="...")
    assert write(db, save_file, "dags", parsed("sales.py", errors=(error,), file_hash="h2"), "def", NOW) == ()
    assert read(db, dag_row, "sales").active
    (shown,) = read(db, import_errors)
    assert (shown.rel_path, shown.line, shown.text) == ("sales.py", 3, "SyntaxError: no\ufffd good")
    # Repaired, with the code that it had.
    assert write(db, save_file, "dags", parsed("sales.py", spec()), "source", NOW) == ()
    assert read(db, import_errors) == []


def test_one_broken_dag_does_not_take_the_others_of_its_file_along(db: Database) -> None:
    write(db, save_file, "dags", parsed("f.py", spec("one"), spec("two"), spec("three")), "", NOW)
    error = LoadError(rel_path="f.py", text="a cycle", dag_id="two")
    changed = write(db, save_file, "dags", parsed("f.py", spec("one"), errors=(error,)), "", NOW)
    assert changed == ("three",)
    assert [dag.dag_id for dag in read(db, list_dags)] == ["one", "two"]


def test_a_dag_that_is_gone_keeps_its_history_and_comes_back(db: Database) -> None:
    save_dag(db, spec())
    assert write(db, forget_file, "dags", "sales.py", NOW) == ("sales",)
    assert not read(db, dag_row, "sales").active
    assert read(db, list_dags) == []
    assert [dag.dag_id for dag in read(db, list_dags, False)] == ["sales"]
    assert read(db, files, "dags") == {}
    assert write(db, forget_file, "dags", "sales.py", NOW) == ()
    assert write(db, save_file, "dags", parsed("moved.py", spec()), "source", NOW) == ("sales",)
    row = read(db, dag_row, "sales")
    assert (row.active, row.rel_path) == (True, "moved.py")
    (version,) = read(db, list_versions, "sales")
    assert version.rel_path == "moved.py"


@pytest.mark.parametrize("how", ["forgotten", "redefined"])
def test_an_id_that_two_files_claim_stays_the_first_ones_until_it_lets_go(db: Database, how: str) -> None:
    save_dag(db, spec())
    assert write(db, save_file, "dags", parsed("copy.py", spec("sales", "z"), file_hash="h2"), "", NOW) == ()
    (error,) = read(db, import_errors)
    assert (error.rel_path, error.dag_id) == ("copy.py", "sales")
    assert "defined by sales.py already" in error.text
    assert read(db, dag_row, "sales").spec == spec()
    if how == "forgotten":
        write(db, forget_file, "dags", "sales.py", NOW)
    else:
        write(db, save_file, "dags", parsed("sales.py", spec("renamed"), file_hash="h3"), "", NOW)
    # The loader is told to look at the copy again, although it has not changed.
    assert read(db, files, "dags")["copy.py"].file_hash == ""
    assert write(db, save_file, "dags", parsed("copy.py", spec("sales", "z"), file_hash="h2"), "", NOW) == ("sales",)
    assert read(db, import_errors) == []


def test_dags_are_listed_in_pages_by_id(db: Database) -> None:
    for name in ("b", "a", "B", "c"):
        save_dag(db, spec(name))
    assert [dag.dag_id for dag in read(db, list_dags, True, 2)] == ["B", "a"]
    assert [dag.dag_id for dag in read(db, list_dags, True, 2, "a")] == ["b", "c"]


def test_a_snapshot_has_current_versions_and_those_of_live_runs_only(db: Database) -> None:
    for number in range(3):
        write(db, save_file, "dags", parsed("f.py", spec("sales", f"t{number}"), file_hash=f"h{number}"), "", NOW)
    snapshot = read(db, load_snapshot)
    assert [version.number for version in snapshot.versions] == [3]
    assert snapshot.dags[0].spec is snapshot.versions[0].spec
