"""What the API does to dags and runs, with a leader that really decides."""

import itertools
from concurrent.futures import ThreadPoolExecutor, as_completed
from urllib.parse import quote

import httpx
import pytest
from fastapi.testclient import TestClient

from airloom.api.app import make_app
from airloom.api.security.authentication import authenticate
from airloom.api.state import Api
from airloom.api.turns import Turns
from airloom.model.report import Outcome
from airloom.model.work import Work
from airloom.sections import Settings
from tests.api.conftest import ADMIN
from tests.api.served import served
from tests.operations.leading import FLIGHTS as FLIGHTS_SPEC
from tests.operations.leading import leading, never_end, save_dags
from tests.waiting import wait_for

FLIGHTS = "/api/v1/dags/flights"


def fail_join(work: Work) -> Outcome | None:
    return Outcome.FAILED if work.task_id == "join" else Outcome.SUCCESS


def trigger(client: TestClient, run_id: str) -> None:
    answer = client.post(f"{FLIGHTS}/runs", json={"run_id": run_id})
    assert answer.status_code == 201, answer.text


def states(client: TestClient, run_id: str) -> dict[str, str]:
    found = client.get(f"{FLIGHTS}/runs/{run_id}/tasks").json()["items"]
    return {one["task_id"]: one["state"] for one in found}


def becomes(client: TestClient, run_id: str, state: str) -> None:
    """Wait until the run is in that state."""
    wait_for(lambda: client.get(f"{FLIGHTS}/runs/{run_id}").json()["state"] == state, f"{run_id} to be {state}")


def test_a_run_is_triggered_and_told_with_its_address(client: TestClient, settings: Settings) -> None:
    with leading(settings):
        answer = client.post(f"{FLIGHTS}/runs", json={"conf": {"airport": "LAX"}, "note": "a try"})
    assert answer.status_code == 201, answer.text
    run = answer.json()
    assert answer.headers["Location"] == f"{FLIGHTS}/runs/{quote(run['run_id'])}"
    assert client.get(answer.headers["Location"]).json()["run_id"] == run["run_id"]
    assert run["conf"] == {"airport": "LAX"}
    assert run["triggered_by"] == "ada"
    assert run["note"]["text"] == "a try"


def test_a_run_of_a_repository_shows_its_commit(client: TestClient, settings: Settings) -> None:
    with leading(settings):
        trigger(client, "of no repository")
    save_dags(settings, FLIGHTS_SPEC, commit="c0ffee" * 6)
    with leading(settings):
        trigger(client, "pinned")
    assert client.get(f"{FLIGHTS}/runs/of no repository").json()["commit"] is None
    assert client.get(f"{FLIGHTS}/runs/pinned").json()["commit"] == "c0ffee" * 6


def test_a_moment_without_a_time_zone_is_refused(client: TestClient) -> None:
    answer = client.post(f"{FLIGHTS}/runs", json={"logical_date": "2026-01-01T00:00:00"})
    assert answer.status_code == 422
    assert "end it with Z" in answer.json()["detail"]


def test_without_a_scheduler_a_request_is_kept_and_says_so(impatient: TestClient) -> None:
    answer = impatient.post(f"{FLIGHTS}/runs", json={})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "The request is kept" in answer.json()["detail"]


def test_tasks_of_several_runs_are_cleared_after_a_dry_run(client: TestClient, settings: Settings) -> None:
    with leading(settings):
        for run_id in ("one", "two"):
            trigger(client, run_id)
            becomes(client, run_id, "success")
        body = {"runs": ["one", "two"], "tasks": ["join"], "downstream": True}
        would = client.post(f"{FLIGHTS}/clear", json={**body, "dry_run": True}).json()
        assert would["instances"] == ["one/join", "one/report", "two/join", "two/report"]
        assert would["dry_run"] and would["total"] == 4
        assert client.get(f"{FLIGHTS}/runs/one").json()["state"] == "success"
        assert client.post(f"{FLIGHTS}/clear", json=body).json()["total"] == 4
        becomes(client, "one", "success")
        becomes(client, "two", "success")
        tries = client.get(f"{FLIGHTS}/runs/two/tasks/join/tries").json()
    assert len(tries) == 2


def test_what_is_not_asked_for_any_more_when_no_scheduler_answers_is_told(
    client: TestClient, impatient: TestClient, settings: Settings
) -> None:
    names = [f"r{number}" for number in range(30)]
    with leading(settings):
        for name in names:
            trigger(client, name)
    answer = impatient.post(f"{FLIGHTS}/clear", json={"runs": names})
    assert answer.status_code == 503
    assert "for 25 of 30 runs" in answer.json()["detail"]


def test_a_run_that_is_not_there_leaves_the_others_alone(client: TestClient, settings: Settings) -> None:
    with leading(settings):
        trigger(client, "one")
        becomes(client, "one", "success")
        answer = client.post(f"{FLIGHTS}/clear", json={"runs": ["one", "nothing"]})
        assert answer.status_code == 404
        assert client.get(f"{FLIGHTS}/runs/one").json()["state"] == "success"


def test_a_failed_task_that_is_marked_success_lets_the_run_go_on(client: TestClient, settings: Settings) -> None:
    with leading(settings, fail_join):
        trigger(client, "one")
        becomes(client, "one", "failed")
        assert states(client, "one") == {"load": "success", "join": "failed", "report": "upstream_failed"}
        answer = client.post(f"{FLIGHTS}/mark", json={"runs": ["one"], "tasks": ["join"], "state": "success"})
        assert answer.json() == {"dry_run": False, "total": 1, "instances": ["one/join"]}
        becomes(client, "one", "success")
        assert set(states(client, "one").values()) == {"success"}


def test_a_running_run_is_marked_and_its_try_ends(client: TestClient, settings: Settings) -> None:
    with leading(settings, never_end):
        trigger(client, "one")
        would = client.post(f"{FLIGHTS}/runs/one/mark", json={"state": "failed", "dry_run": True}).json()
        assert would["instances"] == ["one/load", "one/join", "one/report"]
        client.post(f"{FLIGHTS}/runs/one/mark", json={"state": "failed"})
        assert client.get(f"{FLIGHTS}/runs/one").json()["state"] == "failed"
        assert states(client, "one") == {"load": "failed", "join": "skipped", "report": "skipped"}
        assert client.get("/api/v1/pools/default_pool").json()["used"] == 0


def test_a_run_is_cancelled_once(client: TestClient, settings: Settings) -> None:
    with leading(settings, never_end):
        trigger(client, "one")
        assert client.post(f"{FLIGHTS}/runs/one/cancel").status_code == 200
        becomes(client, "one", "failed")
        assert client.post(f"{FLIGHTS}/runs/one/cancel").status_code == 409


def test_a_dag_is_paused_and_unpaused(client: TestClient, settings: Settings) -> None:
    with leading(settings):
        assert client.patch(FLIGHTS, json={"paused": True}).status_code == 204
        assert client.get(FLIGHTS).json()["paused"] is True
        assert client.patch(FLIGHTS, json={"paused": False}).status_code == 204
        assert client.get(FLIGHTS).json()["paused"] is False


def test_a_dag_that_its_file_still_has_is_not_deleted(client: TestClient, settings: Settings) -> None:
    with leading(settings):
        answer = client.delete(FLIGHTS)
    assert answer.status_code == 409
    assert "dags.py" in answer.json()["detail"]


def test_notes_are_written_and_removed(client: TestClient, settings: Settings) -> None:
    with leading(settings):
        trigger(client, "one")
        becomes(client, "one", "success")
    for path in (f"{FLIGHTS}/runs/one", f"{FLIGHTS}/runs/one/tasks/join"):
        note = client.put(f"{path}/note", json={"text": "<b>seen</b>"}).json()
        assert (note["text"], note["by"]) == ("<b>seen</b>", "ada")
        assert client.get(path).json()["note"]["text"] == "<b>seen</b>"
        assert client.put(f"{path}/note", json={"text": " "}).json() is None
        assert client.get(path).json()["note"] is None
    assert client.put(f"{FLIGHTS}/runs/one/tasks/nothing/note", json={"text": "x"}).status_code == 404


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999", str(2**64), str(-(2**63) - 1), '[{"x": NaN}]'])
def test_a_number_that_no_task_could_be_given_is_refused(client: TestClient, value: str) -> None:
    body = f'{{"conf": {{"airport": "LAX", "n": {value}}}}}'
    answer = client.post(f"{FLIGHTS}/runs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "give it as a text" in answer.json()["detail"]


@pytest.mark.parametrize("run_id", [".", "..", "latest"])
def test_a_run_gets_no_name_that_means_something_else_in_addresses(client: TestClient, run_id: str) -> None:
    assert client.post(f"{FLIGHTS}/runs", json={"run_id": run_id}).status_code == 422


def test_who_waits_for_the_scheduler_leaves_threads_for_the_others(api: Api, settings: Settings) -> None:
    app = make_app(api)
    app.dependency_overrides[authenticate] = lambda: ADMIN
    app.state.live.turns = Turns(turns=16, patience=0.2)
    with served(app) as address, ThreadPoolExecutor(60) as pool:
        # More than there are threads, and no scheduler.
        asked = [pool.submit(httpx.patch, address + FLIGHTS, json={"paused": True}, timeout=30) for _ in range(60)]
        refused = list(itertools.islice(as_completed(asked, 30), 44))
        assert {one.result().status_code for one in refused} == {503}
        assert httpx.get(f"{address}/api/v1/dags", timeout=30).status_code == 200
        with leading(settings):
            rest = [one.result(30).status_code for one in asked if one not in refused]
        assert rest == [204] * 16


def test_what_was_done_is_in_the_audit_log(client: TestClient, settings: Settings) -> None:
    with leading(settings):
        trigger(client, "one")
        client.post(f"{FLIGHTS}/mark", json={"runs": ["one"], "state": "success", "dry_run": True})
        client.post(f"{FLIGHTS}/runs/one/mark", json={"state": "success"})
        client.put(f"{FLIGHTS}/runs/one/note", json={"text": "x"})
    entries = client.get("/api/v1/audit").json()["items"]
    assert [entry["action"] for entry in entries] == ["note.set", "run.mark", "run.trigger"]
    assert {entry["by"] for entry in entries} == {"ada"}


def test_what_no_database_can_hold_is_refused(client: TestClient) -> None:
    nested: object = 1
    for _ in range(200):
        nested = [nested]
    for body in ({"conf": {"x": ["a\0b"]}}, {"conf": {"x\0": 1}}, {"run_id": "a\0"}, {"conf": {"x": nested}}):
        answer = client.post(f"{FLIGHTS}/runs", json=body)
        assert answer.status_code == 422, body
    text = b'{"conf": {"x": "\\ud800"}}'
    assert client.post(f"{FLIGHTS}/runs", content=text, headers={"Content-Type": "application/json"}).status_code == 422
    deep = b'{"conf": ' + b"[" * 200_000
    assert client.post(f"{FLIGHTS}/runs", content=deep, headers={"Content-Type": "application/json"}).status_code == 400


def test_a_date_that_no_calendar_has_is_refused(client: TestClient, settings: Settings) -> None:
    with leading(settings):
        for date in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"):
            for field in ("logical_date", "run_after"):
                answer = client.post(f"{FLIGHTS}/runs", json={field: date})
                assert answer.status_code == 422, answer.text
        last = client.post(f"{FLIGHTS}/runs", json={"run_after": "9999-12-29T00:00:00Z"})
    assert last.status_code == 201
