"""Logging in and out: passwords, one-time links, sessions, CSRF, tokens, and who guesses."""

from fastapi import FastAPI
from fastapi.testclient import TestClient
import pytest

from airloom.api.app import make_app
from airloom.api.state import Api
from airloom.model.access import Role
from airloom.operations import users
from airloom.operations.ops import Ops
from tests.api.logins import add, browser, log_in


@pytest.fixture
def app(api: Api) -> FastAPI:
    return make_app(api)


def test_a_password_logs_in_and_logging_out_ends_it(app: FastAPI, ops: Ops) -> None:
    add(ops, "ada", Role.EDITOR)
    client = browser(app)
    assert client.get("/api/v1/session").status_code == 401
    log_in(client, "ada")
    assert client.get("/api/v1/session").json()["username"] == "ada"
    secret = client.cookies["airloom_session"]
    assert client.delete("/api/v1/session").status_code == 204
    client.cookies["airloom_session"] = secret
    assert client.get("/api/v1/session").status_code == 401


def test_the_first_link_logs_the_first_administrator_in_once(app: FastAPI, ops: Ops) -> None:
    link = users.first_link(ops, "http://127.0.0.1:8080")
    code = link.partition("#code=")[2]
    answer = browser(app).post("/api/v1/session", json={"code": code})
    assert (answer.status_code, answer.json()["role"]) == (200, "admin")
    again = browser(app).post("/api/v1/session", json={"code": code})
    assert again.status_code == 401
    assert "used already" in again.json()["detail"]
