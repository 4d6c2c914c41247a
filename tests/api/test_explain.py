"""Why a task waits, asked through the API."""

from fastapi.testclient import TestClient

from airloom.model.access import Grant, Identity, Role
from airloom.sections import Settings
from tests.api.conftest import As
from tests.operations.leading import leading, never_end

TASKS = "/api/v1/dags/flights/runs/one/tasks"


def test_what_holds_a_task_is_told_with_and_without_a_scheduler(client: TestClient, settings: Settings) -> None:
    with leading(settings, never_end):
        client.post("/api/v1/dags/flights/runs", json={"run_id": "one"})
        [told] = client.get(f"{TASKS}/join/explain").json()
    assert (told["task_id"], told["state"]) == ("join", "none")
    assert [reason["kind"] for reason in told["reasons"]] == ["upstream"]
    assert told["reasons"][0]["holders"][0].startswith("load (")
    [alone] = client.get(f"{TASKS}/join/explain").json()
    assert [reason["kind"] for reason in alone["reasons"]] == ["no_scheduler", "upstream"]


def test_a_task_or_an_index_that_is_not_there_is_not_found(client: TestClient, settings: Settings) -> None:
    with leading(settings):
        client.post("/api/v1/dags/flights/runs", json={"run_id": "one"})
    assert client.get(f"{TASKS}/nothing/explain").status_code == 404
    assert client.get(f"{TASKS}/join/explain?map_index=3").status_code == 404


def test_who_sees_one_dag_is_told_no_other_ones_name(as_: As, client: TestClient, settings: Settings) -> None:
    narrow = Identity(username="eve", grants=(Grant(pattern="flights", role=Role.EDITOR),), credential="test")
    with leading(settings, never_end):
        client.put("/api/v1/pools/default_pool", json={"slots": 1})
        client.patch("/api/v1/dags/weather", json={"paused": False})
        client.post("/api/v1/dags/weather/runs", json={"run_id": "first"})
        client.post("/api/v1/dags/flights/runs", json={"run_id": "one"})
        theirs, whole = (person.get(f"{TASKS}/load/explain") for person in (as_(narrow), client))
    [told], [all_of_it] = theirs.json(), whole.json()
    assert [reason["holders"] for reason in told["reasons"]] == [["a task of another dag"]]
    assert [reason["holders"] for reason in all_of_it["reasons"]] == [["weather / first / fetch"]]
    other = as_(Identity(username="eve", grants=(Grant(pattern="weathe*", role=Role.EDITOR),), credential="test"))
    answer = other.post("/api/v1/dags/weathe/runs", json={})
    assert (answer.status_code, answer.json()["detail"]) == (404, "there is no dag 'weathe'")
