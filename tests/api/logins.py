"""Users with real logins and tokens, for tests of what guards the API."""

import dataclasses
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.testclient import TestClient

from airloom.api.state import Api
from airloom.model.access import Grant, Role
from airloom.operations import credentials, users
from airloom.operations.ops import Ops
from airloom.operations.users import UserChange

ADDRESS = "http://127.0.0.1:8080"
PASSWORD = "correct horse battery"


def add(ops: Ops, username: str, role: Role | None = Role.VIEWER, *grants: Grant, password: str = PASSWORD) -> None:
    """Make a user with that password."""
    users.add_user(ops, username, UserChange(role=role, grants=grants, password=password))


def token(ops: Ops, username: str, **narrowed: Any) -> str:
    """A new API token of a user."""
    return credentials.make_token(ops, username, "a test's", **narrowed).text


def with_settings(api: Api, section: str, **changes: Any) -> Api:
    """The same API with other settings."""
    new = msgspec.structs.replace(getattr(api.settings, section), **changes)
    return dataclasses.replace(api, settings=msgspec.structs.replace(api.settings, **{section: new}))


def at(api: Api, now: float) -> Api:
    """The same API at another time."""
    return dataclasses.replace(api, now=lambda: now, ops=dataclasses.replace(api.ops, now=lambda: now))


def browser(app: FastAPI, address: str = ADDRESS) -> TestClient:
    """A client with cookies of its own, as nobody yet."""
    return TestClient(app, base_url=address, follow_redirects=False)


def log_in(client: TestClient, username: str, password: str = PASSWORD) -> TestClient:
    """Log the client in; from then on it sends the CSRF token as the UI does."""
    answer = client.post("/api/v1/session", json={"username": username, "password": password})
    assert answer.status_code == 200, answer.text
    client.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
    return client


def bearer(text: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {text}"}
