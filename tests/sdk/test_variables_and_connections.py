"""Variables and connections as tasks use them, and connections as URIs."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airloom import AirflowException, AirflowNotFoundException, BaseHook, Connection, Variable
from airloom.model.errors import AirloomError
from airloom.sdk.client import set_client
from tests.sdk.trying import Client


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client()
    before = set_client(client)
    yield client
    set_client(before)


def test_a_variable_is_set_read_and_deleted(client: Client) -> None:
    Variable.set("n", 5)
    Variable.set("j", {"a": [1]}, serialize_json=True)
    assert (Variable.get("n"), Variable.get("j", deserialize_json=True)) == ("5", {"a": [1]})
    Variable.delete("n")
    Variable.delete("n")
    assert Variable.get("n", default=None) is None
    assert Variable.get("n", "d", deserialize_json=True) == "d"


def test_a_variable_that_is_not_there_is_an_error_that_says_what_to_do(client: Client) -> None:
    with pytest.raises(
        AirflowNotFoundException, match="there is no variable 'n': set it with `airloom variables set n"
    ):
        Variable.get("n")


def test_a_variable_that_is_no_json_says_so(client: Client) -> None:
    Variable.set("j", "{")
    with pytest.raises(AirflowException, match="the variable 'j' does not hold JSON"):
        Variable.get("j", deserialize_json=True)


def test_values_whose_name_promises_a_secret_are_masked(client: Client) -> None:
    client.variables = {"plain": "seen", "api_key": "hidden1", "j": '{"password": "hidden2", "user": "seen"}'}
    for key in ("plain", "api_key"):
        Variable.get(key)
    Variable.get("j", deserialize_json=True)
    client.connections["c"] = {"conn_type": "x", "password": "hidden3", "extra": {"token": "hidden4", "k": "seen"}}
    Connection.get("c")
    assert client.masked == ["hidden1", "hidden2", "hidden3", "hidden4"]


def test_without_a_server_a_variable_says_so() -> None:
    with pytest.raises(AirloomError, match="there is no server to ask here"):
        Variable.get("n", default=1)


def test_a_hook_gets_its_connection(client: Client) -> None:
    client.connections["c"] = {
        "conn_id": "c",
        "conn_type": "postgres",
        "description": None,
        "host": "h",
        "login": "l",
        "password": "p",
        "schema": "s",
        "port": 5432,
        "extra": {"k": 1},
    }
    found = BaseHook.get_connection("c")
    assert (found.conn_id, found.conn_type, found.host, found.login) == ("c", "postgres", "h", "l")
    assert (found.password, found.schema, found.port, found.extra_dejson) == ("p", "s", 5432, {"k": 1})
    assert "p" not in repr(found).replace("postgres", "").replace("Connection", "")
    with pytest.raises(AirflowNotFoundException, match="there is no connection 'other'"):
        BaseHook.get_connection("other")


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        (
            "postgres://u:p%40ss@h:5432/db?sslmode=require",
            ("postgres", "u", "p@ss", "h", 5432, "db", {"sslmode": "require"}),
        ),
        ("postgresql://h/db", ("postgres", None, None, "h", None, "db", {})),
        ("google-cloud://?__extra__=%7B%22a%22%3A+1%7D", ("google_cloud", None, None, None, None, None, {"a": 1})),
        ("sqlite://%2Ftmp%2Fx.db", ("sqlite", None, None, "/tmp/x.db", None, None, {})),
        ("http://:secret@[::1]:80", ("http", None, "secret", "[::1]", 80, None, {})),
        ("http://Host.Example", ("http", None, None, "Host.Example", None, None, {})),
    ],
)
def test_a_uri_is_taken_apart(uri: str, parts: tuple[Any, ...]) -> None:
    made = Connection(uri=uri)
    found = (made.conn_type, made.login, made.password, made.host, made.port, made.schema, made.extra_dejson)
    assert found == parts


TEXT = st.none() | st.text(st.characters(codec="utf-8"), min_size=1)
EXTRA = st.none() | st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8")) | st.integers(), min_size=1
)


@given(TEXT, TEXT, TEXT, TEXT, st.none() | st.integers(0, 65535), EXTRA)
def test_a_connection_survives_its_uri(
    host: str | None, login: str | None, password: str | None, schema: str | None, port: int | None, extra: Any
) -> None:
    made = Connection(
        conn_type="my_type", host=host, login=login, password=password, schema=schema, port=port, extra=extra
    )
    again = Connection(uri=made.get_uri())
    assert {**vars(again), "extra": again.extra_dejson} == {**vars(made), "extra": made.extra_dejson}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"uri": "no uri"}, "a connection's uri begins with its type"),
        ({"uri": "x://h:99999"}, "the uri of a connection of type x cannot be read"),
        ({"uri": "x://h", "host": "h"}, "of a uri or of its parts, not of both"),
        ({"port": "five"}, "a connection's port is a number, not 'five'"),
    ],
)
def test_a_connection_that_cannot_be_is_refused_without_its_secrets(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AirflowException) as caught:
        Connection(**arguments)
    assert message in str(caught.value)


def test_an_extra_that_is_no_json_is_an_empty_dict() -> None:
    assert Connection(extra="{").extra_dejson == {}
    assert Connection(extra="[1]").extra_dejson == {}
