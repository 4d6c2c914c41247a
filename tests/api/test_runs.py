"""The routes of runs: lists in pages, one run, whom they tell."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from airloom.model.access import Grant, Identity, Role
from airloom.operations.ops import Ops
from tests.api.past import DAG, ODD, write

BASE = "/api/v1"
GUEST = Identity(username="guest", grants=(Grant(pattern="fl*", role=Role.VIEWER),))


@pytest.fixture(autouse=True)
def _past(ops: Ops) -> None:
    write(ops)


def ids(client: TestClient, path: str) -> list[str]:
    """The run ids of a list, page by page."""
    found: list[str] = []
    separator = "&" if "?" in path else "?"
    cursor = ""
    while True:
        answer = client.get(f"{BASE}{path}{separator}limit=2{cursor}")
        assert answer.status_code == 200, answer.text
        found += [run["run_id"] for run in answer.json()["items"]]
        if answer.json()["next"] is None:
            return found
        cursor = f"&cursor={answer.json()['next']}"


@pytest.mark.parametrize("path", ["/runs", f"/dags/{DAG}/runs"])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["third", ODD, "first"]),
        ("?order_by=id", ["first", ODD, "third"]),
        ("?order_by=-run_after", ["third", ODD, "first"]),
        ("?order_by=run_after", ["first", ODD, "third"]),
        ("?state=failed", [ODD]),
        ("?state=running&state=success", ["third", "first"]),
        ("?run_type=manual", []),
        ("?run_type=scheduled", ["third", ODD, "first"]),
        ("?run_id_prefix=fi", ["first"]),
        (f"?run_id_prefix={quote(ODD)}", [ODD]),
        ("?after=2023-11-13T22:13:20Z", ["third", ODD]),
        ("?after=2023-11-13T23:13:20%2B01:00&before=2023-11-14T22:13:20", [ODD]),
    ],
)
def test_runs_are_filtered_and_sorted(client: TestClient, path: str, query: str, found: list[str]) -> None:
    assert ids(client, path + query) == found


def test_the_list_of_all_runs_may_be_of_one_dag(client: TestClient) -> None:
    assert ids(client, "/runs?dag_id=flights") == []
    assert client.get(f"{BASE}/runs?dag_id=nope").status_code == 404


def test_whoever_sees_some_dags_sees_their_runs_only(as_: Callable[[Identity | None], TestClient]) -> None:
    guest = as_(GUEST)
    assert ids(guest, "/runs") == []
    assert ids(guest, "/runs?state=failed&order_by=run_after") == []
    assert guest.get(f"{BASE}/runs?dag_id={DAG}").status_code == 404
    assert guest.get(f"{BASE}/dags/{DAG}/runs").status_code == 404
    # Nothing is told of dags with similar names.
    assert "trips" not in guest.get(f"{BASE}/dags/flips/runs/latest").text


def test_counts_come_where_they_are_asked_for(client: TestClient) -> None:
    without, with_ = (client.get(f"{BASE}/runs?counts={flag}").json()["items"] for flag in ("false", "true"))
    assert [run["counts"] for run in without] == [None, None, None]
    assert [run["counts"] for run in with_] == [
        {"none": 2, "running": 1},
        {"failed": 1, "success": 2, "upstream_failed": 1},
        {"success": 5},
    ]


@pytest.mark.parametrize("name", [ODD, "a+b"])
def test_a_run_is_found_by_an_id_with_any_signs_or_its_beginning(client: TestClient, name: str) -> None:
    run = client.get(f"{BASE}/dags/{DAG}/runs/{quote(name)}").json()
    assert run["run_id"] == ODD
    assert run["version"] == 2
    assert run["conf"] == {"zone": [1]}
    assert run["note"]["text"] == "look here"
    assert run["counts"]["failed"] == 1
    assert run["logical_date"] == "2023-11-13T22:13:20Z"


def test_latest_is_the_newest_run(client: TestClient) -> None:
    assert client.get(f"{BASE}/dags/{DAG}/runs/latest").json()["run_id"] == "third"


@pytest.mark.parametrize("path", [f"/dags/{DAG}/runs/nope", "/dags/flights/runs/latest", "/dags/nope/runs"])
def test_what_is_not_there_is_said_so(client: TestClient, path: str) -> None:
    answer = client.get(BASE + path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "query",
    ["state=none", "after=yesterday", "order_by=state", "cursor=bm9uZQ", "cursor=WzEsMWU5OV0", "limit=1001"],
)
def test_a_wrong_query_is_told_so(client: TestClient, query: str) -> None:
    assert client.get(f"{BASE}/runs?{query}").status_code == 422
