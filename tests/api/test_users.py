"""Users through the API: made, changed, deleted; what they may do follows at once; somebody can always administer."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from airloom.api.app import make_app
from airloom.api.state import Api
from airloom.model.access import Role
from airloom.operations.ops import Ops
from tests.api.logins import PASSWORD, add, bearer, browser, log_in, token

USERS = "/api/v1/users"


@pytest.fixture
def app(api: Api, ops: Ops) -> FastAPI:
    """The API with one administrator, root."""
    add(ops, "root", Role.ADMIN)
    return make_app(api)


@pytest.fixture
def root(app: FastAPI) -> TestClient:
    """The administrator's browser."""
    return log_in(browser(app), "root")


def test_a_user_is_made_shown_changed_and_deleted(root: TestClient) -> None:
    grants = [{"pattern": "etl_*", "role": "editor"}]
    new = {"username": "ada", "display_name": "Ada", "role": "viewer", "password": PASSWORD, "grants": grants}
    made = root.post(USERS, json=new)
    assert made.status_code == 201
    shown = made.json()
    assert (shown["username"], shown["role"], shown["grants"]) == ("ada", "viewer", grants)
    assert (shown["active"], shown["has_password"], shown["oidc"]) == (True, True, False)
    assert PASSWORD not in made.text
    assert "argon2" not in made.text
    assert root.post(USERS, json=new).status_code == 409
    changed = root.patch(f"{USERS}/ada", json={"role": "operator", "grants": [], "email": "ada@example.org"}).json()
    assert (changed["role"], changed["grants"], changed["email"]) == ("operator", [], "ada@example.org")
    assert changed["display_name"] == "Ada"
    assert root.patch(f"{USERS}/ada", json={"no_role": True}).json()["role"] is None
    assert root.patch(f"{USERS}/ada", json={"no_role": True, "role": "viewer"}).status_code == 422
    assert root.get(f"{USERS}/ada").json()["role"] is None
    assert root.delete(f"{USERS}/ada").status_code == 204
    assert root.get(f"{USERS}/ada").status_code == 404
    assert root.patch(f"{USERS}/ada", json={}).status_code == 404
    assert root.delete(f"{USERS}/ada").status_code == 404


def test_the_list_comes_in_parts_by_name(root: TestClient, ops: Ops) -> None:
    for name in ("c", "a", "b"):
        add(ops, name)
    seen, cursor = [], ""
    while cursor is not None:
        part = root.get(USERS, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen.append([user["username"] for user in part["items"]])
        cursor = part["next"]
    assert seen == [["a", "b"], ["c", "root"]]
    assert root.get(USERS, params={"cursor": "nonsense!"}).status_code == 422


@pytest.mark.parametrize("name", ["", " ", "a/b", "a b", ".hidden", "a:b", "a\nb", "<script>", "x" * 251, "a\u202eb"])
def test_names_that_would_not_do_are_refused(root: TestClient, name: str) -> None:
    assert root.post(USERS, json={"username": name}).status_code == 422
    assert [user["username"] for user in root.get(USERS).json()["items"]] == ["root"]


@pytest.mark.parametrize(
    "body",
    [
        {"username": "ada", "password": "too short"},
        {"username": "ada", "password": "abababababab"},
        {"username": "ada_of_the_hills", "password": "ADA_of_the_hills"},
        {"username": "ada", "role": "king"},
        {"username": "ada", "grants": [{"pattern": " ", "role": "viewer"}]},
        {"username": "ada", "grants": [{"pattern": "a", "role": "viewer"}, {"pattern": "a", "role": "editor"}]},
        {"username": "ada", "display_name": "a\nb"},
        {"username": "ada", "admin": True},
    ],
)
def test_users_that_make_no_sense_are_refused(root: TestClient, body: dict[str, object]) -> None:
    assert root.post(USERS, json=body).status_code == 422
    assert root.get(f"{USERS}/ada").status_code == 404


def test_the_last_active_administrator_stays_one(root: TestClient, ops: Ops) -> None:
    add(ops, "second", Role.ADMIN)
    root.patch(f"{USERS}/second", json={"active": False})
    for change in ({"role": "operator"}, {"no_role": True}, {"active": False}):
        answer = root.patch(f"{USERS}/root", json=change)
        assert answer.status_code == 409
        assert "last active administrator" in answer.json()["detail"]
    assert root.delete(f"{USERS}/root").status_code == 409
    assert root.get("/api/v1/session").json()["role"] == "admin"
    assert root.patch(f"{USERS}/second", json={"active": True}).status_code == 200
    assert root.patch(f"{USERS}/root", json={"role": "viewer"}).status_code == 200
    assert root.get(USERS).status_code == 403


def test_a_role_that_was_changed_counts_at_once(app: FastAPI, root: TestClient, ops: Ops) -> None:
    add(ops, "ada", Role.VIEWER)
    ada = log_in(browser(app), "ada")
    assert ada.get("/api/v1/variables").status_code == 403
    root.patch(f"{USERS}/ada", json={"role": "operator"})
    assert ada.get("/api/v1/variables").status_code == 200
    root.patch(f"{USERS}/ada", json={"no_role": True, "grants": [{"pattern": "weath*", "role": "viewer"}]})
    assert ada.get("/api/v1/variables").status_code == 403
    assert ada.get("/api/v1/dags/weather").status_code == 200
    assert ada.get("/api/v1/dags/flights").status_code == 404


def test_who_is_made_inactive_or_deleted_is_out_at_once(app: FastAPI, root: TestClient, ops: Ops) -> None:
    for name in ("ada", "bob"):
        add(ops, name)
    clients = [log_in(browser(app), name) for name in ("ada", "bob")]
    tokens = [token(ops, name) for name in ("ada", "bob")]
    root.patch(f"{USERS}/ada", json={"active": False})
    root.delete(f"{USERS}/bob")
    for client, text in zip(clients, tokens, strict=True):
        assert client.get("/api/v1/session").status_code == 401
        assert browser(app).get("/api/v1/session", headers=bearer(text)).status_code == 401
    assert root.post(f"{USERS}/ada/link").status_code == 422
    # Someone new of an old name gets nothing of what the old one had.
    add(ops, "bob", Role.ADMIN)
    assert clients[1].get("/api/v1/session").status_code == 401
    assert browser(app).get("/api/v1/session", headers=bearer(tokens[1])).status_code == 401


def test_a_password_that_an_administrator_gives_ends_sessions_but_not_tokens(
    app: FastAPI, root: TestClient, ops: Ops
) -> None:
    add(ops, "ada")
    ada, text = log_in(browser(app), "ada"), token(ops, "ada")
    assert root.patch(f"{USERS}/ada", json={"password": "a new long password"}).status_code == 200
    assert ada.get("/api/v1/session").status_code == 401
    assert browser(app).get("/api/v1/session", headers=bearer(text)).status_code == 200
    log_in(browser(app), "ada", "a new long password")


def test_a_link_lets_its_user_in(app: FastAPI, root: TestClient, ops: Ops) -> None:
    add(ops, "ada")
    answer = root.post(f"{USERS}/ada/link")
    path, _, code = answer.json()["path"].partition("#code=")
    assert path == "/login"
    assert browser(app).post("/api/v1/session", json={"code": code}).json()["username"] == "ada"
    assert root.post(f"{USERS}/nobody/link").status_code == 404
