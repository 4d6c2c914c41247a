"""Pools as the API shows and changes them."""

from fastapi.testclient import TestClient

from airloom.model.run import DEFAULT_POOL
from airloom.sections import Settings
from tests.operations.leading import leading, never_end

POOLS = "/api/v1/pools"


def test_a_pool_is_made_changed_and_deleted(client: TestClient, settings: Settings) -> None:
    with leading(settings):
        made = client.put(f"{POOLS}/warehouse", json={"slots": 4, "description": "connections"})
        assert made.status_code == 201
        assert (made.json()["slots"], made.json()["used"], made.json()["holders"]) == (4, 0, [])
        changed = client.put(f"{POOLS}/warehouse", json={"slots": -1})
        assert changed.status_code == 200
        assert (changed.json()["slots"], changed.json()["description"]) == (-1, "")
        assert client.delete(f"{POOLS}/warehouse").status_code == 204
        assert client.get(f"{POOLS}/warehouse").status_code == 404
        assert client.delete(f"{POOLS}/warehouse").status_code == 404
        assert client.delete(f"{POOLS}/{DEFAULT_POOL}").status_code == 422


def test_who_holds_a_pool_and_who_waits_is_told(client: TestClient, settings: Settings) -> None:
    with leading(settings, never_end):
        client.put(f"{POOLS}/{DEFAULT_POOL}", json={"slots": 1})
        for run_id in ("one", "two", "three"):
            client.post("/api/v1/dags/flights/runs", json={"run_id": run_id})
        pool = client.get(f"{POOLS}/{DEFAULT_POOL}").json()
        [listed] = [one for one in client.get(POOLS).json() if one["name"] == DEFAULT_POOL]
    assert (listed["used"], listed["waiting"]) == (pool["used"], pool["waiting"]) == (1, 2)
    [holder] = pool["holders"]
    assert (holder["dag_id"], holder["run_id"], holder["task_id"], holder["slots"]) == ("flights", "one", "load", 1)
    assert holder["since"] is not None
    assert [(one["run_id"], one["place"]) for one in pool["waiters"]] == [("two", 1), ("three", 2)]


def test_without_a_scheduler_pools_are_shown_without_their_use(client: TestClient) -> None:
    pool = client.get(f"{POOLS}/{DEFAULT_POOL}").json()
    assert (pool["used"], pool["waiting"], pool["holders"], pool["waiters"]) == (None, None, [], [])
    assert client.get(POOLS).json()[0]["used"] is None


def test_a_scheduler_that_is_silent_keeps_nobody_waiting(impatient: TestClient, settings: Settings) -> None:
    with leading(settings):
        pass
    assert impatient.get(f"{POOLS}/{DEFAULT_POOL}").json()["used"] is None
