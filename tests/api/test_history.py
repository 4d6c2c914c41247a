"""Durations, the calendar, and the time line of a run with its critical path."""

import itertools
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from airloom.decide.critical_path import critical_path
from airloom.model.spec import Cron, DagSpec, Delta
from airloom.operations import history
from airloom.operations.ops import Ops
from tests.api.past import DAG, ODD, save, write

BASE = "/api/v1/dags"


@pytest.fixture(autouse=True)
def _past(request: pytest.FixtureRequest) -> None:
    if "client" in request.fixturenames:
        write(request.getfixturevalue("ops"))


def test_durations_come_oldest_first_with_those_of_tasks(client: TestClient) -> None:
    found = client.get(f"{BASE}/{DAG}/durations?task_id=count&task_id=nope").json()
    assert [run["run_id"] for run in found["runs"]] == ["first", ODD, "third"]
    assert found["seconds"] == [59.0, 59.0, None]
    assert found["queued"] == [1.0, 1.0, 1.0]
    # From the first start to the last end of all instances.
    assert found["tasks"] == {"count": [30.0, 20.0, None], "nope": [None, None, None]}


def test_the_calendar_counts_runs_by_day_and_state(client: TestClient) -> None:
    found = client.get(f"{BASE}/{DAG}/calendar?from=2023-11-01&to=2023-11-30").json()["days"]
    assert found == [
        {"day": "2023-11-12", "counts": {"success": 1}, "planned": 0},
        {"day": "2023-11-13", "counts": {"failed": 1}, "planned": 0},
        {"day": "2023-11-14", "counts": {"running": 1}, "planned": 0},
    ]


def test_the_calendar_has_the_days_on_which_the_schedule_will_make_runs(client: TestClient) -> None:
    found = client.get(f"{BASE}/{DAG}/calendar").json()["days"]
    ahead = [day["planned"] for day in found if not day["counts"]]
    assert set(ahead) == {1}
    assert 29 <= len(ahead) <= 31


def test_a_dense_schedule_is_planned_for_a_thousand_runs(client: TestClient, ops: Ops) -> None:
    save(ops, DagSpec(dag_id="often", schedule=Delta(seconds=1.0), is_paused_upon_creation=False), rel_path="often.py")
    found = client.get(f"{BASE}/often/calendar").json()["days"]
    assert sum(day["planned"] for day in found) == 1_000


def test_a_paused_dag_plans_nothing(client: TestClient, ops: Ops) -> None:
    idle = DagSpec(dag_id="idle", schedule=Cron(expression="0 * * * *"), is_paused_upon_creation=True)
    save(ops, idle, rel_path="idle.py")
    assert client.get(f"{BASE}/idle/calendar").json()["days"] == []


@pytest.mark.parametrize("query", ["from=2024-02-01&to=2024-01-01", "from=1990-01-01&to=2024-01-01", "from=soon"])
def test_a_calendar_of_days_that_cannot_be_is_refused(client: TestClient, query: str) -> None:
    assert client.get(f"{BASE}/{DAG}/calendar?{query}").status_code == 422


def test_the_time_line_has_every_try_and_the_critical_path(client: TestClient) -> None:
    found = client.get(f"{BASE}/{DAG}/runs/first/gantt").json()
    assert [(bar["task_id"], bar["map_index"]) for bar in found["bars"]] == [
        ("count", 0),
        ("count", 1),
        ("load.sum", -1),
        ("old", -1),
        ("zones", -1),
    ]
    assert found["critical_path"] == ["zones", "count[1]", "load.sum"]
    assert found["truncated"] is False
    tries = client.get(f"{BASE}/{DAG}/runs/{quote(ODD)}/gantt").json()["bars"]
    assert [bar["try_number"] for bar in tries if bar["map_index"] == 1] == [1, 2]


def test_a_time_line_is_cut_where_there_are_too_many_tries(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_BARS", 3)
    found = client.get(f"{BASE}/{DAG}/runs/first/gantt").json()
    assert len(found["bars"]) == 3
    assert found["truncated"] is True


def test_the_critical_path_of_a_run_in_which_nothing_has_ended_is_empty() -> None:
    assert critical_path({"a": (), "b": ("a",)}, [("a", -1, 1.0, None), ("b", -1, None, None)]) == []


@given(st.lists(st.tuples(st.integers(0, 100), st.sets(st.integers(0, 9))), min_size=1, max_size=10))
def test_a_critical_path_goes_along_edges_to_the_last_end(nodes: list[tuple[int, set[int]]]) -> None:
    upstream = {f"t{n}": tuple(f"t{up}" for up in ups if up < n) for n, (_, ups) in enumerate(nodes)}
    spans = [(f"t{n}", -1, 0.0, float(end)) for n, (end, _) in enumerate(nodes)]
    path = [task for task, _ in critical_path(upstream, spans)]
    ends = {task: end for task, _, _, end in spans}
    assert ends[path[-1]] == max(ends.values())
    assert upstream[path[0]] == ()
    for before, after in itertools.pairwise(path):
        assert before in upstream[after]
        assert ends[before] == max(ends[up] for up in upstream[after])
