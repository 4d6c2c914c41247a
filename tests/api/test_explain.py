"""Why a task waits, asked through the API."""

from fastapi.testclient import TestClient

from airloom.settings import Settings
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
