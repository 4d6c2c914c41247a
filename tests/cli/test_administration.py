"""`airloom pools`, `variables`, `connections`, `db`, `config`, `version`; errors and start-up in real processes."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from airloom.sections import Settings
from tests.cli.conftest import Airloom
from tests.operations.leading import leading


def process(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from airloom.cli.main import main; main()", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **env}, check=False)


def test_pools_are_set_shown_and_deleted(airloom: Airloom, settings: Settings) -> None:
    with leading(settings):
        assert airloom("pools", "set", "warehouse", "4", "connections to it").status == 0
        assert json.loads(airloom("pools", "get", "warehouse", "-o", "json").stdout)["slots"] == 4
        assert airloom("pools", "set", "warehouse", "-1").status == 0
        assert "-1" in airloom("pools", "list", "-o", "plain").stdout
        assert airloom("pools", "delete", "warehouse").status == 0
        assert airloom("pools", "get", "warehouse").status == 3
        assert airloom("pools", "delete", "default_pool").status == 2


def test_variables_are_set_read_exported_and_imported(airloom: Airloom, settings: Settings, tmp_path: Path) -> None:
    airloom("variables", "set", "region", "eu", "--description", "where")
    airloom("variables", "set", "text", "-", stdin="two\nlines\n")
    assert airloom("variables", "get", "text").stdout == "two\nlines\n"
    assert json.loads(airloom("variables", "get", "region", "-o", "json").stdout) == {"key": "region", "value": "eu"}
    listed = airloom("variables", "list", "-o", "json").stdout
    assert [row["key"] for row in json.loads(listed)] == ["region", "text"]
    assert "two" not in listed
    file = tmp_path / "variables.json"
    assert airloom("variables", "export", str(file)).status == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    airloom("variables", "delete", "region")
    assert airloom("variables", "get", "region").status == 3
    assert airloom("variables", "import", str(file)).stdout == "2 variables are set\n"
    assert airloom("variables", "get", "region").stdout == "eu\n"
    assert json.loads(airloom("variables", "export").stdout) == {"region": "eu", "text": "two\nlines"}


@pytest.mark.parametrize("content", [b"[1]", b"{", b"\xff"])
def test_a_file_that_holds_no_variables_is_refused(
    airloom: Airloom, settings: Settings, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "v.json").write_bytes(content)
    assert airloom("variables", "import", str(tmp_path / "v.json")).status == 2
    assert airloom("variables", "import", str(tmp_path / "none.json")).status == 2
    assert json.loads(airloom("variables", "list", "-o", "json").stdout) == []


def test_a_connections_secrets_are_shown_on_request_only(airloom: Airloom, settings: Settings) -> None:
    fields = ["type=postgres", "host=db", "port=5432", "login=me", 'extra={"token": "hunter3"}', "password=-"]
    added = airloom("connections", "add", "dwh", *fields, stdin="hunter2\n")
    assert added.status == 0
    for command in (["list"], ["get", "dwh"], ["list", "-o", "json"], ["get", "dwh", "-o", "yaml"]):
        out = airloom("connections", *command).stdout
        assert "dwh" in out
        assert "hunter" not in out
    shown = json.loads(airloom("connections", "get", "dwh", "--show-secrets", "-o", "json").stdout)
    assert (shown["password"], shown["extra"], shown["port"]) == ("hunter2", {"token": "hunter3"}, 5432)


def test_a_connection_is_added_once_and_replaced_on_request(airloom: Airloom, settings: Settings) -> None:
    uri = ["connections", "add", "dwh", "--uri", "postgres://me:hunter2@db:5432/flights"]
    assert airloom(*uri).status == 0
    again = airloom(*uri)
    assert (again.status, "--replace" in again.stderr, "hunter2" in again.stderr) == (4, True, False)
    assert airloom(*uri, "--replace").status == 0
    assert airloom("connections", "delete", "dwh").status == 0
    assert airloom("connections", "delete", "dwh").status == 3


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ([], "either --uri or fields"),
        (["type=http", "--uri", "http://h"], "either --uri or fields"),
        (["hots=x"], "did you mean host"),
        (["host"], "NAME=VALUE"),
        (["host=x"], "needs a type"),
        (["type=http", "port=x"], "a port is a number, not 'x'"),
        (["type=http", "port=0"], "from 1 to 65535"),
        (["type=http", "extra=x"], "extra is no JSON object"),
        (["--uri", "nonsense"], "no URI such as"),
    ],
)
def test_a_connection_that_makes_no_sense_is_refused(
    airloom: Airloom, settings: Settings, fields: list[str], text: str
) -> None:
    result = airloom("connections", "add", "dwh", *fields)
    assert (result.status, text in result.stderr) == (2, True)


def test_the_database_is_made_checked_and_cleaned(airloom: Airloom, home: Path) -> None:
    before = airloom("db", "check")
    assert (before.status, str(home) in before.stderr) == (5, True)
    missing = airloom("dags", "list")
    assert (missing.status, "airloom standalone" in missing.stderr) == (5, True)
    assert not home.exists()
    assert airloom("db", "migrate").status == 0
    assert airloom("db", "check").status == 0
    assert airloom("db", "clean", "--days", "30").status == 2
    counts = json.loads(airloom("db", "clean", "--days", "30", "--yes", "-o", "json").stdout)
    assert counts["runs"] == 0
    assert airloom("db", "clean", "--days", "0", "--dry-run").status == 2
    assert airloom("db", "downgrade", "nonsense", "--yes").status == 5
    assert airloom("db", "downgrade", "base", "--yes").status == 0
    assert airloom("db", "check").status == 5


def test_a_file_that_is_no_database_is_told(airloom: Airloom, home: Path) -> None:
    home.mkdir()
    (home / "airloom.db").write_bytes(b"not a database, but quite long enough to be looked at" * 100)
    result = airloom("dags", "list")
    assert (result.status, "is not a database" in result.stderr) == (5, True)


def test_settings_are_listed_with_their_origins(airloom: Airloom, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    (home / "airloom.toml").write_text("[core]\nparallelism = 7\n")
    monkeypatch.setenv("AIRLOOM__CORE__SECRET_KEY", "hunter2")
    listed = airloom("config", "list", "-o", "json").stdout
    rows = {f"{row['section']}.{row['key']}": row for row in json.loads(listed)}
    assert (rows["core.parallelism"]["value"], rows["core.parallelism"]["origin"]) == (7, str(home / "airloom.toml"))
    assert rows["core.secret_key"]["origin"] == "AIRLOOM__CORE__SECRET_KEY"
    assert "hunter2" not in listed
    only = json.loads(airloom("config", "list", "--section", "local", "-o", "json").stdout)
    assert {row["section"] for row in only} == {"local"}
    assert airloom("config", "list", "--section", "locl").status == 2


def test_a_wrong_setting_stops_every_command_with_its_own_status(airloom: Airloom, home: Path) -> None:
    home.mkdir()
    (home / "airloom.toml").write_text("[core]\nparalelism = 7\n")
    result = airloom("dags", "list")
    assert result.status == 5
    assert "did you mean parallelism?" in result.stderr


def test_every_command_has_help_without_a_home(airloom: Airloom, home: Path) -> None:
    overview = airloom("--help").stdout
    for command in ("standalone", "run", "dags", "explain", "version"):
        assert command in overview
    assert "Exit statuses" in overview
    for command in ("dags", "runs", "tasks", "pools", "variables", "connections", "db", "config"):
        assert airloom(command, "--help").status == 0
    assert "airloom dags trigger flights" in airloom("dags", "trigger", "--help").stdout
    told = airloom("worker", "--help").stdout
    assert "[worker] queues" in told
    assert "--install-completion" not in told
    assert not home.exists()


def test_a_process_prints_the_version_and_loads_no_database_library(home: Path) -> None:
    code = "import sys; from airloom.cli.main import main\ntry: main()\nfinally: print('sqlalchemy' in sys.modules)"
    command = [sys.executable, "-c", code, "version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    version, loaded = done.stdout.split()
    assert version[0].isdigit()
    assert loaded == "False"


def test_a_process_ends_with_the_status_and_one_line(settings: Settings) -> None:
    done = process("dags", "show", "x")
    assert done.returncode == 3
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert process("dags", "show", "flights", "-o", "json").returncode == 0


def test_the_traceback_is_shown_when_it_is_asked_for(settings: Settings) -> None:
    assert "Traceback" not in process("dags", "show", "x").stderr
    debugged = process("dags", "show", "x", AIRLOOM_DEBUG="1")
    assert debugged.returncode == 3
    assert "Traceback" in debugged.stderr


def test_a_reader_that_goes_away_is_no_traceback(settings: Settings) -> None:
    command = [sys.executable, "-c", "from airloom.cli.main import main; main()", "dags", "list", "-o", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None and running.stderr is not None
        running.stdout.close()
        assert b"Traceback" not in running.stderr.read()


def test_commands_are_completed(home: Path) -> None:
    done = process(_AIRLOOM_COMPLETE="complete_bash", COMP_WORDS="airloom da", COMP_CWORD="1")
    assert done.stdout.split() == ["dags"]
    inner = process(_AIRLOOM_COMPLETE="complete_bash", COMP_WORDS="airloom dags tr", COMP_CWORD="2")
    assert inner.stdout.split() == ["trigger"]
