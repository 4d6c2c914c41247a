"""Pools, variables, connections, the inbox, and what executors were last seen doing."""

import pytest
from sqlalchemy import insert, select

from airloom.model.errors import StoreError
from airloom.model.events import ClearTasks, Reload, SetPool, TriggerRun
from airloom.model.plan import Plan
from airloom.model.run import PoolRow
from airloom.store.connections import (
    ConnectionRow,
    delete_connection,
    get_connection,
    list_connections,
    set_connection,
)
from airloom.store.database import Database
from airloom.store.inbox import put, take
from airloom.store.pools import delete_pool, get_pool, list_pools, set_pool
from airloom.store.secrets import Secrets, new_key
from airloom.store.tables import connection, inbox, variable
from airloom.store.variables import delete_variable, get_variable, list_variables, set_variable
from tests.store.rows import NOW, commit, lead, read, write


def test_pools_are_made_changed_and_deleted(db: Database) -> None:
    small = PoolRow(name="small", slots=2, description="two at a time", include_deferred=True)
    write(db, set_pool, small)
    assert read(db, get_pool, "small") == small
    write(db, set_pool, PoolRow(name="small", slots=-1))
    assert read(db, get_pool, "small") == PoolRow(name="small", slots=-1)
    commit(db, Plan(set_pools={"big": PoolRow(name="big", slots=9)}, delete_pools=["small"]), lead(db))
    assert [pool.name for pool in read(db, list_pools)] == ["big", "default_pool"]
    assert read(db, get_pool, "small") is None
    assert not write(db, delete_pool, "small")
    assert write(db, delete_pool, "big")


def test_variables_are_kept_encrypted(db: Database) -> None:
    secrets = Secrets([new_key()])
    write(db, set_variable, "greeting", "grüß Gott", secrets, NOW, "said to all")
    assert read(db, get_variable, "greeting", secrets) == "grüß Gott"
    with db.reading() as conn:
        assert b"Gott" not in bytes(conn.execute(select(variable.c.value)).scalar_one())
    write(db, set_variable, "greeting", "servus", secrets, NOW + 1)
    (shown,) = read(db, list_variables)
    assert (shown.key, shown.description, shown.updated_at) == ("greeting", "said to all", NOW + 1)
    assert read(db, get_variable, "greeting", secrets) == "servus"
    assert write(db, delete_variable, "greeting")
    assert not write(db, delete_variable, "greeting")
    assert read(db, get_variable, "greeting", secrets) is None


def test_a_key_can_be_replaced_and_a_wrong_one_is_said_so(db: Database) -> None:
    old, new = new_key(), new_key()
    write(db, set_variable, "v", "text", Secrets([old]), NOW)
    assert read(db, get_variable, "v", Secrets([new, old])) == "text"
    with pytest.raises(StoreError, match="the variable 'v' cannot be decrypted"):
        read(db, get_variable, "v", Secrets([new]))
    with pytest.raises(StoreError, match="the key for secrets is not valid"):
        Secrets(["short"])
    with pytest.raises(StoreError, match="no key"):
        Secrets([])


def test_connections_are_kept_encrypted(db: Database) -> None:
    secrets = Secrets([new_key()])
    row = ConnectionRow(
        conn_id="wh",
        conn_type="postgres",
        description="warehouse",
        host="db.example",
        schema="sales",
        login="eva",
        password="geheim",
        port=5432,
        extra={"sslmode": "require"},
    )
    write(db, set_connection, row, secrets, NOW)
    assert read(db, get_connection, "wh", secrets) == row
    with db.reading() as conn:
        stored = conn.execute(select(connection)).one()
    assert not any(b"geheim" in bytes(value) for value in stored if isinstance(value, bytes | memoryview))
    write(db, set_connection, ConnectionRow(conn_id="wh", conn_type="http"), secrets, NOW)
    assert read(db, get_connection, "wh", secrets) == ConnectionRow(conn_id="wh", conn_type="http")
    assert [(shown.conn_id, shown.conn_type) for shown in read(db, list_connections)] == [("wh", "http")]
    assert write(db, delete_connection, "wh")
    assert read(db, get_connection, "wh", secrets) is None


def test_commands_are_taken_in_their_order_and_stay(db: Database) -> None:
    commands = (
        TriggerRun(dag_id="d", conf={"a": [1, "ü"]}),
        ClearTasks(dag_id="d", run_id="r", task_ids=("a",)),
        SetPool(pool=PoolRow(name="p", slots=1)),
        Reload(dag_ids=("d",)),
    )
    numbers = [write(db, put, command, "eva", NOW) for command in commands]
    for _ in range(2):
        taken = read(db, take, 3)
        assert [number for number, _ in taken] == numbers[:3]
        assert [type(command) for _, command in taken] == [TriggerRun, ClearTasks, SetPool]
        assert taken[0][1] == TriggerRun(dag_id="d", conf={"a": [1, "ü"]}, inbox_id=numbers[0])


def test_a_command_that_cannot_be_read_hides_none_of_the_others(db: Database) -> None:
    for _ in range(5):
        write(db, lambda conn: conn.execute(insert(inbox).values(command=b'{"type": "of tomorrow"}', created_at=NOW)))
    number = write(db, put, Reload(dag_ids=()), None, NOW)
    assert [found for found, _ in read(db, take, 2)] == [number]
