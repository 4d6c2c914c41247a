"""The template fields that people are shown: as they were filled in, bounded, without secrets by name."""

import datetime
from typing import Any

import pytest

from airloom import DAG, BashOperator, PythonOperator
from airloom.sdk.operator import BaseOperator
from airloom.sdk.rendered import LONGEST, rendered
from tests.sdk.trying import Client, attempt


class Holder(BaseOperator):
    """Holds anything in a template field."""

    template_fields = ("value", "api_token")

    def __init__(self, value: Any = None, api_token: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.value = value
        self.api_token = api_token


def shown(value: Any) -> str | None:
    """What is shown of a value."""
    task = Holder(task_id="a")
    task.value = value
    return rendered(task).get("value")


class Odd:
    """Says nothing of itself."""

    def __repr__(self) -> str:
        raise AssertionError("asked")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("echo 1", "echo 1"),
        (None, None),
        ("", None),
        ([], None),
        ({}, None),
        (0, "0"),
        (1, "1"),
        (True, "true"),
        (False, "false"),
        (1.5, "1.5"),
        (["a", 1, None], '["a", 1, null]'),
        (("a",), '["a"]'),
        ({"a": {"b": [True]}, 1: 2}, '{"a": {"b": [true]}, "1": 2}'),
        (datetime.date(2026, 1, 2), '"2026-01-02"'),
        ({"password": "x", "n": {"api_key": ["y"]}}, '{"password": "***", "n": {"api_key": "***"}}'),
        (Odd(), "<Odd>"),
        ([Odd()], "[<Odd>]"),
        ("half \ud800", "half ?"),
    ],
)
def test_a_field_is_shown_as_text(value: Any, text: str | None) -> None:
    assert shown(value) == text


def test_a_field_that_is_named_like_a_secret_is_masked() -> None:
    assert rendered(Holder(task_id="a", api_token="abc")) == {"api_token": "***"}


def test_of_a_large_value_no_more_is_made_than_is_shown() -> None:
    class Watched(list[int]):
        def __iter__(self) -> Any:
            for number in range(10**9):
                assert number < 10 * LONGEST
                yield number

    text = shown(Watched([1]))
    assert text is not None
    assert len(text) == LONGEST
    assert len(shown("x" * 20_000) or "") == LONGEST


def test_a_value_that_holds_itself_has_an_end() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert "…" in (shown(loop) or "")


def test_a_try_tells_its_fields_before_it_executes() -> None:
    client = Client()
    client.variables["city"] = "Oslo"
    with DAG("d"):
        task = BashOperator(task_id="a", bash_command="echo {{ var.value.city }} >&2; exit 3", cwd="/")
    attempt(task, client)
    assert client.rendered == {"bash_command": "echo Oslo >&2; exit 3", "cwd": "/"}


def test_a_try_without_filled_fields_tells_nothing() -> None:
    client = Client()
    told: list[Any] = []
    client.show_rendered = told.append  # type: ignore[assignment,method-assign]
    with DAG("d"):
        task = PythonOperator(task_id="a", python_callable=lambda: None)
    attempt(task, client)
    assert told == []
