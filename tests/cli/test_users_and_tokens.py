"""`airloom users` and `airloom tokens`, on the database of this machine."""

import json
import secrets
import socket
import time
from pathlib import Path

import pytest

from airloom.model.processes import ProcessKind, ProcessRow
from airloom.operations.auditing import list_audit
from airloom.operations.login import identify, log_in_by_link, log_in_by_password
from airloom.operations.ops import open_ops
from airloom.operations.remote_runners import find_runner_token
from airloom.sections import Settings
from airloom.store.audit import AuditFilter
from airloom.store.credentials import TOKEN
from airloom.store.processes import remove, renew
from tests.cli.conftest import Airloom

PASSWORD = "correct horse battery"


def test_a_user_is_added_shown_changed_and_deleted(airloom: Airloom, settings: Settings) -> None:
    added = airloom(
        "users", "add", "ada", "--role", "editor", "--grant", "operator:etl_*", "--password", stdin=f"{PASSWORD}\n"
    )
    assert (added.status, added.stdout) == (0, "user ada is added\n")
    (shown,) = json.loads(airloom("users", "list", "-o", "json").stdout)
    assert (shown["username"], shown["role"], shown["grants"], shown["login"]) == (
        "ada",
        "editor",
        ["operator:etl_*"],
        ["password"],
    )
    assert "argon2" not in str(shown)
    with open_ops(settings) as ops:
        assert log_in_by_password(ops, "ada", PASSWORD, 60.0) is not None
    assert airloom("users", "set", "ada", "--role", "none", "--grant", "none", "--name", "Ada").status == 0
    (shown,) = json.loads(airloom("users", "list", "-o", "json").stdout)
    assert (shown["role"], shown["grants"], shown["display_name"]) == (None, [], "Ada")
    assert airloom("users", "delete", "ada").status == 2
    assert airloom("users", "delete", "ada", "--yes").status == 0
    assert "nothing to show" in airloom("users", "list").stdout


def test_what_cannot_be_is_refused_with_a_status_of_its_own(airloom: Airloom, settings: Settings) -> None:
    assert airloom("users", "add", "chief", "--role", "admin").status == 0
    assert airloom("users", "add", "chief").status == 4
    assert airloom("users", "set", "chief", "--inactive").status == 4
    assert airloom("users", "set", "nobody", "--name", "x").status == 3
    for wrong in (["--role", "king"], ["--grant", "editor"], ["--grant", "king:x"], ["--grant", "editor:"]):
        refused = airloom("users", "add", "ada", *wrong)
        assert refused.status == 2
        assert refused.stderr.startswith("airloom: ")
    assert airloom("users", "add", "ada", "--password", stdin="short\n").status == 2
    assert airloom("tokens", "add", "nobody", "x").status == 3
    assert airloom("tokens", "delete", "nothing").status == 3


def test_a_link_is_printed_alone_and_lets_in(
    airloom: Airloom, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRLOOM__API__PORT", "8080")
    airloom("users", "add", "ada")
    address, _, code = airloom("users", "link", "ada").stdout.strip().partition("#code=")
    assert address == "http://127.0.0.1:8080/login"
    with open_ops(settings) as ops:
        assert log_in_by_link(ops, code, 60.0) is not None
    record = json.loads(airloom("users", "link", "ada", "-o", "json").stdout)
    assert record["username"] == "ada"
    assert record["link"].startswith(f"{address}#code=")
    monkeypatch.setenv("AIRLOOM__API__HOST", "::1")
    assert airloom("users", "link", "ada").stdout.startswith("http://[::1]:8080/login#code=")
    monkeypatch.setenv("AIRLOOM__API__BASE_URL", "https://air.example/")
    assert airloom("users", "link", "ada").stdout.startswith("https://air.example/login#code=")


def test_a_link_leads_to_the_server_that_runs_on_this_machine(airloom: Airloom, settings: Settings) -> None:
    airloom("users", "add", "ada")
    now = time.time()
    rows = [
        ProcessRow(
            id=name,
            kind=ProcessKind.API,
            host=host,
            pid=1,
            version="1",
            started_at=began,
            seen_at=seen,
            state={"clients": 0, "address": f"http://127.0.0.1:{port}"},
        )
        for name, host, began, seen, port in (
            ("old", socket.gethostname(), now - 90, now, 9001),
            ("new", socket.gethostname(), now - 60, now, 9002),
            ("gone", socket.gethostname(), now - 40, now - 30, 9003),
            ("elsewhere", "elsewhere", now - 10, now, 9004),
        )
    ]
    with open_ops(settings) as ops, ops.db.transaction() as conn:
        renew(conn, rows)
    assert airloom("users", "link", "ada").stdout.startswith("http://127.0.0.1:9002/login#code=")
    with open_ops(settings) as ops, ops.db.transaction() as conn:
        remove(conn, ["old", "new"])
    far = airloom("users", "link", "ada")
    assert far.stdout.startswith("http://127.0.0.1:9004/login#code=")
    assert "the API runs on elsewhere" in far.stderr
    with open_ops(settings) as ops, ops.db.transaction() as conn:
        remove(conn, ["elsewhere"])
    assert "no API runs now" in airloom("users", "link", "ada").stderr


def test_a_token_is_printed_alone_once(airloom: Airloom, settings: Settings) -> None:
    airloom("users", "add", "ada", "--role", "admin")
    text = airloom("tokens", "add", "ada", "export", "--role", "viewer", "--dag", "fl*", "--days", "0").stdout.strip()
    with open_ops(settings) as ops:
        identity = identify(ops, TOKEN, text.removeprefix("alm_"), 60.0)
    assert identity is not None
    assert (identity.username, identity.dags, identity.expires_at) == ("ada", ("fl*",), None)
    listed = airloom("tokens", "list", "--user", "ada", "-o", "json").stdout
    assert text.rpartition("_")[2] not in listed
    (row,) = json.loads(listed)
    assert (row["name"], row["role"], row["expires_at"]) == ("export", "viewer", None)
    assert airloom("tokens", "delete", row["id"]).status == 0
    assert json.loads(airloom("tokens", "list", "-o", "json").stdout) == []


def test_a_token_of_runners_that_was_made_elsewhere_is_registered_once(
    airloom: Airloom, settings: Settings, tmp_path: Path
) -> None:
    text = f"alm_{'0a' * 8}_{secrets.token_hex(24)}"
    (tmp_path / "token").write_text(f"{text}\n")
    command = ("tokens", "add-runner", "workers", "--from-file", str(tmp_path / "token"))
    for _ in range(2):
        registered = airloom(*command)
        assert (registered.status, registered.stdout) == (0, f"token {'0a' * 8} is registered\n")
    assert text not in airloom(*command, "-o", "json").stdout
    (row,) = json.loads(airloom("tokens", "list-runners", "-o", "json").stdout)
    assert (row["id"], row["name"]) == ("0a" * 8, "workers")
    with open_ops(settings) as ops:
        assert find_runner_token(ops, text) is not None
        entries = list_audit(ops, AuditFilter(), 10)
        assert [(entry.action, entry.detail) for entry in entries] == [("runner_token.add", "0a" * 8)]
    # Somebody else's secret with the same id is not that token, and does not take its place.
    (tmp_path / "token").write_text(f"alm_{'0a' * 8}_{secrets.token_hex(24)}")
    assert airloom(*command).status == 4
    with open_ops(settings) as ops:
        assert find_runner_token(ops, text) is not None


@pytest.mark.parametrize(
    "text",
    ["", "secret", "alm_x_y", f"alm_{'a' * 16}_{'b' * 47}", f"alt_{'a' * 16}_{'b' * 48}", f"alm_{'A' * 16}_{'b' * 48}"],
)
def test_what_is_no_token_of_runners_is_not_registered(
    airloom: Airloom, settings: Settings, tmp_path: Path, text: str
) -> None:
    (tmp_path / "token").write_text(text)
    refused = airloom("tokens", "add-runner", "workers", "--from-file", str(tmp_path / "token"))
    assert refused.status == 2
    assert not text or text not in refused.stderr
    assert airloom("tokens", "add-runner", "workers", "--from-file", str(tmp_path / "gone")).status == 2
    assert json.loads(airloom("tokens", "list-runners", "-o", "json").stdout) == []


def test_users_and_tokens_are_not_managed_on_a_server_elsewhere(
    airloom: Airloom, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRLOOM_TOKEN", "alm_x_y")
    monkeypatch.setenv("AIRLOOM_SERVER", "http://127.0.0.1:1")
    for command in (["users", "list"], ["tokens", "list"]):
        refused = airloom(*command)
        assert refused.status == 2
        assert "leave --server away" in refused.stderr
