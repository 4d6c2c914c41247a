"""Logging in and out: passwords, one-time links, sessions and how long they last, CSRF, and who guesses."""

import contextlib
import json
import time
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient

from airloom.api.app import make_app
from airloom.api.problems import Refused
from airloom.api.security.known import Guards, Known
from airloom.api.security.throttle import Throttle
from airloom.api.state import Api
from airloom.model.access import Role
from airloom.operations import auditing, users
from airloom.operations.ops import Ops
from airloom.operations.users import UserChange
from airloom.sections import Settings
from airloom.store import accounts
from airloom.store.accounts import AccountRow
from airloom.store.audit import AuditFilter
from airloom.store.database import Connection
from tests.api.logins import PASSWORD, add, at, bearer, browser, log_in, token, with_settings

SESSION = "/api/v1/session"
DAY = 86400.0


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def app(api: Api, ops: Ops) -> FastAPI:
    """The API with an editor, ada."""
    add(ops, "ada", Role.EDITOR)
    return make_app(api)


def is_logged_in(client: TestClient) -> bool:
    return client.get(SESSION).status_code == 200


def code_of(ops: Ops, username: str) -> str:
    return users.make_link(ops, username).code


def test_a_password_logs_in_and_logging_out_ends_it(app: FastAPI) -> None:
    client = browser(app)
    assert not is_logged_in(client)
    log_in(client, "ada")
    shown = client.get(SESSION).json()
    assert (shown["username"], shown["role"], shown["has_password"], shown["kind"]) == (
        "ada",
        "editor",
        True,
        "session",
    )
    thief = browser(app)
    thief.cookies = client.cookies
    assert client.delete(SESSION).status_code == 204
    assert not is_logged_in(client)
    assert not is_logged_in(thief)


def test_the_first_link_logs_the_first_administrator_in_once(api: Api, ops: Ops) -> None:
    app = make_app(api)
    address, _, code = users.first_link(ops, "http://127.0.0.1:8080").partition("#code=")
    assert address == "http://127.0.0.1:8080/login"
    answer = browser(app).post(SESSION, json={"code": code})
    assert (answer.status_code, answer.json()["role"], answer.json()["has_password"]) == (200, "admin", False)
    again = browser(app).post(SESSION, json={"code": code})
    assert again.status_code == 401
    assert "used already" in again.json()["detail"]


def test_a_link_is_good_for_a_day_and_a_newer_one_ends_it(app: FastAPI, api: Api, ops: Ops) -> None:
    first, second = code_of(ops, "ada"), code_of(ops, "ada")
    assert browser(app).post(SESSION, json={"code": first}).status_code == 401
    tomorrow = make_app(at(api, time.time() + DAY + 1))
    assert browser(tomorrow).post(SESSION, json={"code": second}).status_code == 401
    assert browser(app).post(SESSION, json={"code": second}).status_code == 200


def test_a_wrong_password_and_an_unknown_user_are_answered_alike(app: FastAPI, ops: Ops) -> None:
    wrong = browser(app).post(SESSION, json={"username": "ada", "password": "not the password"})
    unknown = browser(app).post(SESSION, json={"username": "hunter2 by mistake", "password": PASSWORD})
    assert (wrong.status_code, wrong.json()) == (unknown.status_code, unknown.json())
    assert wrong.status_code == 401
    rows = auditing.list_audit(ops, AuditFilter(action="login.failed"), 10)
    assert [(row.by, row.subject, row.detail) for row in rows] == [
        ("-", None, "unknown user"),
        ("-", "ada", "wrong password"),
    ]


@pytest.mark.parametrize("body", [{}, {"username": "ada"}, {"password": PASSWORD}, {"code": ""}])
def test_half_a_login_is_no_login(app: FastAPI, body: dict[str, str]) -> None:
    assert browser(app).post(SESSION, json=body).status_code == 422


def test_each_login_is_a_new_session_whatever_the_browser_had_before(app: FastAPI) -> None:
    client = browser(app)
    client.cookies.set("airloom_session_8080", "0123456789abcdef_planted", domain="127.0.0.1", path="/")
    log_in(client, "ada")
    first = client.cookies["airloom_session_8080"]
    assert "planted" not in first
    log_in(client, "ada")
    assert client.cookies["airloom_session_8080"] != first


def test_the_cookie_is_for_the_server_alone(app: FastAPI, api: Api) -> None:
    answer = browser(app).post(SESSION, json={"username": "ada", "password": PASSWORD})
    words = answer.headers["set-cookie"].lower().split("; ")
    assert words[0].startswith("airloom_session_8080=")
    assert {"httponly", "samesite=lax", "path=/"} <= set(words)
    assert "secure" not in words
    for other in (make_app(api), make_app(with_settings(api, "api", base_url="https://127.0.0.1:8080"))):
        address = "https://127.0.0.1:8080" if other.state.api is api else "http://127.0.0.1:8080"
        answer = browser(other, address).post(SESSION, json={"username": "ada", "password": PASSWORD})
        words = answer.headers["set-cookie"].lower().split("; ")
        assert words[0].startswith("__host-airloom_session=")
        assert {"httponly", "samesite=lax", "path=/", "secure"} <= set(words)


def test_a_session_lasts_while_it_is_used_but_not_for_ever(app: FastAPI, api: Api) -> None:
    client = log_in(browser(app), "ada")
    began = time.time()

    def lasts_at(days: float) -> bool:
        later = browser(make_app(at(api, began + days * DAY)))
        later.cookies = client.cookies
        return is_logged_in(later)

    assert [lasts_at(day) for day in (6, 12, 18, 24, 29)] == [True] * 5
    assert not lasts_at(30.01)
    other = log_in(browser(app), "ada")
    idle = browser(make_app(at(api, time.time() + 7 * DAY + 1)))
    idle.cookies = other.cookies
    answer = idle.get(SESSION)
    assert answer.status_code == 401
    assert "your login has ended" in answer.json()["detail"]


def test_a_change_needs_the_csrf_token_of_its_own_session(app: FastAPI) -> None:
    client, other = log_in(browser(app), "ada"), log_in(browser(app), "ada")
    body = {"name": "export"}
    for wrong in ("", "0" * 64, "\xff", other.headers["X-CSRF-Token"]):
        answer = client.post("/api/v1/tokens", json=body, headers={"X-CSRF-Token": wrong.encode("latin-1")})
        assert answer.status_code == 403
        assert "X-CSRF-Token" in answer.json()["detail"]
    assert client.post("/api/v1/tokens", json=body).status_code == 201
    # One who is logged in can log in again without it.
    del client.headers["X-CSRF-Token"]
    assert client.post(SESSION, json={"username": "ada", "password": PASSWORD}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_change_that_another_sites_page_sends_is_refused(app: FastAPI, headers: dict[str, str]) -> None:
    client = log_in(browser(app), "ada")
    answer = client.post("/api/v1/tokens", json={"name": "export"}, headers=headers)
    assert answer.status_code == 403
    assert "another site" in answer.json()["detail"]
    login = browser(app).post(SESSION, json={"username": "ada", "password": PASSWORD}, headers=headers)
    assert login.status_code == 403
    assert client.get(SESSION, headers=headers).status_code == 200


def test_pages_of_ours_are_not_taken_for_anothers(app: FastAPI, api: Api) -> None:
    own = {"Origin": "http://127.0.0.1:8080", "Sec-Fetch-Site": "same-origin"}
    assert log_in(browser(app), "ada").post("/api/v1/tokens", json={"name": "a"}, headers=own).status_code == 201
    behind = browser(make_app(with_settings(api, "api", base_url="https://air.example")), "https://127.0.0.1:8080")
    login = {"username": "ada", "password": PASSWORD}
    assert behind.post(SESSION, json=login, headers={"Origin": "https://air.example"}).status_code == 200


def test_a_token_needs_neither_cookie_nor_csrf_token(app: FastAPI, ops: Ops) -> None:
    client = browser(app)
    text = token(ops, "ada")
    shown = client.get(SESSION, headers=bearer(text)).json()
    assert (shown["username"], shown["kind"], shown["csrf_token"]) == ("ada", "token", None)
    note = client.put("/api/v1/dags/flights/runs/none/note", json={"text": "x"}, headers=bearer(text))
    assert note.status_code == 404


@pytest.mark.parametrize("change", ["", "alm_", "alm_x_y", "alm_%_%", "Basic YTpi", "é"])
def test_what_is_no_token_is_refused_with_a_word_on_how_to_get_one(app: FastAPI, change: str) -> None:
    client = log_in(browser(app), "ada")
    answer = client.get(SESSION, headers={"Authorization": f"Bearer {change}".encode()})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="Airloom", error="invalid_token"'
    assert "airloom tokens add" in answer.json()["detail"]
    assert browser(app).get(SESSION).headers["www-authenticate"].startswith("Bearer")


def test_one_letter_less_is_another_token(app: FastAPI, ops: Ops) -> None:
    text = token(ops, "ada")
    client = browser(app)
    for wrong in (
        text[:-1],
        text.replace("alm_", "alm_0", 1),
        text[:10] + ("0" if text[10] != "0" else "1") + text[11:],
    ):
        assert client.get(SESSION, headers=bearer(wrong)).status_code == 401
    assert client.get(SESSION, headers=bearer(text)).status_code == 200


def test_what_was_revoked_elsewhere_ends_within_two_seconds(app: FastAPI, ops: Ops) -> None:
    clock = Clock()
    app.state.guards = Guards(known=Known(clock))
    client = log_in(browser(app), "ada")
    text = token(ops, "ada")
    assert is_logged_in(client)
    assert browser(app).get(SESSION, headers=bearer(text)).status_code == 200
    # By another process: this one hears nothing of it.
    users.change_user(ops, "ada", UserChange(active=False))
    clock.now += 2.0
    assert not is_logged_in(client)
    assert browser(app).get(SESSION, headers=bearer(text)).status_code == 401
    users.change_user(ops, "ada", UserChange(active=True))
    clock.now += 2.0
    assert not is_logged_in(client)
    assert browser(app).get(SESSION, headers=bearer(text)).status_code == 401


def test_a_page_that_asks_for_much_costs_one_look(app: FastAPI, ops: Ops, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    app.state.guards = Guards(known=Known(clock))
    client = log_in(browser(app), "ada")
    looks: list[str] = []
    look = accounts.get_account

    def counted(conn: Connection, username: str) -> AccountRow | None:
        looks.append(username)
        return look(conn, username)

    monkeypatch.setattr(accounts, "get_account", counted)
    for _ in range(5):
        assert client.get("/api/v1/tags").status_code == 200
    assert len(looks) == 1


def test_an_inactive_user_cannot_log_in(app: FastAPI, ops: Ops) -> None:
    code = code_of(ops, "ada")
    users.change_user(ops, "ada", UserChange(active=False))
    assert browser(app).post(SESSION, json={"username": "ada", "password": PASSWORD}).status_code == 401
    assert browser(app).post(SESSION, json={"code": code}).status_code == 401


def test_a_new_password_ends_all_other_sessions(app: FastAPI) -> None:
    here, elsewhere = log_in(browser(app), "ada"), log_in(browser(app), "ada")
    new = "another long password"
    assert here.put(f"{SESSION}/password", json={"old": "wrong", "new": new}).status_code == 422
    assert here.put(f"{SESSION}/password", json={"old": PASSWORD, "new": "short"}).status_code == 422
    assert here.put(f"{SESSION}/password", json={"old": PASSWORD, "new": "aaaaaaaaaaaaaaa"}).status_code == 422
    assert is_logged_in(elsewhere)
    assert here.put(f"{SESSION}/password", json={"old": PASSWORD, "new": new}).status_code == 204
    assert is_logged_in(here)
    assert not is_logged_in(elsewhere)
    log_in(browser(app), "ada", new)
    assert browser(app).post(SESSION, json={"username": "ada", "password": PASSWORD}).status_code == 401


def test_who_came_by_a_link_can_set_a_first_password(api: Api, ops: Ops) -> None:
    app = make_app(api)
    users.ensure_first_admin(ops)
    client = browser(app)
    answer = client.post(SESSION, json={"code": code_of(ops, "admin")})
    csrf = {"X-CSRF-Token": answer.json()["csrf_token"]}
    assert client.put(f"{SESSION}/password", json={"new": PASSWORD}, headers=csrf).status_code == 204
    log_in(browser(app), "admin")
    assert users.first_link(ops, "http://here:1") == "http://here:1/"


def test_guessing_a_password_takes_longer_and_longer(app: FastAPI, ops: Ops) -> None:
    clock = Clock()
    app.state.guards = Guards(throttle=Throttle(clock))
    client = browser(app)

    def attempt(password: str) -> int:
        answer = client.post(SESSION, json={"username": "ada", "password": password})
        if answer.status_code == 429:
            assert 1 <= int(answer.headers["retry-after"]) <= 31
        return answer.status_code

    assert [attempt(f"guess number {n}") for n in range(6)] == [401] * 5 + [429]
    # Not even the right one is tried now.
    assert attempt(PASSWORD) == 429
    # A link is another way in.
    assert client.post(SESSION, json={"code": code_of(ops, "ada")}).status_code == 200
    clock.now += 1.1
    assert [attempt("wrong again"), attempt(PASSWORD)] == [401, 429]
    clock.now += 1.1
    assert attempt(PASSWORD) == 429
    clock.now += 1.1
    assert [attempt(PASSWORD), attempt("wrong"), attempt(PASSWORD)] == [200, 401, 200]


def test_a_flood_of_logins_leaves_threads_for_the_rest(app: FastAPI) -> None:
    guards: Guards = app.state.guards
    client = log_in(browser(app), "ada")
    with contextlib.ExitStack() as busy:
        for _ in range(8):
            busy.enter_context(guards.throttle.turn())
        answer = browser(app).post(SESSION, json={"username": "ada", "password": PASSWORD})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert is_logged_in(client)
    log_in(browser(app), "ada")


def test_a_new_password_that_will_not_do_counts_as_no_guess(app: FastAPI) -> None:
    client = log_in(browser(app), "ada")
    for _ in range(8):
        answer = client.put(f"{SESSION}/password", json={"old": PASSWORD, "new": "aaaaaaaaaaaaaaa"})
        assert (answer.status_code, "easy to guess" in answer.text) == (422, True)
    log_in(browser(app), "ada")


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800", "\U0001f600" * 50, "'; DROP TABLE account; --"])
def test_strange_names_and_codes_are_wrong_ones_and_no_fault(app: FastAPI, text: str) -> None:
    for body in ({"username": text, "password": PASSWORD}, {"username": "ada", "password": text}, {"code": text}):
        answer = browser(app).post(SESSION, content=json.dumps(body), headers={"Content-Type": "application/json"})
        assert answer.status_code in (401, 422), answer.text


@pytest.mark.parametrize("body", ["[" * 400_000, "9" * 10_000, '{"code": ' * 100_000, "\xff\xfe", "", "null"])
def test_bodies_that_are_no_login_are_refused_whole(app: FastAPI, body: str) -> None:
    answer = browser(app).post(SESSION, content=body.encode("latin-1"), headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text


def test_one_address_cannot_try_one_user_after_the_other() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for number in range(20):
        throttle.attempt(f"user{number}", f"2001:db8:1:2::{number:x}")
    with pytest.raises(Refused) as caught:
        throttle.attempt("user20", "2001:db8:1:2:ffff::1")
    assert caught.value.status == 429
    throttle.attempt("user20", "2001:db8:1:3::1")
    # Someone else's success at the same address does not open it again.
    throttle.succeeded("user3", "2001:db8:1:2::3")
    throttle.attempt("user3", "2001:db8:1:2::3")
    with pytest.raises(Refused):
        throttle.attempt("user4", "2001:db8:1:2::4")


def test_waits_grow_to_a_bound_and_are_forgotten_in_the_end() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    waits = []
    for _ in range(12):
        try:
            throttle.attempt("ada", None)
        except Refused as refused:
            waits.append(int(refused.headers["Retry-After"]))
            clock.now += waits[-1]
            throttle.attempt("ada", None)
    assert waits == [2, 3, 5, 9, 17, 31, 31]
    clock.now += 3601.0
    for _ in range(5):
        throttle.attempt("ada", None)


def test_a_flood_of_names_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airloom.api.security.throttle._MOST", 50)
    throttle = Throttle(Clock())
    for number in range(500):
        throttle.attempt(f"user{number}", None)
    assert len(throttle._counts) == 50


def test_no_secret_is_in_the_database_or_in_the_audit_log(app: FastAPI, ops: Ops, settings: Settings) -> None:
    client = log_in(browser(app), "ada")
    link, text = code_of(ops, "ada"), token(ops, "ada")
    secrets = [PASSWORD, *(part.rpartition("_")[2] for part in (client.cookies["airloom_session_8080"], link, text))]
    files: list[Path] = list(settings.core.home.glob("airloom.db*"))
    assert files
    content = b"".join(file.read_bytes() for file in files)
    assert [secret for secret in secrets if secret.encode() in content] == []


def test_a_hash_of_older_parameters_is_made_anew_at_the_next_login(app: FastAPI, ops: Ops) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    with ops.db.transaction() as conn:
        accounts.set_password(conn, "ada", weak)
    log_in(browser(app), "ada")
    stored = users.get_user(ops, "ada").password
    assert stored is not None
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    log_in(browser(app), "ada")
    assert users.get_user(ops, "ada").password == stored
