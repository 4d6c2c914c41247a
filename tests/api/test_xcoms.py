"""The routes of XComs: keys with any signs, values as they are, large ones cut."""

from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from airloom.model.plan import Plan
from airloom.model.run import XComRow
from airloom.operations.browsing import LONGEST_XCOM
from airloom.operations.ops import Ops
from tests.api.past import DAG, commit, write

BASE = f"/api/v1/dags/{DAG}/runs/first/tasks/zones/xcoms"


@pytest.fixture(autouse=True)
def _past(ops: Ops) -> None:
    write(ops)


def test_xcoms_are_listed_without_their_values(client: TestClient) -> None:
    assert client.get(BASE).json() == [
        {"key": "a/b c", "size": 1, "value": None, "truncated": False},
        {"key": "return_value", "size": 22, "value": None, "truncated": False},
    ]


def test_a_value_comes_as_the_text_that_was_stored(client: TestClient) -> None:
    assert client.get(f"{BASE}/return_value").json()["value"] == '["\\u003cscript\\u003e"]'
    assert client.get(f"{BASE}/{quote('a/b c')}").json()["value"] == "1"
    assert client.get(f"{BASE}/{quote('a/b c', safe='')}").json()["value"] == "1"


def test_a_large_value_is_cut_between_two_characters(client: TestClient, ops: Ops) -> None:
    value = b'"' + "é".encode() * LONGEST_XCOM + b'"'
    commit(ops, Plan(xcoms={(2, "large"): XComRow(ti_id=2, key="large", value=value)}))
    xcom = client.get(f"{BASE}/large").json()
    assert xcom["truncated"] is True
    assert xcom["size"] == len(value)
    assert xcom["value"] == '"' + "é" * ((LONGEST_XCOM - 1) // 2)


def test_a_key_that_is_not_there_is_said_so(client: TestClient) -> None:
    answer = client.get(f"{BASE}/return_valu")
    assert answer.status_code == 404
    assert "did you mean return_value" in answer.json()["detail"]
