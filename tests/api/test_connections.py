"""Connections through the API: passwords and other secrets are never given."""

from typing import Any
from unittest.mock import ANY

from fastapi.testclient import TestClient

from airloom.operations import connections
from airloom.operations.ops import Ops
from airloom.store.connections import ConnectionRow

CONNECTIONS = "/api/v1/connections"

WAREHOUSE: dict[str, Any] = {
    "conn_type": "postgres",
    "host": "db.example.org",
    "port": 5432,
    "login": "ada",
    "password": "open-sesame",
    "schema": "flights",
    "extra": {"sslmode": "require", "api_key": "k-1234", "nested": {"token": ["t-1", "t-2"], "region": "eu"}},
}


def stored(ops: Ops) -> ConnectionRow:
    return connections.get_connection(ops, "warehouse")


def test_a_connection_is_shown_without_its_secrets(client: TestClient, ops: Ops) -> None:
    made = client.put(f"{CONNECTIONS}/warehouse", json=WAREHOUSE)
    assert made.status_code == 201
    shown = client.get(f"{CONNECTIONS}/warehouse").json()
    assert shown == made.json() == client.get(CONNECTIONS).json()[0]
    assert "password" not in shown
    assert shown["has_password"] is True
    assert (shown["host"], shown["port"], shown["login"], shown["schema"]) == ("db.example.org", 5432, "ada", "flights")
    hidden = {"sslmode": "require", "api_key": "***", "nested": {"token": ["***", "***"], "region": "eu"}}
    assert shown["extra"] == hidden
    assert stored(ops).password == "open-sesame"


def test_what_is_not_told_again_stays(client: TestClient, ops: Ops) -> None:
    client.put(f"{CONNECTIONS}/warehouse", json=WAREHOUSE)
    shown = client.get(f"{CONNECTIONS}/warehouse").json()
    body = {"conn_type": "postgres", "host": "other.example.org", "extra": {**shown["extra"], "sslmode": "off"}}
    assert client.put(f"{CONNECTIONS}/warehouse", json=body).status_code == 200
    now = stored(ops)
    assert (now.host, now.password, now.login) == ("other.example.org", "open-sesame", None)
    assert now.extra == {**WAREHOUSE["extra"], "sslmode": "off"}


def test_a_password_is_removed_by_an_empty_one(client: TestClient, ops: Ops) -> None:
    client.put(f"{CONNECTIONS}/warehouse", json=WAREHOUSE)
    answer = client.put(f"{CONNECTIONS}/warehouse", json={**WAREHOUSE, "password": ""})
    assert answer.json()["has_password"] is False
    assert stored(ops).password is None


def test_stars_that_stand_for_nothing_are_refused(client: TestClient) -> None:
    answer = client.put(f"{CONNECTIONS}/new", json={"conn_type": "http", "extra": {"token": "***"}})
    assert answer.status_code == 422
    assert client.get(f"{CONNECTIONS}/new").status_code == 404


def test_passwords_in_addresses_are_hidden_and_stay(client: TestClient, ops: Ops) -> None:
    body = {
        "conn_type": "http",
        "host": "https://ada:s3same@example.org/x",
        "extra": {"proxy": "socks5://:pr0xy@10.0.0.1:1080", "plain": "a:b@c", "list": ["ftp://u:p4ss@h"]},
    }
    shown = client.put(f"{CONNECTIONS}/warehouse", json=body).json()
    assert shown["host"] == "https://ada:***@example.org/x"
    assert shown["extra"] == {"proxy": "socks5://:***@10.0.0.1:1080", "plain": "a:b@c", "list": ["ftp://u:***@h"]}
    again = {"conn_type": "http", "host": shown["host"], "extra": shown["extra"]}
    assert client.put(f"{CONNECTIONS}/warehouse", json=again).json() == {**shown, "updated_at": ANY}
    assert (stored(ops).host, stored(ops).extra) == (body["host"], body["extra"])


def test_a_connection_is_deleted(client: TestClient) -> None:
    client.put(f"{CONNECTIONS}/warehouse", json=WAREHOUSE)
    assert client.delete(f"{CONNECTIONS}/warehouse").status_code == 204
    assert client.delete(f"{CONNECTIONS}/warehouse").status_code == 404
    assert client.get(CONNECTIONS).json() == []


def test_the_secrets_are_in_no_audit_entry(client: TestClient) -> None:
    client.put(f"{CONNECTIONS}/warehouse", json=WAREHOUSE)
    audit = client.get("/api/v1/audit")
    assert [entry["action"] for entry in audit.json()["items"]] == ["connection.set"]
    assert "sesame" not in audit.text
    assert "k-1234" not in audit.text
