"""Requests that come again under one Idempotency-Key."""

import threading
from typing import Any

from fastapi.testclient import TestClient

from airloom.api.state import Api
from airloom.operations import runs
from airloom.operations.ops import Ops
from airloom.sections import Settings
from airloom.store import idempotency
from airloom.store.idempotency import Key
from tests.operations.leading import leading

RUNS = "/api/v1/dags/flights/runs"
KEY = {"Idempotency-Key": "k-1"}


def all_runs(ops: Ops) -> list[str]:
    return [run.run_id for run in runs.list_runs(ops, dag_id="flights")]


def test_a_request_that_comes_again_gets_the_same_answer(client: TestClient, ops: Ops, settings: Settings) -> None:
    with leading(settings):
        first, again = (client.post(RUNS, json={"conf": {}}, headers=KEY) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert first.headers["Location"] == again.headers["Location"]
    assert all_runs(ops) == [first.json()["run_id"]]


def test_a_key_belongs_to_one_request(client: TestClient, ops: Ops, settings: Settings) -> None:
    with leading(settings):
        client.post(RUNS, json={}, headers=KEY)
        other = client.post(RUNS, json={"conf": {"airport": "LAX"}}, headers=KEY)
    assert other.status_code == 422
    assert "its own key" in other.json()["detail"]
    assert len(all_runs(ops)) == 1


def test_requests_at_the_same_moment_make_one_run(client: TestClient, ops: Ops, settings: Settings) -> None:
    answers: list[Any] = []
    with leading(settings):
        threads = [
            threading.Thread(target=lambda: answers.append(client.post(RUNS, json={}, headers=KEY))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len(all_runs(ops)) == 1


def test_a_request_that_was_refused_may_be_made_right(client: TestClient, ops: Ops, settings: Settings) -> None:
    with leading(settings):
        assert client.post(RUNS, json={"conf": {"airport": 1}}, headers=KEY).status_code == 422
        assert client.post(RUNS, json={"conf": {"airport": "LAX"}}, headers=KEY).status_code == 201


def test_a_run_that_was_asked_for_before_the_answer_was_lost_is_found(
    impatient: TestClient, client: TestClient, ops: Ops, settings: Settings
) -> None:
    """The first asks while no scheduler runs, and dies: its command is in the inbox. The second makes no other run."""
    assert impatient.post(RUNS, json={}, headers=KEY).status_code == 503
    assert impatient.post(RUNS, json={}, headers=KEY).status_code == 503
    with leading(settings):
        late = client.post(RUNS, json={}, headers=KEY)
    assert late.status_code == 201
    assert all_runs(ops) == [late.json()["run_id"]]


def test_a_key_whose_holder_died_before_it_did_anything_is_taken_over(
    api: Api, impatient: TestClient, ops: Ops, settings: Settings
) -> None:
    with leading(settings):
        impatient.post(RUNS, json={"run_id": "given"}, headers={"Idempotency-Key": "k-2"})
        with ops.db.reading() as conn:
            seen = idempotency.find(conn, Key("ada", "k-2"))
        assert seen is not None
        with ops.db.transaction() as conn:
            idempotency.begin(conn, Key("ada", "k-3"), seen.request, ops.now() - 60)
        answer = impatient.post(RUNS, json={"run_id": "given"}, headers={"Idempotency-Key": "k-3"})
    assert answer.status_code == 201
    assert all_runs(ops) == ["given"]


def test_another_ones_run_of_that_id_is_a_conflict(client: TestClient, ops: Ops, settings: Settings) -> None:
    with leading(settings):
        runs.trigger(ops, "flights", run_id="theirs")
        answer = client.post(RUNS, json={"run_id": "theirs"}, headers=KEY)
    assert answer.status_code == 409


def test_keys_are_forgotten_after_a_day(client: TestClient, ops: Ops) -> None:
    with ops.db.transaction() as conn:
        assert idempotency.begin(conn, Key("ada", "old"), b"a", ops.now() - idempotency.KEPT - 1) is None
        assert idempotency.begin(conn, Key("ada", "old"), b"b", ops.now()) is None


def test_a_key_that_is_none_is_refused(client: TestClient) -> None:
    assert client.post(RUNS, json={}, headers={"Idempotency-Key": "two words"}).status_code == 422
    assert client.post(RUNS, json={}, headers={"Idempotency-Key": "k" * 201}).status_code == 422


def test_a_user_is_made_once_though_the_answer_was_lost(client: TestClient, ops: Ops) -> None:
    body = {"username": "bob", "password": "correct horse battery"}
    first, again = (client.post("/api/v1/users", json=body, headers=KEY) for _ in range(2))
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    with ops.db.reading() as conn:
        attempt = idempotency.find(conn, Key("ada", "k-1"))
    assert attempt is not None
    assert b"horse" not in attempt.request + (attempt.body or b"")
    # As if its process had died after the user was made, and before the answer was kept.
    with ops.db.transaction() as conn:
        conn.exec_driver_sql("UPDATE idempotency SET status = NULL, body = NULL, created_at = created_at - 60")
    found = client.post("/api/v1/users", json=body, headers=KEY)
    assert (found.status_code, found.json()) == (201, first.json())
    assert client.post("/api/v1/users", json=body).status_code == 409
