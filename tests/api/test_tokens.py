"""API tokens: made, listed without their secret, narrowed, expiring, deleted."""

import time

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from airloom.api.app import make_app
from airloom.api.state import Api
from airloom.model.access import Role
from airloom.operations import credentials
from airloom.operations.ops import Ops
from tests.api.logins import add, at, bearer, browser, log_in, token

TOKENS = "/api/v1/tokens"
DAY = 86400.0


@pytest.fixture
def app(api: Api, ops: Ops) -> FastAPI:
    """The API with an administrator, root, and an editor, ada."""
    add(ops, "root", Role.ADMIN)
    add(ops, "ada", Role.EDITOR)
    return make_app(api)


@pytest.fixture
def ada(app: FastAPI) -> TestClient:
    """The editor's browser."""
    return log_in(browser(app), "ada")


def status(app: FastAPI, text: str, path: str, method: str = "GET") -> int:
    return browser(app).request(method, f"/api/v1{path}", headers=bearer(text)).status_code


def test_a_token_is_shown_once_and_listed_without_its_secret(app: FastAPI, ada: TestClient) -> None:
    made = ada.post(TOKENS, json={"name": "nightly export", "role": "viewer", "dags": ["fl*"], "days": 30}).json()
    text = made["token"]
    assert text.startswith(f"alm_{made['id']}_")
    listed = ada.get(TOKENS)
    assert text.rpartition("_")[2] not in listed.text
    (shown,) = listed.json()["items"]
    assert shown == {name: value for name, value in made.items() if name != "token"}
    assert (shown["name"], shown["username"], shown["role"], shown["dags"]) == (
        "nightly export",
        "ada",
        "viewer",
        ["fl*"],
    )
    assert status(app, text, "/session") == 200
    (used,) = ada.get(TOKENS).json()["items"]
    assert used["used_at"] is not None


def test_a_token_is_narrowed_to_a_role_and_to_dags(app: FastAPI, ops: Ops) -> None:
    viewing = token(ops, "root", role=Role.VIEWER)
    assert [status(app, viewing, path) for path in ("/pools", "/dags/flights", "/variables", "/users")] == [
        200,
        200,
        403,
        403,
    ]
    flights = token(ops, "root", dags=("fl*",))
    paths = ("/dags/flights", "/dags/weather", "/pools", "/users", "/audit")
    assert [status(app, flights, path) for path in paths] == [200, 404, 403, 403, 403]
    dags = browser(app).get("/api/v1/dags", headers=bearer(flights)).json()["items"]
    assert [dag["dag_id"] for dag in dags] == ["flights"]
    more = token(ops, "ada", role=Role.ADMIN)
    assert status(app, more, "/users") == 403


def test_a_pattern_means_nothing_but_its_stars(app: FastAPI, ops: Ops) -> None:
    for pattern in ("flight?", "[f]lights", "Flights", "flight", "lights"):
        assert status(app, token(ops, "root", dags=(pattern,)), "/dags/flights") == 404
    assert status(app, token(ops, "root", dags=("weather", "*ights")), "/dags/flights") == 200


def test_a_token_expires_unless_it_is_made_for_ever(app: FastAPI, api: Api, ops: Ops) -> None:
    short, usual, endless = token(ops, "ada", days=1.0), token(ops, "ada"), token(ops, "ada", days=None)

    def good_after(days: float) -> list[bool]:
        later = make_app(at(api, time.time() + days * DAY))
        return [status(later, text, "/session") == 200 for text in (short, usual, endless)]

    assert good_after(0.9) == [True, True, True]
    assert good_after(1.1) == [False, True, True]
    assert good_after(91.0) == [False, False, True]


def test_that_a_token_is_used_is_noted_once_a_minute(api: Api, ops: Ops) -> None:
    add(ops, "ada")
    text, began = token(ops, "ada"), time.time()

    def used_after(seconds: float) -> float | None:
        # A new server each time: what the one before remembers is not asked.
        assert status(make_app(at(api, began + seconds)), text, "/session") == 200
        (row,) = credentials.list_tokens(ops, "ada")
        return None if row.used_at is None else row.used_at - began

    assert [used_after(seconds) for seconds in (0.0, 30.0, 59.0, 60.5, 61.0)] == pytest.approx(
        [0.0, 0.0, 0.0, 60.5, 60.5]
    )


def test_a_deleted_token_is_refused(app: FastAPI, ada: TestClient) -> None:
    made = ada.post(TOKENS, json={"name": "x"}).json()
    assert status(app, made["token"], "/session") == 200
    assert ada.delete(f"{TOKENS}/{made['id']}").status_code == 204
    assert status(app, made["token"], "/session") == 401
    assert ada.delete(f"{TOKENS}/{made['id']}").status_code == 404


def test_tokens_of_others_are_for_administrators(app: FastAPI, ada: TestClient, ops: Ops) -> None:
    token(ops, "root")
    (of_root,) = credentials.list_tokens(ops, "root")
    assert ada.get(TOKENS).json()["items"] == []
    assert ada.delete(f"{TOKENS}/{of_root.id}").status_code == 404
    ada.post(TOKENS, json={"name": "x"})
    root = log_in(browser(app), "root")
    parts = [root.get(TOKENS, params={"limit": 1}).json()]
    parts.append(root.get(TOKENS, params={"limit": 1, "cursor": parts[0]["next"]}).json())
    assert sorted(item["username"] for part in parts for item in part["items"]) == ["ada", "root"]
    assert parts[1]["next"] is None
    (of_ada,) = credentials.list_tokens(ops, "ada")
    assert root.delete(f"{TOKENS}/{of_ada.id}").status_code == 204


def test_a_token_cannot_make_another_or_change_a_password_or_delete_another(app: FastAPI, ops: Ops) -> None:
    text, other = token(ops, "root", role=Role.VIEWER), token(ops, "root")
    client = browser(app)
    client.headers.update(bearer(text))
    assert client.post(TOKENS, json={"name": "wider"}).status_code == 403
    assert client.put("/api/v1/session/password", json={"new": "a new long password"}).status_code == 403
    assert client.delete(f"{TOKENS}/{other.split('_')[1]}").status_code == 403
    assert client.delete("/api/v1/session").status_code == 422
    assert client.delete(f"{TOKENS}/{text.split('_')[1]}").status_code == 204
    assert status(app, other, "/session") == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x", "role": "king"},
        {"name": "x", "days": 0},
        {"name": "x", "days": 4000},
        {"name": "x", "dags": []},
        {"name": "x", "dags": [""]},
        {"name": "x", "dags": ["*"] * 101},
        {"name": "x", "username": "root"},
    ],
)
def test_tokens_that_make_no_sense_are_refused(ada: TestClient, body: dict[str, object]) -> None:
    assert ada.post(TOKENS, json=body).status_code == 422
    assert ada.get(TOKENS).json()["items"] == []
