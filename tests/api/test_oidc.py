"""Login by OpenID Connect, with a provider that the test runs: who comes in, as what, and who does not."""

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import RSAKey

from airloom.api.app import make_app
from airloom.api.state import Api
from airloom.model.access import Grant, Role
from airloom.operations import auditing, users
from airloom.operations.ops import Ops
from airloom.operations.users import UserChange
from airloom.sections import OidcSection
from airloom.store.audit import AuditFilter
from tests.api.logins import add, at, browser, with_settings
from tests.api.provider import CLIENT, SECRET, TestProvider, signed_by_public_key, unsigned
from tests.api.served import served

START = "/api/v1/session/oidc"


@pytest.fixture
def provider() -> Iterator[TestProvider]:
    """A provider, served at a port of its own."""
    provider = TestProvider()
    with served(provider.app()) as address:
        provider.issuer = address
        yield provider


def section_of(provider: TestProvider, **changes: Any) -> dict[str, Any]:
    given = {
        "issuer": provider.issuer,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "editors": ("data",),
        "name": "Corp",
    }
    return given | changes


@pytest.fixture
def section(provider: TestProvider) -> dict[str, Any]:
    """The settings that name it."""
    return section_of(provider)


@pytest.fixture
def oidc(api: Api, section: dict[str, Any]) -> Api:
    return with_settings(api, "oidc", **section)


@pytest.fixture
def app(oidc: Api) -> FastAPI:
    return make_app(oidc)


def come_back(client: TestClient, start: str = START) -> httpx.Response:
    """Go to the provider and come back, as a browser does; the answer to that."""
    away = client.get(start)
    assert away.status_code == 303, away.text
    back = httpx.get(away.headers["location"])
    return client.get(back.headers["location"])


def refused(answer: httpx.Response) -> str:
    assert answer.status_code == 303
    assert "airloom_session" not in answer.headers.get("set-cookie", "")
    address = urlsplit(answer.headers["location"])
    assert address.path == "/login"
    return parse_qs(address.query)["refused"][0]


def test_the_login_page_can_name_the_provider(app: FastAPI, api: Api) -> None:
    assert browser(app).get("/api/v1/login").json() == {"password": True, "oidc": "Corp"}
    assert browser(make_app(api)).get("/api/v1/login").json() == {"password": True, "oidc": None}
    assert browser(make_app(api)).get(START).status_code == 404


def test_who_comes_from_the_provider_is_made_a_user_and_logged_in(
    app: FastAPI, ops: Ops, provider: TestProvider
) -> None:
    client = browser(app)
    answer = come_back(client, f"{START}?next=/dags/flights%3Ftab%3Dgrid")
    assert (answer.status_code, answer.headers["location"]) == (303, "/dags/flights?tab=grid")
    shown = client.get("/api/v1/session").json()
    assert (shown["username"], shown["display_name"], shown["role"], shown["has_password"]) == (
        "ada",
        "Ada",
        "editor",
        False,
    )
    assert users.get_user(ops, "ada").identity == f"{provider.issuer}#42"
    assert [row.action for row in auditing.list_audit(ops, AuditFilter(by="ada"), 10)] == ["login", "user.add"]
    # Their password is the provider's.
    csrf = {"X-CSRF-Token": shown["csrf_token"]}
    change = client.put("/api/v1/session/password", json={"new": "a long new password"}, headers=csrf)
    assert change.status_code == 422


@pytest.mark.parametrize(
    "path", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/a\nb", ""]
)
def test_nobody_is_sent_to_another_site_after_the_login(app: FastAPI, path: str) -> None:
    client = browser(app)
    away = client.get(START, params={"next": path})
    back = httpx.get(away.headers["location"])
    assert client.get(back.headers["location"]).headers["location"] == "/"


def test_the_secret_can_be_sent_in_the_form_and_further_claims_asked_for(app: FastAPI, provider: TestProvider) -> None:
    provider.basic = False
    provider.person = {"sub": "42"}
    provider.user_info = {"sub": "42", "preferred_username": "bea", "groups": ["data"], "iss": "someone else"}
    client = browser(app)
    come_back(client)
    shown = client.get("/api/v1/session").json()
    assert (shown["username"], shown["role"]) == ("bea", "editor")


def test_information_about_another_subject_is_not_believed(app: FastAPI, provider: TestProvider) -> None:
    provider.person = {"sub": "42", "preferred_username": "bea"}
    provider.user_info = {"sub": "1", "groups": ["data"]}
    assert refused(come_back(browser(app))) == "no_role"


def test_groups_decide_the_role_at_each_login(app: FastAPI, ops: Ops, provider: TestProvider) -> None:
    come_back(browser(app))
    users.change_user(ops, "ada", UserChange(role=Role.ADMIN))
    client = browser(app)
    come_back(client)
    assert client.get("/api/v1/session").json()["role"] == "editor"
    provider.person["groups"] = []
    assert refused(come_back(browser(app))) == "no_role"
    # What they had before counts no more either.
    client = browser(app)
    users.change_user(ops, "ada", UserChange(grants=(Grant(pattern="weather", role=Role.VIEWER),)))
    come_back(client)
    shown = client.get("/api/v1/session").json()
    assert (shown["role"], shown["grants"]) == (None, [{"pattern": "weather", "role": "viewer"}])


def test_where_no_groups_are_set_an_administrator_decides(api: Api, ops: Ops, provider: TestProvider) -> None:
    app = make_app(with_settings(api, "oidc", **section_of(provider, editors=(), default_role="viewer")))
    client = browser(app)
    come_back(client)
    assert client.get("/api/v1/session").json()["role"] == "viewer"
    users.change_user(ops, "ada", UserChange(role=Role.OPERATOR))
    come_back(client)
    assert client.get("/api/v1/session").json()["role"] == "operator"


@pytest.mark.parametrize(
    ("claim", "value", "role"),
    [
        ("groups", ["ops", "data"], "operator"),
        ("groups", "data", "editor"),
        ("groups", [["ops"], 7, None], None),
        ("resource.roles", {"resource": {"roles": ["ops"]}}, "operator"),
        ("https://air.example/roles", {"https://air.example/roles": ["data"]}, "editor"),
        ("resource.roles", {"resource": "ops"}, None),
    ],
)
def test_the_groups_are_where_the_setting_says(
    api: Api, provider: TestProvider, claim: str, value: Any, role: str | None
) -> None:
    del provider.person["groups"]
    provider.person |= value if isinstance(value, dict) else {claim: value}
    given = section_of(provider, role_claim=claim, operators=("ops",))
    client = browser(make_app(with_settings(api, "oidc", **given)))
    answer = come_back(client)
    if role is None:
        assert refused(answer) == "no_role"
    else:
        assert client.get("/api/v1/session").json()["role"] == role


def test_a_user_of_the_same_name_is_never_taken_over(app: FastAPI, ops: Ops, provider: TestProvider) -> None:
    add(ops, "ada", Role.ADMIN)
    assert refused(come_back(browser(app))) == "name_taken"
    assert users.get_user(ops, "ada").identity is None
    provider.person |= {"sub": "43", "preferred_username": "bea"}
    come_back(browser(app))
    # Another person of the provider who calls themselves so.
    provider.person["sub"] = "44"
    assert refused(come_back(browser(app))) == "name_taken"


def test_a_renamed_person_is_the_same_user_and_an_inactive_one_stays_out(
    app: FastAPI, ops: Ops, provider: TestProvider
) -> None:
    come_back(browser(app))
    provider.person |= {"preferred_username": "ada.married", "name": "Ada M."}
    client = browser(app)
    come_back(client)
    shown = client.get("/api/v1/session").json()
    assert (shown["username"], shown["display_name"]) == ("ada", "Ada M.")
    users.change_user(ops, "ada", UserChange(active=False))
    assert refused(come_back(browser(app))) == "not_active"


def test_names_are_made_fit(app: FastAPI, provider: TestProvider) -> None:
    provider.person["preferred_username"] = "CORP\\Ada <Lovelace>/x"
    client = browser(app)
    come_back(client)
    assert client.get("/api/v1/session").json()["username"] == "CORP-Ada-Lovelace-x"


def other_key(provider: TestProvider) -> Callable[[dict[str, Any]], str]:
    other = RSAKey.generate_key(2048, {"kid": "first"})
    return lambda claims: jwt.encode({"alg": "RS256", "kid": "first"}, claims, other)


def by_the_public_key(provider: TestProvider) -> Callable[[dict[str, Any]], str]:
    return lambda claims: signed_by_public_key(provider, claims)


@pytest.mark.parametrize(
    "forger", [other_key, by_the_public_key, lambda provider: unsigned, lambda provider: lambda claims: "x.y"]
)
def test_tokens_that_the_provider_did_not_sign_are_refused(
    app: FastAPI, ops: Ops, provider: TestProvider, forger: Callable[[TestProvider], Callable[[dict[str, Any]], str]]
) -> None:
    provider.sign = forger(provider)
    assert refused(come_back(browser(app))) == "failed"
    assert users.list_users(ops) == []


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://other.example"},
        {"aud": "another client"},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"aud": [CLIENT, "another"]},
        {"azp": "another"},
        {"exp": 1},
        {"exp": None},
        {"iat": 9999999999},
        {"nonce": "of another login"},
        {"nonce": None},
        {"sub": ""},
        {"sub": None},
        {"sub": 42},
    ],
)
def test_tokens_for_others_or_of_another_time_are_refused(
    app: FastAPI, ops: Ops, provider: TestProvider, change: dict[str, Any]
) -> None:
    provider.claims = lambda claims: {name: value for name, value in (claims | change).items() if value is not None}
    assert refused(come_back(browser(app))) == "failed"
    assert users.list_users(ops) == []


def test_a_login_belongs_to_the_browser_that_began_it(app: FastAPI, oidc: Api) -> None:
    client = browser(app)
    away = client.get(START)
    back = httpx.get(away.headers["location"]).headers["location"]
    assert refused(browser(app).get(back)) == "expired"
    other = browser(app)
    other.get(START)
    assert refused(other.get(back)) == "expired"
    assert refused(client.get(f"{START}/callback?code=x")) == "expired"
    late = browser(make_app(at(oidc, time.time() + 601)))
    late.cookies = client.cookies
    assert refused(late.get(back)) == "expired"
    client.cookies.set("airloom_oidc", "forged", domain="127.0.0.1", path=START)
    assert refused(client.get(back)) == "expired"


def test_a_code_is_good_once(app: FastAPI) -> None:
    client = browser(app)
    back = httpx.get(client.get(START).headers["location"]).headers["location"]
    kept = client.cookies["airloom_oidc"]
    assert client.get(back).headers["location"] == "/"
    again = browser(app)
    again.cookies.set("airloom_oidc", kept, domain="127.0.0.1", path=START)
    assert refused(again.get(back)) == "failed"


def test_what_the_provider_refuses_is_told(app: FastAPI, ops: Ops) -> None:
    client = browser(app)
    state = parse_qs(urlsplit(client.get(START).headers["location"]).query)["state"][0]
    answer = client.get(f"{START}/callback", params={"state": state, "error": "access_denied"})
    assert refused(answer) == "refused"
    (row,) = auditing.list_audit(ops, AuditFilter(action="login.failed"), 10)
    assert (row.by, row.detail) == ("-", "OpenID Connect: refused")


def test_new_keys_of_the_provider_are_fetched_when_they_are_needed(
    app: FastAPI, provider: TestProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    come_back(browser(app))
    come_back(browser(app))
    assert provider.calls == ["document", "keys"]
    provider.key = RSAKey.generate_key(2048, {"kid": "second"})
    # Not at each forged token, though.
    assert refused(come_back(browser(app))) == "failed"
    monkeypatch.setattr("airloom.api.security.oidc._KEYS_AGAIN", 0.0)
    client = browser(app)
    come_back(client)
    assert client.get("/api/v1/session").status_code == 200
    assert provider.calls == ["document", "keys", "keys"]


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://other.example"},
        {"token_endpoint": 7},
        {"jwks_uri": "http://keys.example/"},
        {"token_endpoint": "ftp://x"},
    ],
)
def test_a_provider_that_cannot_be_believed_is_refused(
    app: FastAPI, provider: TestProvider, document: dict[str, Any]
) -> None:
    provider.document = document
    client = browser(app)
    answer = client.get(START)
    if answer.headers["location"].startswith(provider.issuer):
        answer = client.get(httpx.get(answer.headers["location"]).headers["location"])
    assert refused(answer) == "failed"


def test_a_provider_that_does_not_answer_does_not_stop_other_logins(api: Api, ops: Ops) -> None:
    section = OidcSection(issuer="http://127.0.0.1:1", client_id="x")
    app = make_app(with_settings(api, "oidc", issuer=section.issuer, client_id=section.client_id))
    assert refused(browser(app).get(START)) == "failed"
    plain = make_app(with_settings(api, "oidc", issuer="http://provider.example", client_id="x"))
    assert refused(browser(plain).get(START)) == "failed"
    code = users.first_link(ops, "").partition("#code=")[2]
    assert browser(app).post("/api/v1/session", json={"code": code}).status_code == 200
