"""Variables and connections: kept encrypted, the environment first, nothing secret in an error."""

import dataclasses
import stat
from pathlib import Path

import pytest

from airloom.model.errors import Conflict, InvalidRequest, NotFound, SettingsError, StoreError
from airloom.operations import connections, variables
from airloom.operations.environment import connection_from, parse_connection, variable_from
from airloom.operations.ops import Ops, open_ops
from airloom.operations.secret_key import read_secret_keys
from airloom.sections import Settings
from airloom.settings import load
from airloom.store.connections import ConnectionRow


def with_env(ops: Ops, **env: str) -> Ops:
    return dataclasses.replace(ops, env=env)


def test_a_variable_is_kept_and_cannot_be_read_in_the_database_file(ops: Ops, settings: Settings) -> None:
    variables.set_variable(ops, "token", "a very secret text", "for the API")
    assert variables.get_variable(ops, "token") == "a very secret text"
    assert [info.description for info in variables.list_variables(ops)] == ["for the API"]
    files = list(settings.core.home.glob("airloom.db*"))
    assert files
    assert not any(b"a very secret text" in file.read_bytes() for file in files)


def test_the_environment_comes_before_the_database(ops: Ops) -> None:
    variables.set_variable(ops, "region", "from the database")
    assert variables.get_variable(with_env(ops, AIRFLOW_VAR_REGION="airflow's"), "region") == "airflow's"
    both = with_env(ops, AIRFLOW_VAR_REGION="airflow's", AIRLOOM_VAR_REGION="ours")
    assert variables.get_variable(both, "region") == "ours"


def test_an_unknown_variable_is_told_with_the_nearest(ops: Ops) -> None:
    variables.set_variable(ops, "region", "x")
    with pytest.raises(NotFound, match="no variable 'regoin'; did you mean region"):
        variables.get_variable(ops, "regoin")
    with pytest.raises(NotFound):
        variables.delete_variable(ops, "regoin")


def test_an_import_is_all_or_nothing_and_comes_back_from_an_export(ops: Ops) -> None:
    with pytest.raises(InvalidRequest, match="cannot be a key"):
        variables.import_variables(ops, {"good": "1", "": "2"})
    assert variables.export_variables(ops) == {}
    assert variables.import_variables(ops, {"text": "a", "data": {"b": [1, 2]}}) == 2
    assert variables.export_variables(ops) == {"data": '{"b": [1, 2]}', "text": "a"}


def test_a_connection_is_kept_with_all_its_fields(ops: Ops) -> None:
    row = ConnectionRow(conn_id="dwh", conn_type="postgres", host="h", port=5432, password="p", extra={"ssl": True})
    connections.add_connection(ops, row)
    assert connections.get_connection(ops, "dwh") == row
    with pytest.raises(Conflict, match="there is a connection 'dwh' already"):
        connections.add_connection(ops, row)
    other = ConnectionRow(conn_id="dwh", conn_type="http")
    connections.add_connection(ops, other, replace=True)
    assert connections.get_connection(ops, "dwh") == other
    connections.delete_connection(ops, "dwh")
    with pytest.raises(NotFound):
        connections.get_connection(ops, "dwh")


@pytest.mark.parametrize(
    "row",
    [
        ConnectionRow(conn_id="", conn_type="http"),
        ConnectionRow(conn_id="a", conn_type=""),
        ConnectionRow(conn_id="a", conn_type="http", port=70000),
    ],
)
def test_connections_that_make_no_sense_are_refused(ops: Ops, row: ConnectionRow) -> None:
    with pytest.raises(InvalidRequest):
        connections.add_connection(ops, row)
    assert connections.list_connections(ops) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "postgres://me:p%40ss@Db.Example:5432/flights?sslmode=require",
            ConnectionRow(
                conn_id="c",
                conn_type="postgres",
                host="Db.Example",
                login="me",
                password="p@ss",
                port=5432,
                schema="flights",
                extra={"sslmode": "require"},
            ),
        ),
        ("google-cloud-platform://", ConnectionRow(conn_id="c", conn_type="google_cloud_platform")),
        (
            "http://host:80/?__extra__=%7B%22a%22%3A%201%7D",
            ConnectionRow(conn_id="c", conn_type="http", host="host", port=80, extra={"a": 1}),
        ),
        (
            '{"conn_type": "ssh", "host": "h", "port": "22", "extra": "{\\"k\\": 1}"}',
            ConnectionRow(conn_id="c", conn_type="ssh", host="h", port=22, extra={"k": 1}),
        ),
    ],
)
def test_a_connection_is_read_from_a_uri_or_json(text: str, expected: ConnectionRow) -> None:
    assert parse_connection("c", text) == expected
    assert connection_from({"AIRFLOW_CONN_C": text}, "c") == expected


@pytest.mark.parametrize("text", ["hunter2", "pg://u:hunter2@h:port/x", '{"password": "hunter2", "port": []}', "{x"])
def test_a_connection_that_cannot_be_read_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        connection_from({"AIRLOOM_CONN_DWH": text}, "dwh")
    assert "AIRLOOM_CONN_DWH" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_unset_variable_is_no_empty_one() -> None:
    assert variable_from({}, "a") is None
    assert variable_from({"AIRLOOM_VAR_A": ""}, "a") == ""


def test_the_key_is_made_once_for_its_user_alone(settings: Settings) -> None:
    first = read_secret_keys(settings)
    assert read_secret_keys(settings) == first
    mode = (settings.core.home / "secret.key").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert [path.name for path in settings.core.home.glob(".secret*")] == []


def test_keys_may_be_set_with_older_ones_after_them(settings: Settings, tmp_path: Path) -> None:
    [old] = read_secret_keys(settings)
    with open_ops(settings) as before:
        variables.set_variable(before, "a", "kept")
    new = read_secret_keys(load({"AIRLOOM_HOME": str(tmp_path / "other")}, tmp_path).settings)[0]
    env = {"AIRLOOM_HOME": str(settings.core.home)}
    both = load({**env, "AIRLOOM__CORE__SECRET_KEY": f"{new},{old}"}, tmp_path).settings
    with open_ops(both) as ops:
        assert variables.get_variable(ops, "a") == "kept"
    without = load({**env, "AIRLOOM__CORE__SECRET_KEY": new}, tmp_path).settings
    with open_ops(without) as ops, pytest.raises(StoreError, match="another key"):
        variables.get_variable(ops, "a")


def test_a_key_that_cannot_be_read_is_told(settings: Settings) -> None:
    (settings.core.home / "secret.key").mkdir()
    with pytest.raises(SettingsError, match=r"secret\.key cannot be read or made"):
        read_secret_keys(settings)
