"""The grid: one letter a cell, mapped tasks counted, rows of all versions that are shown."""

import pytest
from fastapi.testclient import TestClient

from airloom.model.plan import Plan
from airloom.model.run import TIRow
from airloom.model.states import TIState
from airloom.operations.history import LETTERS
from airloom.operations.ops import Ops
from tests.api.past import DAG, ODD, commit, write

GRID = f"/api/v1/dags/{DAG}/grid"


@pytest.fixture(autouse=True)
def _past(ops: Ops) -> None:
    write(ops)


def test_each_run_is_a_text_with_a_letter_for_each_task(client: TestClient) -> None:
    grid = client.get(GRID).json()
    assert [task["task_id"] for task in grid["tasks"]] == ["zones", "count", "load.sum", "old"]
    assert [(run["run_id"], run["version"], run["cells"]) for run in grid["runs"]] == [
        ("third", 2, "rnn."),
        (ODD, 2, "sfu."),
        ("first", 1, "ssss"),
    ]
    assert grid["groups"][0]["group_id"] == "load"
    assert grid["letters"]["u"] == "upstream_failed"
    assert grid["next"] is None


def test_instances_of_mapped_tasks_are_counted(client: TestClient) -> None:
    runs = client.get(GRID).json()["runs"]
    assert [run["mapped"] for run in runs] == [{}, {"count": {"failed": 1, "success": 1}}, {"count": {"success": 2}}]


@pytest.mark.parametrize(
    ("states", "letter"),
    [
        ("success failed running", "f"),
        ("success running none", "r"),
        ("success up_for_retry running", "t"),
        ("success skipped", "s"),
        ("skipped skipped", "k"),
        ("none success", "n"),
        ("scheduled none", "c"),
    ],
)
def test_a_mapped_task_shows_the_state_that_matters_most(
    client: TestClient, ops: Ops, states: str, letter: str
) -> None:
    tis = {
        100 + index: TIRow(id=100 + index, run_id=3, task_id="count", map_index=index, state=TIState(state))
        for index, state in enumerate(states.split())
    }
    commit(ops, Plan(new_tis=tis))
    assert client.get(f"{GRID}?limit=1").json()["runs"][0]["cells"][1] == letter


def test_the_grid_goes_on_behind_its_last_run(client: TestClient) -> None:
    first = client.get(f"{GRID}?limit=2").json()
    assert [run["id"] for run in first["runs"]] == [3, 2]
    rest = client.get(f"{GRID}?limit=2&cursor={first['next']}").json()
    assert [run["id"] for run in rest["runs"]] == [1]
    # The newest version's rows come first on every page.
    assert [task["task_id"] for task in rest["tasks"]] == ["zones", "count", "load.sum", "old"]


@pytest.mark.parametrize(
    ("query", "found"), [("state=failed", [2]), ("state=failed&state=success", [2, 1]), ("run_type=manual", [])]
)
def test_the_grid_may_show_some_runs_only(client: TestClient, query: str, found: list[int]) -> None:
    assert [run["id"] for run in client.get(f"{GRID}?{query}").json()["runs"]] == found


def test_a_dag_without_runs_has_rows_and_no_columns(client: TestClient) -> None:
    grid = client.get("/api/v1/dags/flights/grid").json()
    assert [task["task_id"] for task in grid["tasks"]] == ["load", "join", "report"]
    assert grid["runs"] == []


def test_every_state_has_a_letter_of_its_own() -> None:
    assert set(LETTERS.values()) == set(TIState)
    assert "." not in LETTERS
