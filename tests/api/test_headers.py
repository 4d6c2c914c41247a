"""What every answer tells the browser, and the files of the web UI."""

import gzip
import os
import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from airloom.api import static
from airloom.api.app import make_app
from airloom.api.state import Api
from airloom.api.static import Pages
from tests.api.asgi import Begun, begin, json_body
from tests.api.logins import ADDRESS, with_settings

PAGE = '<html><meta name="csp-nonce" content="__CSP_NONCE__"><script src="/assets/app-1a2b.js"></script></html>'


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A folder as the UI's build leaves it, beside a file that is none of its."""
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "assets" / "app-1a2b.js").write_text("run()")
    (folder / "assets" / "app-1a2b.js.gz").write_bytes(gzip.compress(b"run()"))
    (folder / "assets" / "app-1a2b.js.br").write_bytes(b"as if by brotli")
    (tmp_path / "secret.key").write_text("a secret")
    return folder


@pytest.fixture
def app(api: Api, build: Path, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(static.Pages.__init__, "__defaults__", (build,))
    return make_app(api)


def policy_of(answer: Begun) -> dict[str, str]:
    parts = answer.headers["content-security-policy"].split(";")
    return {name: rest for name, _, rest in (part.strip().partition(" ") for part in parts)}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/login", 200),
        ("GET", "/api/v1/session", 401),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/nothing", 404),
        ("DELETE", "/api/v1/login", 405),
        ("POST", "/api/v1/session", 422),
        ("GET", "/", 200),
        ("GET", "/assets/gone.js", 404),
        ("GET", "/a/../b", 400),
    ],
)
def test_every_answer_carries_the_headers_that_guard_it(app: FastAPI, method: str, path: str, status: int) -> None:
    answer = begin(app, method, path, **(json_body([]) if method == "POST" else {}))
    assert answer.status == status
    headers = answer.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in headers
    policy = policy_of(answer)
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in str(policy)


def test_an_answer_about_a_defect_of_ours_is_guarded_too_and_tells_nothing(app: FastAPI) -> None:
    def fail() -> None:
        raise RuntimeError("the password is hunter2")

    app.add_api_route("/health-of-the-test", fail)
    answer = TestClient(app, base_url=ADDRESS, raise_server_exceptions=False).get("/health-of-the-test")
    assert answer.status_code == 500
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "hunter2" not in answer.text


def test_over_https_browsers_are_told_to_stay_there(app: FastAPI, api: Api) -> None:
    assert "strict-transport-security" in begin(app, "GET", "/api/v1/login", scheme="https").headers
    behind = make_app(with_settings(api, "api", base_url="https://127.0.0.1"))
    assert "strict-transport-security" in begin(behind, "GET", "/api/v1/login").headers


def test_the_page_is_given_for_every_path_with_a_nonce_of_its_own(app: FastAPI) -> None:
    nonces = set()
    for path in ("/", "/dags", "/dags/flights/runs/x", "/index.html", "/login"):
        answer = begin(app, "GET", path)
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        found = re.search(rb'content="([^"]+)"', answer.body)
        assert found is not None
        nonce = found[1].decode()
        policy = policy_of(answer)
        assert policy["style-src"] == f"'self' 'nonce-{nonce}'"
        assert policy["script-src"] == "'self'"
        nonces.add(nonce)
    assert len(nonces) == 5


def test_files_of_the_build_are_kept_by_browsers_and_come_compressed(app: FastAPI) -> None:
    path = "/assets/app-1a2b.js"
    plain = begin(app, "GET", path)
    assert (plain.body, plain.headers["content-type"]) == (b"run()", "text/javascript; charset=utf-8")
    assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert plain.headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in plain.headers
    both = begin(app, "GET", path, headers={"accept-encoding": "gzip, deflate, br;q=0.9"})
    assert (both.body, both.headers["content-encoding"]) == (b"as if by brotli", "br")
    zipped = begin(app, "GET", path, headers={"accept-encoding": "gzip"})
    assert (gzip.decompress(zipped.body), zipped.headers["content-encoding"]) == (b"run()", "gzip")
    assert zipped.headers["content-type"] == "text/javascript; charset=utf-8"
    assert begin(app, "GET", "/favicon.svg").headers["cache-control"] == "public, max-age=3600"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../secret.key",
        "/assets/..%2f..%2fsecret.key",
        "//secret.key",
        "/./secret.key",
        "/assets//../../secret.key",
    ],
)
def test_no_path_leads_out_of_the_build(app: FastAPI, path: str) -> None:
    assert b"a secret" not in begin(app, "GET", path).body


def test_nothing_can_be_sent_to_a_page(app: FastAPI) -> None:
    answer = begin(app, "POST", "/dags", **json_body({}))
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_a_new_build_is_seen_without_a_restart(app: FastAPI, build: Path) -> None:
    assert begin(app, "GET", "/").status == 200
    (build / "assets" / "app-3c4d.js").write_text("run2()")
    (build / "index.html").write_text("<html>new</html>")
    os.utime(build / "index.html", (1.0, 1.0))
    assert begin(app, "GET", "/").body == b"<html>new</html>"
    assert begin(app, "GET", "/assets/app-3c4d.js").body == b"run2()"


def test_without_a_build_the_page_says_how_to_make_it(api: Api, tmp_path: Path) -> None:
    answer = begin(Pages(make_app(api), tmp_path / "nothing"), "GET", "/")
    assert answer.status == 404
    assert b"make ui" in answer.body
