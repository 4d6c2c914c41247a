"""Variables through the API: what is secret by its key is never given."""

import pytest
from fastapi.testclient import TestClient

from airloom.operations import variables
from airloom.operations.ops import Ops

VARIABLES = "/api/v1/variables"


def test_a_variable_is_made_read_changed_and_deleted(client: TestClient) -> None:
    made = client.put(f"{VARIABLES}/airport", json={"value": "JFK", "description": "where"})
    assert made.status_code == 201
    assert (made.json()["value"], made.json()["secret"]) == ("JFK", False)
    changed = client.put(f"{VARIABLES}/airport", json={"value": "LAX"})
    assert changed.status_code == 200
    assert (changed.json()["value"], changed.json()["description"]) == ("LAX", "where")
    assert [one["key"] for one in client.get(VARIABLES).json()] == ["airport"]
    assert "LAX" not in client.get(VARIABLES).text
    assert client.delete(f"{VARIABLES}/airport").status_code == 204
    assert client.get(f"{VARIABLES}/airport").status_code == 404
    assert client.delete(f"{VARIABLES}/airport").status_code == 404


@pytest.mark.parametrize("key", ["db_password", "API_KEY", "x-secret", "aws_access_key_id", "GithubToken"])
def test_what_is_secret_by_its_key_can_be_set_and_not_read(client: TestClient, ops: Ops, key: str) -> None:
    answer = client.put(f"{VARIABLES}/{key}", json={"value": "hunter2hunter2"})
    assert (answer.json()["value"], answer.json()["secret"]) == (None, True)
    assert "hunter2" not in answer.text + client.get(f"{VARIABLES}/{key}").text
    assert variables.get_variable(ops, key) == "hunter2hunter2"


def test_a_key_that_cannot_be_is_refused(client: TestClient) -> None:
    assert client.put(f"{VARIABLES}/%20%20", json={"value": "x"}).status_code == 422
    assert client.put(f"{VARIABLES}/{'k' * 251}", json={"value": "x"}).status_code == 422


def test_the_value_is_in_no_audit_entry(client: TestClient) -> None:
    client.put(f"{VARIABLES}/airport", json={"value": "a-value-of-mine"})
    audit = client.get("/api/v1/audit")
    assert [entry["action"] for entry in audit.json()["items"]] == ["variable.set"]
    assert "a-value-of-mine" not in audit.text


def test_a_misspelt_key_is_told_what_comes_near(client: TestClient, ops: Ops) -> None:
    client.put(f"{VARIABLES}/airport", json={"value": "x"})
    answer = client.get(f"{VARIABLES}/airprt")
    assert "did you mean airport" in answer.json()["detail"]
