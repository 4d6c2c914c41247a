"""The routes of task instances and their tries."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from airloom.model.access import Grant, Identity, Role
from airloom.model.plan import Plan, TIChange
from airloom.model.states import TIState
from airloom.operations import browsing
from airloom.operations.ops import Ops
from tests.api.past import DAG, ODD, commit, write

BASE = "/api/v1"
RUN = f"/dags/{DAG}/runs/{quote(ODD)}"
GUEST = Identity(username="guest", grants=(Grant(pattern="fl*", role=Role.VIEWER),))


@pytest.fixture(autouse=True)
def _past(ops: Ops) -> None:
    write(ops)


def names(client: TestClient, path: str, limit: int = 2) -> list[str]:
    """ "task" or "task[index]" of a list, page by page."""
    found: list[str] = []
    separator = "&" if "?" in path else "?"
    cursor = ""
    while True:
        answer = client.get(f"{BASE}{path}{separator}limit={limit}{cursor}")
        assert answer.status_code == 200, answer.text
        for ti in answer.json()["items"]:
            index = f"[{ti['map_index']}]" if ti["map_index"] >= 0 else ""
            found.append(
                f"{ti['run_id']}/{ti['task_id']}{index}" if path.startswith("/task-") else ti["task_id"] + index
            )
        if answer.json()["next"] is None:
            return found
        cursor = f"&cursor={answer.json()['next']}"


@pytest.mark.parametrize("limit", [1, 2, 50])
@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/dags/trips/runs/first/tasks", ["old", "zones", "count[0]", "count[1]", "load.sum"]),
        (f"{RUN}/tasks", ["zones", "count[0]", "count[1]", "load.sum"]),
        (f"{RUN}/tasks?state=failed&state=upstream_failed", ["count[1]", "load.sum"]),
        (f"{RUN}/tasks?task_id=count", ["count[0]", "count[1]"]),
        (f"{RUN}/tasks?task_id=count&state=success", ["count[0]"]),
        ("/dags/trips/runs/latest/tasks", ["zones", "count", "load.sum"]),
    ],
)
def test_the_tasks_of_a_run_come_in_the_order_of_the_dag(
    client: TestClient, path: str, found: list[str], limit: int
) -> None:
    assert names(client, path, limit) == found


def test_a_page_may_end_inside_many_tasks(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browsing, "_TASKS", 1)
    assert names(client, "/dags/trips/runs/first/tasks", 3) == ["old", "zones", "count[0]", "count[1]", "load.sum"]


def test_a_task_that_leaves_the_filter_between_two_pages_takes_no_other_with_it(client: TestClient, ops: Ops) -> None:
    path = f"{BASE}{RUN}/tasks?state=failed&state=upstream_failed&limit=1"
    page = client.get(path).json()
    assert [ti["task_id"] for ti in page["items"]] == ["count"]
    commit(ops, Plan(ti_changes={8: TIChange(id=8, expected=TIState.FAILED, state=TIState.NONE, values={})}))
    assert [ti["task_id"] for ti in client.get(f"{path}&cursor={page['next']}").json()["items"]] == ["load.sum"]


@pytest.mark.parametrize("limit", [1, 3, 50])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?state=failed", [f"{ODD}/count[1]"]),
        ("?state=failed&state=running&state=upstream_failed", ["third/zones", f"{ODD}/load.sum", f"{ODD}/count[1]"]),
        ("?state=running&dag_id=trips", ["third/zones"]),
        ("?state=running&dag_id=flights", []),
        ("?state=none", ["third/count", "third/load.sum"]),
        ("?task_id=zones", ["third/zones", f"{ODD}/zones", "first/zones"]),
        ("?dag_id=trips&task_id=count&state=success", [f"{ODD}/count[0]", "first/count[0]", "first/count[1]"]),
        ("?state=up_for_retry", []),
    ],
)
def test_task_instances_of_all_runs_come_newest_first(
    client: TestClient, query: str, found: list[str], limit: int
) -> None:
    assert names(client, f"/task-instances{query}", limit) == found


def test_all_task_instances_are_listed_although_each_page_has_no_time(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "_PATIENCE", -1.0)
    assert len(names(client, "/task-instances", 50)) == 12
    assert names(client, "/task-instances?task_id=old", 50) == ["first/old"]


def test_whoever_sees_some_dags_sees_their_task_instances_only(as_: Callable[[Identity | None], TestClient]) -> None:
    guest = as_(GUEST)
    for query in ("", "?state=failed", "?state=running", "?state=none", "?task_id=zones"):
        assert names(guest, f"/task-instances{query}") == []
    assert guest.get(f"{BASE}/task-instances?dag_id={DAG}").status_code == 404


def test_a_task_instance_has_what_its_version_says_of_the_task(client: TestClient) -> None:
    zones = client.get(f"{BASE}/dags/{DAG}/runs/first/tasks/zones").json()
    assert (zones["operator"], zones["pool"], zones["queue"]) == ("PythonOperator", "default_pool", "fast")
    assert zones["run_id"] == "first"
    load = client.get(f"{BASE}{RUN}/tasks/load.sum").json()
    assert (load["pool"], load["state"]) == ("db", "upstream_failed")


def test_an_instance_of_a_mapped_task_is_chosen_by_its_index(client: TestClient) -> None:
    ti = client.get(f"{BASE}{RUN}/tasks/count?map_index=1").json()
    assert (ti["state"], ti["cause"], ti["detail"]) == ("failed", "error", "ValueError: <i>no</i>")
    assert ti["note"]["text"] == "again"
    for query, words in (("", "it has indexes 0 to 1"), ("?map_index=7", "it has indexes 0 to 1")):
        missing = client.get(f"{BASE}{RUN}/tasks/count{query}")
        assert missing.status_code == 404
        assert words in missing.json()["detail"]
    assert client.get(f"{BASE}{RUN}/tasks/zoned").json()["detail"].endswith("did you mean zones?")
    assert client.get(f"{BASE}{RUN}/tasks/count?map_index=-2").status_code == 422
    assert client.get(f"{BASE}{RUN}/tasks/count?map_index={2**40}").status_code == 422


def test_tries_come_first_to_last(client: TestClient) -> None:
    tries = client.get(f"{BASE}{RUN}/tasks/count/tries?map_index=1").json()
    assert [(one["try_number"], one["state"]) for one in tries] == [(1, "failed"), (2, "failed")]
    assert tries[1]["started_at"] == "2023-11-14T22:13:30Z"
    assert client.get(f"{BASE}{RUN}/tasks/load.sum/tries").json() == []
