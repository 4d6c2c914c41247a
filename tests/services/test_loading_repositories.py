"""The loader with repositories: which commit runs begin with, what is parsed anew, and loaders on several machines."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from airloom.bundles.local import LocalFolder
from airloom.bundles.sources import FolderSource, GitSource, Source
from airloom.model.bundles import GitBundle
from airloom.model.loading import ParsedFile
from airloom.model.processes import LoaderState
from airloom.model.run import VersionRow
from airloom.runtime.parsing import ParseJob, ParserPool
from airloom.services.duty import STAND_BY, Duty
from airloom.services.loader import Loader, LoaderSettings, retire_others
from airloom.store import dags
from airloom.store.database import Database, connect
from tests.bundles.repositories import Remote
from tests.services.rig import Clock, Rig

REFRESH = 60.0


def dag_text(dag_id: str, *tasks: str, more: str = "") -> str:
    lines = [f"    EmptyOperator(task_id={task!r})" for task in tasks or ("a",)]
    return "\n".join(["from airloom import DAG, EmptyOperator", more, f"with DAG({dag_id!r}):", *lines, ""])


@pytest.fixture(scope="module")
def parser() -> Iterator["Counted"]:
    pool = Counted(2, timeout=20.0)
    yield pool
    pool.close()


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "remote")


class Counted(ParserPool):
    """Remembers what it parsed."""

    parsed: list[str] = []

    def parse(self, jobs: Iterable[ParseJob]) -> Iterator[ParsedFile]:
        return super().parse(self.parsed.append(job.rel_path) or job for job in jobs)


class Machine:
    """A machine with a loader, and a clock that only the test moves."""

    def __init__(
        self,
        db: Database,
        home: Path,
        remote: Remote,
        parser: Counted,
        *,
        clock: Clock | None = None,
        ref: str = "main",
    ) -> None:
        self.db = db
        self.clock = clock or Clock(2_000_000_000.0)
        self.parser = parser
        bundle = GitBundle(url=remote.url, ref=ref, refresh=REFRESH)
        self.duty = Duty(db, lambda: None)
        self.loader = self.loader_of(GitSource(str(home), "flows", bundle, self.clock))

    def loader_of(self, source: Source) -> Loader:
        """A loader of something else on the same machine."""
        settings = LoaderSettings(refresh=0.0, paused=False)
        return Loader(self.db, source, self.parser, lambda: None, self.clock, settings, self.duty.term)

    def look(self) -> list[str]:
        """A look when the next fetch is due, and those that follow at once; the files that were parsed."""
        self.parser.parsed.clear()
        self.clock.now += REFRESH + 1
        while self.loader.tick() == 0.0:
            pass
        return sorted(self.parser.parsed)

    @property
    def state(self) -> LoaderState:
        return self.loader.state

    def version(self, dag_id: str = "one") -> VersionRow:
        with self.db.reading() as conn:
            return dags.list_versions(conn, dag_id)[0]

    def errors(self) -> list[str]:
        with self.db.reading() as conn:
            return [error.text for error in dags.import_errors(conn)]

    def active(self, dag_id: str) -> bool:
        with self.db.reading() as conn:
            row = dags.dag_row(conn, dag_id)
        return row is not None and row.active


@pytest.fixture
def machine(db: Database, tmp_path: Path, remote: Remote, parser: Counted) -> Machine:
    return Machine(db, tmp_path / "home", remote, parser)


# --- which commit ----------------------------------------------------------------------------------------------------
def test_a_commit_that_changes_one_file_is_parsed_for_that_one_and_is_the_commit_of_all(
    machine: Machine, remote: Remote
) -> None:
    first = remote.commit(one=dag_text("one"), two=dag_text("two"))
    assert machine.look() == ["one.py", "two.py"]
    assert {machine.version(dag_id).bundle_version for dag_id in ("one", "two")} == {first}
    assert (machine.state.version, machine.state.files, machine.state.trouble) == (first, 2, "")
    second = remote.commit(two=dag_text("two", "a", "b"))
    assert machine.look() == ["two.py"]
    assert [(machine.version(name).number, machine.version(name).bundle_version) for name in ("one", "two")] == [
        (1, second),
        (2, second),
    ]
    assert machine.look() == []


def test_a_module_that_a_file_imports_is_a_part_of_it(machine: Machine, remote: Remote) -> None:
    text = dag_text("one", more="from names import NAME").replace("'a'", "NAME")
    remote.commit(names="NAME = 'before'\n", one=text, two=dag_text("two"))
    machine.look()
    remote.commit(names="NAME = 'after'\n")
    assert machine.look() == ["one.py"]
    assert [task.task_id for task in machine.version().spec.tasks] == ["after"]


def test_a_run_keeps_the_commit_that_it_began_with_and_the_next_one_has_the_newest(
    db: Database, machine: Machine, remote: Remote
) -> None:
    rig = Rig(db)
    lines = (
        f"    BashOperator(task_id={name!r}, bash_command='true'){after}"
        for name, after in (("a", " >> \\"), ("b", ""))
    )
    first = remote.commit(one="\n".join(["from airloom import DAG, BashOperator", "with DAG('one'):", *lines, ""]))
    machine.look()
    rig.scheduler.hint()
    rig.trigger("r", "one")
    remote.folder.joinpath("query.sql").write_text("select 1")
    second = remote.commit_all()
    assert machine.look() == []
    rig.executor.end("a")
    rig.scheduler.hint()
    rig.tick()
    rig.trigger("later", "one")
    assert machine.version().number == 1
    given = [(work.run.run_id, work.task_id, work.bundle_version) for work in rig.executor.submitted]
    assert given == [("r", "a", first), ("r", "b", first), ("later", "a", second)]
    # A scheduler that takes over has it from the database.
    rig.take_over()
    rig.executor.held.clear()
    rig.executor.submitted.clear()
    rig.tick()
    assert {(work.run.run_id, work.bundle_version) for work in rig.executor.submitted} == {
        ("r", first),
        ("later", second),
    }


def test_a_dag_whose_file_moves_gets_a_version_so_that_older_runs_find_theirs(machine: Machine, remote: Remote) -> None:
    remote.commit(one=dag_text("one"))
    machine.look()
    remote.commit(one=None, moved__one=dag_text("one"))
    machine.look()
    with machine.db.reading() as conn:
        versions = dags.list_versions(conn, "one")
    assert [(version.number, version.rel_path) for version in versions] == [(2, "moved/one.py"), (1, "one.py")]


def test_while_a_file_is_broken_new_runs_begin_with_the_last_commit_in_which_it_was_not(
    machine: Machine, remote: Remote
) -> None:
    good = remote.commit(one=dag_text("one"), two=dag_text("two"))
    machine.look()
    remote.commit(one="from airloom import dag(\n")
    machine.look()
    other = remote.commit(two=dag_text("two") + "# more\n")
    assert machine.look() == ["one.py", "two.py"]
    assert (machine.version().bundle_version, machine.version("two").bundle_version) == (good, other)
    assert len(machine.errors()) == 1
    mended = remote.commit(one=dag_text("one"))
    machine.look()
    assert (machine.version().bundle_version, machine.errors()) == (mended, [])


def test_a_branch_that_was_written_anew_is_followed(machine: Machine, remote: Remote) -> None:
    remote.commit(one=dag_text("one"))
    remote.commit(two=dag_text("two"))
    machine.look()
    remote.git("reset", "--hard", "--quiet", "HEAD~1")
    third = remote.commit(one=dag_text("one", "x"))
    machine.look()
    assert (machine.version().bundle_version, machine.active("two")) == (third, False)


# --- what is away ----------------------------------------------------------------------------------------------------
def test_a_repository_that_is_away_is_told_and_changes_nothing(
    db: Database, machine: Machine, remote: Remote, tmp_path: Path, parser: Counted
) -> None:
    commit = remote.commit(one=dag_text("one"))
    machine.look()
    away = remote.folder.rename(remote.folder.with_name("away"))
    assert machine.look() == []
    assert "does not appear to be a git repository" in machine.state.trouble
    assert (machine.state.version, machine.active("one")) == (commit, True)
    # Neither does a loader that starts then, with this home or with an empty one.
    for home in ("home", "other"):
        fresh = Machine(db, tmp_path / home, remote, parser)
        fresh.duty = machine.duty
        fresh.loader = fresh.loader_of(fresh.loader._bundle)
        assert fresh.look() == []
        assert "does not appear to be a git repository" in fresh.state.trouble
        assert fresh.active("one")
    away.rename(remote.folder)
    second = remote.commit(one=dag_text("one", "b"))
    machine.look()
    assert (machine.state.trouble, machine.state.version) == ("", second)


def test_a_branch_that_is_gone_leaves_its_dags(db: Database, tmp_path: Path, remote: Remote, parser: Counted) -> None:
    remote.commit(one=dag_text("one"))
    remote.git("branch", "work")
    machine = Machine(db, tmp_path / "home", remote, parser, ref="work")
    machine.look()
    remote.git("branch", "--delete", "work")
    machine.look()
    assert machine.state.trouble == f"there is no branch or tag 'work' in {remote.url}"
    assert machine.active("one")


def test_a_clone_that_was_deleted_is_made_again(machine: Machine, remote: Remote, tmp_path: Path) -> None:
    remote.commit(one=dag_text("one"))
    machine.look()
    (tmp_path / "home" / "bundles").rename(tmp_path / "gone")
    commit = remote.commit(one=dag_text("one", "b"))
    assert machine.look() == ["one.py"]
    assert machine.version().bundle_version == commit


# --- several bundles and several loaders -----------------------------------------------------------------------------
def test_a_dag_id_that_another_bundle_has_is_an_error_until_it_is_free(
    machine: Machine, remote: Remote, tmp_path: Path
) -> None:
    remote.commit(mine=dag_text("one", "git"))
    machine.look()
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "other.py").write_text(dag_text("one", "local"))
    other = machine.loader_of(FolderSource(LocalFolder("dags", tmp_path / "dags")))
    other.tick()
    assert machine.errors() == [
        "the dag id 'one' is defined by mine.py of the bundle flows already: give one of the two another id"
    ]
    remote.commit(mine=None)
    machine.look()
    other.tick()
    assert (machine.version().bundle, machine.active("one"), machine.errors()) == ("dags", True, [])


def test_the_dags_of_bundles_that_the_settings_have_no_more_are_retired(machine: Machine, remote: Remote) -> None:
    remote.commit(one=dag_text("one"))
    machine.look()
    retire_others(machine.db, {"flows"}, machine.clock)
    assert machine.active("one")
    retire_others(machine.db, {"renamed"}, machine.clock)
    assert not machine.active("one")
    machine.look()
    assert (machine.active("one"), machine.version().number) == (True, 1)


def test_of_two_loaders_one_loads_and_the_other_takes_over_with_what_there_is_by_then(
    db: Database, database_url: str, tmp_path: Path, remote: Remote, parser: Counted
) -> None:
    first = Machine(db, tmp_path / "first", remote, parser)
    other_db = connect(database_url)
    second = Machine(other_db, tmp_path / "second", remote, parser, clock=first.clock)
    try:
        remote.commit(one=dag_text("one"))
        assert first.look() == ["one.py"]
        assert second.loader.tick() == STAND_BY
        assert (second.state.standby, first.state.standby) == (True, False)
        newer = remote.commit(one=dag_text("one", "b"))
        assert first.look() == ["one.py"]
        first.duty.resign()
        # It has never seen the older commit, and does not go back to anything.
        assert second.look() == []
        assert (second.state.standby, second.version().bundle_version, second.version().number) == (False, newer, 2)
        assert first.loader.tick() == STAND_BY
        newest = remote.commit(one=dag_text("one", "c"))
        assert second.look() == ["one.py"]
        second.duty.resign()
        # What the first one remembered is old by now: it asks at once.
        first.loader.tick()
        assert (first.state.version, first.version().bundle_version) == (newest, newest)
    finally:
        second.duty.resign()
        first.duty.resign()
        other_db.close()


def test_a_connection_that_breaks_ends_the_duty(db: Database, database_url: str) -> None:
    begun: list[int] = []
    duty = Duty(db, lambda: begun.append(1))
    first = duty.term()
    assert first is not None
    assert duty.term() == first
    duty.resign()
    assert duty.term() not in (None, first)
    assert len(begun) == 2
    duty.resign()
