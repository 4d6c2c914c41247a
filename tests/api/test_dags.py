"""The routes of dags, versions, code and structure: what they say, whom they tell, and that unchanged answers are not
sent again."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from airloom.model.access import Grant, Identity, Role
from airloom.model.loading import LoadError
from airloom.model.spec import Cron, DagSpec, TaskSpec
from airloom.operations.ops import Ops
from airloom.sections import Settings
from tests.api.past import DAG, FIRST, ODD, save, write
from tests.operations.leading import FLIGHTS, WEATHER, save_dags

BASE = "/api/v1"
#: sees `flights` only
GUEST = Identity(username="guest", grants=(Grant(pattern="fl*", role=Role.VIEWER),))


@pytest.fixture(autouse=True)
def _past(ops: Ops) -> None:
    write(ops)


def ids(client: TestClient, query: str = "") -> list[str]:
    """The dags of a list."""
    answer = client.get(f"{BASE}/dags{query}")
    assert answer.status_code == 200, answer.text
    return [dag["dag_id"] for dag in answer.json()["items"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["flights", DAG, "weather"]),
        ("?search=TAXI night", [DAG]),
        ("?search=taxi&search=", [DAG, "flights", "weather"]),
        ("?tag=city&tag=taxi", [DAG]),
        ("?tag=city&tag=sea", []),
        ("?paused=true", ["weather"]),
        ("?active=false", []),
        ("?last_run_state=running", [DAG]),
        ("?last_run_state=failed", []),
        ("?order_by=-last_run", [DAG, "flights", "weather"]),
        ("?order_by=next_run", [DAG, "flights", "weather"]),
    ],
)
def test_dags_are_filtered_and_sorted(client: TestClient, query: str, found: list[str]) -> None:
    assert sorted(ids(client, query)) == sorted(found)
    if "order_by" in query:
        assert ids(client, query) == found


@pytest.mark.parametrize("order", ["dag_id", "-last_run", "next_run"])
def test_every_dag_is_on_one_page(client: TestClient, order: str) -> None:
    found: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"{BASE}/dags?order_by={order}&limit=1{cursor}").json()
        found += [dag["dag_id"] for dag in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert found == ids(client, f"?order_by={order}")


def test_a_dag_is_shown_with_its_newest_runs_and_its_next_one(client: TestClient) -> None:
    [dag] = client.get(f"{BASE}/dags?search=trips").json()["items"]
    assert [run["run_id"] for run in dag["last_runs"]] == ["third", ODD, "first"]
    assert dag["schedule"] == "0 3 * * *"
    assert dag["next_run_after"].endswith("T03:00:00Z")
    assert dag["version"] == 2
    assert dag["task_count"] == 3
    assert dag["can_edit"] is True
    assert dag["has_import_errors"] is False


def test_a_paused_dag_has_no_next_run(client: TestClient, ops: Ops) -> None:
    paused = DagSpec(dag_id="idle", schedule=Cron(expression="* * * * *"), is_paused_upon_creation=True)
    save(ops, paused, rel_path="idle.py")
    assert client.get(f"{BASE}/dags/idle").json()["next_run_after"] is None


def test_the_details_of_a_dag(client: TestClient) -> None:
    details = client.get(f"{BASE}/dags/flights").json()
    assert details["params"] == {"airport": {"value": "JFK", "schema": {"type": "string"}}}
    assert details["schedule"] == "when triggered"
    assert details["rel_path"] == "dags.py"


def test_whoever_sees_some_dags_hears_of_no_other(as_: Callable[[Identity | None], TestClient]) -> None:
    guest = as_(GUEST)
    assert ids(guest) == ["flights"]
    assert guest.get(f"{BASE}/tags").json() == []
    hidden = guest.get(f"{BASE}/dags/{DAG}")
    unknown = guest.get(f"{BASE}/dags/flights_of_old")
    assert hidden.status_code == unknown.status_code == 404
    assert unknown.json()["detail"] == "there is no dag 'flights_of_old'"
    assert guest.get(f"{BASE}/dags/flights").json()["can_edit"] is False


def test_tags_are_counted(client: TestClient) -> None:
    assert client.get(f"{BASE}/tags").json() == [{"name": "city", "dags": 1}, {"name": "taxi", "dags": 1}]


def test_versions_come_newest_first_with_their_code(client: TestClient) -> None:
    page = client.get(f"{BASE}/dags/{DAG}/versions?limit=1").json()
    assert [(version["number"], version["task_count"]) for version in page["items"]] == [(2, 3)]
    page = client.get(f"{BASE}/dags/{DAG}/versions?limit=1&cursor={page['next']}").json()
    assert [(version["number"], version["task_count"]) for version in page["items"]] == [(1, 4)]
    assert page["next"] is None
    assert client.get(f"{BASE}/dags/{DAG}/versions/1/code").json()["source"] == "# 4 tasks\n"
    missing = client.get(f"{BASE}/dags/{DAG}/versions/3/code")
    assert missing.status_code == 404
    assert "the current one is 2" in missing.json()["detail"]


def test_the_structure_of_a_version_has_what_its_spec_says(client: TestClient) -> None:
    structure = client.get(f"{BASE}/dags/{DAG}/structure?version=1").json()
    assert [task["task_id"] for task in structure["tasks"]] == [task.task_id for task in FIRST.tasks]
    zones = structure["tasks"][1]
    assert (zones["operator"], zones["queue"], zones["mapped"]) == ("PythonOperator", "fast", False)
    assert structure["tasks"][2]["mapped"] is True
    assert structure["groups"][0]["tooltip"] == "<b>into the store</b>"
    assert structure["edge_labels"] == {"count>load.sum": "all zones"}
    assert client.get(f"{BASE}/dags/{DAG}/structure").json()["version"] == 2
    assert client.get(f"{BASE}/dags/{DAG}/structure?version=9").status_code == 404


@pytest.mark.parametrize("path", ["/dags", f"/dags/{DAG}", f"/dags/{DAG}/structure", f"/dags/{DAG}/grid", "/runs"])
def test_what_has_not_changed_is_not_sent_again(client: TestClient, path: str) -> None:
    first = client.get(BASE + path)
    again = client.get(BASE + path, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert client.get(BASE + path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_import_errors_are_told_to_those_who_see_the_dag(
    client: TestClient, as_: Callable[[Identity | None], TestClient], settings: Settings
) -> None:
    errors = (
        LoadError(rel_path="dags.py", dag_id="weather", text="<script>no</script>", line=3),
        LoadError(rel_path="dags.py", dag_id="flights", text="no schedule"),
    )
    save_dags(settings, FLIGHTS, errors=errors)
    assert {error["dag_id"] for error in client.get(f"{BASE}/import-errors").json()} == {"weather", "flights"}
    assert [error["text"] for error in as_(GUEST).get(f"{BASE}/import-errors").json()] == ["no schedule"]
    assert client.get(f"{BASE}/dags/flights").json()["has_import_errors"] is True


def test_a_dag_that_is_gone_is_listed_as_not_active(client: TestClient, settings: Settings) -> None:
    save_dags(settings, FLIGHTS)
    assert ids(client, "?active=false") == [WEATHER.dag_id]
    assert client.get(f"{BASE}/dags/weather").json()["next_run_after"] is None


@pytest.mark.parametrize(
    "query", ["cursor=x", "cursor=WzFd", "limit=0", "limit=9999", "order_by=color", "last_run_state=none"]
)
def test_a_wrong_query_is_told_so(client: TestClient, query: str) -> None:
    answer = client.get(f"{BASE}/dags?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_large_dag_is_remembered_without_its_tasks(client: TestClient, ops: Ops) -> None:
    large = DagSpec(dag_id="large", tasks=tuple(TaskSpec(task_id=f"t{number}") for number in range(500)))
    version = save(ops, large, rel_path="large.py")
    assert client.get(f"{BASE}/dags/large").json()["task_count"] == 500
    with ops.db.reading() as conn:
        assert ops.catalogue.outlines(conn, [version])[version].spec.tasks == ()
