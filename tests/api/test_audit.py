"""The audit log: who changed what, from where; nothing secret, nothing that was only looked at."""

import typing

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from airloom.api.app import make_app
from airloom.api.paging import encode_cursor
from airloom.api.state import Api
from airloom.model.access import Role
from airloom.model.events import ClearTasks, Command, SetPool
from airloom.model.run import PoolRow
from airloom.operations import auditing, connections, dags, pools, variables
from airloom.operations.ops import Ops
from airloom.sections import Settings
from airloom.store.audit import AuditFilter, AuditRow
from airloom.store.connections import ConnectionRow
from tests.api.logins import PASSWORD, add, bearer, browser, log_in, token
from tests.operations.leading import leading

AUDIT = "/api/v1/audit"


@pytest.fixture
def app(api: Api, ops: Ops) -> FastAPI:
    """The API with an administrator, chief."""
    add(ops, "chief", Role.ADMIN)
    return make_app(api)


@pytest.fixture
def root(app: FastAPI) -> TestClient:
    """The administrator's browser."""
    return log_in(browser(app), "chief")


def recorded(ops: Ops, since: int = 0) -> list[AuditRow]:
    """What was recorded after the row of that id, the oldest first."""
    return [row for row in reversed(auditing.list_audit(ops, AuditFilter(), 1000)) if row.id > since]


def test_a_cursor_that_somebody_made_up_is_refused(root: TestClient) -> None:
    for number in (2**70, -(2**70), -1):
        assert root.get(AUDIT, params={"cursor": encode_cursor(number)}).status_code == 422


def test_each_change_is_recorded_with_who_made_it_and_from_where(
    root: TestClient, ops: Ops, settings: Settings
) -> None:
    before = recorded(ops)[-1].id
    with leading(settings):
        root.put("/api/v1/pools/small", json={"slots": 2})
        root.patch("/api/v1/dags/weather", json={"paused": False})
        made = root.post("/api/v1/dags/weather/runs", json={"run_id": "mine"})
        assert made.status_code in (200, 201), made.text
        root.put("/api/v1/variables/region", json={"value": "a secret"})
        root.delete("/api/v1/variables/region")
        connection = {"conn_type": "http", "host": "h", "password": "a secret"}
        assert root.put("/api/v1/connections/dwh", json=connection).status_code in (200, 201)
        root.post("/api/v1/users", json={"username": "ada", "password": PASSWORD})
        root.delete("/api/v1/pools/small")
    rows = recorded(ops, before)
    assert [(row.action, row.dag_id or row.subject) for row in rows] == [
        ("pool.set", "small"),
        ("dag.unpause", "weather"),
        ("run.trigger", "weather"),
        ("variable.set", "region"),
        ("variable.delete", "region"),
        ("connection.set", "dwh"),
        ("user.add", "ada"),
        ("pool.delete", "small"),
    ]
    assert {(row.by, row.via, row.address) for row in rows} == {("chief", "api", "testclient")}
    assert rows[2].run_id == "mine"
    told = str(rows)
    assert "a secret" not in told
    assert PASSWORD not in told


def test_what_was_only_looked_at_or_tried_out_is_not_recorded(root: TestClient, ops: Ops, settings: Settings) -> None:
    with leading(settings):
        root.post("/api/v1/dags/flights/runs", json={"run_id": "mine"})
        before = recorded(ops)[-1].id
        for path in ("/dags", "/pools", "/users", "/audit", "/dags/flights/runs/mine/tasks/load/explain"):
            assert root.get(f"/api/v1{path}").status_code == 200
        with ops.db.transaction() as conn:
            auditing.record_command(conn, ops, ClearTasks(dag_id="flights", run_id="mine", dry_run=True))
    assert recorded(ops, before) == []


def test_what_the_command_line_changes_is_recorded_too(ops: Ops, settings: Settings) -> None:
    with leading(settings):
        pools.set_pool(ops, "small", 2)
        dags.set_paused(ops, "flights", True)
        variables.import_variables(ops, {"a": "1", "b": "2"})
        connections.add_connection(ops, ConnectionRow(conn_id="c", conn_type="http"))
        connections.delete_connection(ops, "c")
    rows = recorded(ops)
    assert {row.via for row in rows} == {"cli"}
    assert [row.action for row in rows] == [
        "pool.set",
        "dag.pause",
        "variable.set",
        "variable.set",
        "connection.set",
        "connection.delete",
    ]


def test_a_change_that_is_undone_leaves_no_record(ops: Ops) -> None:
    with pytest.raises(ZeroDivisionError), ops.db.transaction() as conn:
        auditing.record_command(conn, ops, SetPool(pool=PoolRow(name="small", slots=1)))
        raise ZeroDivisionError
    assert recorded(ops) == []


def test_every_command_is_known_to_the_audit_log() -> None:
    assert set(typing.get_args(Command)) == set(auditing._ENTRIES)


def test_long_texts_are_cut(ops: Ops) -> None:
    with ops.db.transaction() as conn:
        auditing.record(conn, ops, "test", subject="s" * 5000, detail="d" * 1000)
    (row,) = recorded(ops)
    assert row.subject is not None
    assert (len(row.subject), row.subject[-2:], row.detail) == (1000, "s…", "d" * 1000)


def test_the_log_comes_in_parts_and_is_narrowed(root: TestClient, ops: Ops) -> None:
    with ops.db.transaction() as conn:
        for number in range(7):
            auditing.record(conn, ops, f"test.{number % 2}", dag_id=f"dag{number % 3}", detail=str(number))
    seen, cursor, parts = [], None, 0
    while True:
        page = root.get(AUDIT, params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
        seen += [entry["id"] for entry in page["items"]]
        parts, cursor = parts + 1, page["next"]
        if cursor is None:
            break
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(recorded(ops))
    assert parts == -(-len(seen) // 3)

    def details(**wanted: str) -> list[str]:
        return [entry["detail"] for entry in root.get(AUDIT, params=wanted).json()["items"]]

    assert details(action="test.1") == ["5", "3", "1"]
    assert details(dag_id="dag0", action="test.0") == ["6", "0"]
    assert details(by="chief") == ["by password"]
    assert details(since="2999-01-01T00:00:00Z") == []
    assert len(details(since="2020-01-01T00:00:00+01:00")) == len(seen)
    assert root.get(AUDIT, params={"since": "yesterday"}).status_code == 422
    assert root.get(AUDIT, params={"since": "2020-01-01T00:00:00"}).status_code == 422
    assert root.get(AUDIT, params={"cursor": "IjEi"}).status_code == 422


def test_logins_and_what_is_done_with_tokens_are_recorded(app: FastAPI, ops: Ops) -> None:
    add(ops, "ada", Role.OPERATOR)
    before = recorded(ops)[-1].id
    text = token(ops, "ada")
    browser(app).put("/api/v1/variables/x", json={"value": "1"}, headers=bearer(text))
    client = log_in(browser(app), "ada")
    client.put("/api/v1/session/password", json={"old": PASSWORD, "new": "another long password"})
    client.delete("/api/v1/session")
    rows = recorded(ops, before)
    assert [(row.by, row.action) for row in rows] == [
        (ops.by, "token.add"),
        ("ada", "variable.set"),
        ("ada", "login"),
        ("ada", "user.password"),
        ("ada", "logout"),
    ]
    assert text.rpartition("_")[2] not in str(rows)
