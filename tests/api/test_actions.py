"""What the API does to dags and runs, with a leader that really decides."""

from fastapi.testclient import TestClient

from airloom.model.report import Outcome
from airloom.model.work import Work
from airloom.settings import Settings
from tests.operations.leading import leading, never_end


def fail_join(work: Work) -> Outcome | None:
    return Outcome.FAILED if work.task_id == "join" else Outcome.SUCCESS


def test_a_run_is_triggered_and_told_with_its_address(client: TestClient, settings: Settings) -> None:
    with leading(settings):
        answer = client.post("/api/v1/dags/flights/runs", json={"conf": {"airport": "LAX"}, "note": "a try"})
    assert answer.status_code == 201, answer.text
    run = answer.json()
    assert answer.headers["Location"] == f"/api/v1/dags/flights/runs/{run['run_id'].replace(':', '%3A').replace('+', '%2B')}"
    assert run["conf"] == {"airport": "LAX"}
    assert run["triggered_by"] == "ada"
    assert run["note"]["text"] == "a try"
