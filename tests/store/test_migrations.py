"""The migration tree: it makes exactly the tables that the code works with, and refuses what is not ours."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

import airloom.store.migrations
from airloom.model.errors import StoreError
from airloom.model.run import DagRow, PoolRow, RunRow, TIRow, TryRow, VersionRow, XComRow
from airloom.store import tables
from airloom.store.database import Database, connect
from airloom.store.migrate import downgrade, migrate
from airloom.store.pools import list_pools, set_pool
from airloom.store.revision import LATEST, REVISIONS, VERSION_TABLE, check, is_current
from tests.store.rows import read


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables."""
    sqlite = f"sqlite:///{tmp_path}/airloom.db"
    database = connect(sqlite if request.param == "sqlite" else request.getfixturevalue("empty_postgres_url"))
    yield database
    database.close()


def _indexes(conn: Connection) -> dict[str, tuple[object, ...]]:
    inspector = inspect(conn)
    found = {}
    for table in tables.metadata.tables:
        for index in inspector.get_indexes(table):
            where = index.get("dialect_options", {}).get(f"{conn.dialect.name}_where")
            found[str(index["name"])] = (table, tuple(index["column_names"]), where is not None)
    return found


def _declared_indexes() -> dict[str, tuple[object, ...]]:
    declared = {}
    for table in tables.metadata.tables.values():
        for index in table.indexes:
            where = index.dialect_options["sqlite"]["where"]
            declared[str(index.name)] = (table.name, tuple(index.columns.keys()), where is not None)
    return declared


def test_up_down_and_up_again_gives_the_tables_that_the_code_declares(empty: Database) -> None:
    migrate(empty)
    downgrade(empty, "base")
    with empty.reading() as conn:
        assert set(inspect(conn).get_table_names()) <= {VERSION_TABLE}
    migrate(empty)
    migrate(empty)
    check(empty)
    with empty.reading() as conn:
        context = MigrationContext.configure(conn, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
        unique = set(_indexes(conn)) - set(_declared_indexes())
        assert {name: shape for name, shape in _indexes(conn).items() if name not in unique} == _declared_indexes()
        assert all(name.startswith("uq_") for name in unique)


def test_every_field_of_a_row_has_its_column() -> None:
    pairs = (
        (RunRow, tables.dag_run),
        (TIRow, tables.task_instance),
        (TryRow, tables.task_try),
        (XComRow, tables.xcom),
        (PoolRow, tables.pool),
    )
    for kind, table in pairs:
        assert tuple(table.c.keys()) == kind.__struct_fields__
    assert set(DagRow.__struct_fields__) - {"spec"} == set(tables.dag.c.keys())
    assert set(VersionRow.__struct_fields__) <= set(tables.dag_version.c.keys())


def test_the_default_pool_is_made(empty: Database) -> None:
    migrate(empty)
    assert [(pool.name, pool.slots) for pool in read(empty, list_pools)] == [("default_pool", 128)]


def test_the_revisions_that_check_knows_are_those_of_the_tree() -> None:
    folder = Path(airloom.store.migrations.__file__).parent
    script = ScriptDirectory(str(folder))
    assert tuple(reversed([revision.revision for revision in script.walk_revisions()])) == tuple(REVISIONS)


def test_an_empty_database_is_not_used_and_the_message_says_what_to_run(empty: Database) -> None:
    with pytest.raises(StoreError, match="airloom db migrate"):
        check(empty)


def test_a_newer_database_is_neither_used_nor_migrated(empty: Database) -> None:
    migrate(empty)
    with empty.transaction() as conn:
        conn.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
        conn.execute(text("UPDATE compatible SET oldest = '9998'"))
    for act in (check, migrate, lambda db: downgrade(db, "base")):
        with pytest.raises(StoreError, match="newer than this Airloom: it has revision 9999"):
            act(empty)


def test_a_newer_database_that_tells_nothing_is_neither_used_nor_migrated(empty: Database) -> None:
    migrate(empty)
    with empty.transaction() as conn:
        conn.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
        conn.execute(text("DROP TABLE compatible"))
    for act in (check, migrate):
        with pytest.raises(StoreError, match="newer than this Airloom"):
            act(empty)


def test_a_database_that_the_next_release_has_only_added_to_is_used_and_left_as_it_is(empty: Database) -> None:
    migrate(empty)
    with empty.transaction() as conn:
        conn.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
        conn.execute(text("ALTER TABLE pool ADD COLUMN colour text"))
        conn.execute(text("CREATE TABLE of_the_next_release (id integer)"))
    check(empty)
    assert is_current(empty)
    migrate(empty)
    with empty.transaction() as conn:
        assert conn.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one() == "9999"
        assert conn.execute(text("SELECT oldest FROM compatible")).scalar_one() == LATEST
        set_pool(conn, PoolRow(name="new", slots=1))
    assert {pool.name for pool in read(empty, list_pools)} == {"default_pool", "new"}
    with pytest.raises(StoreError, match="revision 9999 of a newer Airloom"):
        downgrade(empty, "0002")


def test_no_revision_asks_for_newer_code_than_its_own() -> None:
    known = list(REVISIONS)
    oldest = [known.index(REVISIONS[revision]) for revision in known]
    assert all(place <= own for own, place in enumerate(oldest))
    assert oldest == sorted(oldest)  # what one migration took away, the next one does not bring back


def test_every_migration_brings_the_word_for_older_code_up_to_date(empty: Database) -> None:
    migrate(empty)
    with empty.transaction() as conn:
        conn.execute(text("UPDATE compatible SET oldest = 'wrong'"))
    migrate(empty)
    with empty.reading() as conn:
        assert conn.execute(text("SELECT oldest FROM compatible")).scalars().all() == [REVISIONS[LATEST]]
    downgrade(empty, "0002")
    migrate(empty)
    check(empty)


def test_another_applications_database_is_neither_used_nor_migrated(empty: Database) -> None:
    with empty.transaction() as conn:
        conn.execute(text("CREATE TABLE invoices (id integer)"))
    for act in (check, migrate):
        with pytest.raises(StoreError, match=r"not Airloom's: it has other tables \(invoices\)"):
            act(empty)
    with empty.reading() as conn:
        assert inspect(conn).get_table_names() == ["invoices"]


def test_a_revision_that_does_not_exist_is_named(empty: Database) -> None:
    migrate(empty)
    with pytest.raises(StoreError, match="no revision '0042'"):
        downgrade(empty, "0042")


def test_a_migration_that_fails_leaves_nothing_behind(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("killed in the middle")

    monkeypatch.setattr("alembic.op.execute", broken)
    with pytest.raises(OSError, match="killed in the middle"):
        migrate(empty)
    monkeypatch.undo()
    with empty.reading() as conn:
        assert inspect(conn).get_table_names() == []
    migrate(empty)
    check(empty)


def test_a_file_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    db = connect(f"sqlite:///{tmp_path}/airloom.db")
    with pytest.raises(StoreError, match=r"no database at .*: run `airloom db migrate`"):
        check(db)
    assert list(tmp_path.iterdir()) == []


def test_a_database_in_memory_is_migrated_and_used() -> None:
    db = connect("sqlite://")
    migrate(db)
    check(db)
    assert len(read(db, list_pools)) == 1


def test_a_sqlite_file_of_another_program_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE notes (text)")
    other.close()
    before = path.read_bytes()
    for act in (check, migrate):
        with pytest.raises(StoreError, match="not Airloom's"):
            act(connect(f"sqlite:///{path}"))
    assert path.read_bytes() == before
