"""The forms of output: tables, JSON, YAML, plain lines; times and lengths of time."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airloom.cli.output import Format, show_record, show_rows, to_yaml
from airloom.cli.times import duration, parse_time
from airloom.model.errors import InvalidRequest

MOMENT = datetime(2026, 1, 31, 12, 0, 0, 250000, tzinfo=UTC)
ROWS = [
    {"name": "first one", "at": MOMENT, "took": timedelta(seconds=75), "tags": ["a", "b"], "on": True, "none": None},
    {"name": "tab\there", "at": None, "took": None, "tags": [], "on": False, "none": None},
]
COLUMNS = ["name", "at", "took", "tags", "on"]


def test_json_has_every_field_with_times_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(ROWS, COLUMNS, Format.JSON, ZoneInfo("Asia/Tokyo"))
    assert json.loads(capsys.readouterr().out)[0] == {
        "name": "first one",
        "at": "2026-01-31T12:00:00.250000Z",
        "took": 75.0,
        "tags": ["a", "b"],
        "on": True,
        "none": None,
    }


def test_plain_lines_have_the_columns_between_tabs_and_no_other_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(ROWS, COLUMNS, Format.PLAIN, UTC)
    assert capsys.readouterr().out.splitlines() == [
        "first one\t2026-01-31T12:00:00.250000Z\t75.0\ta, b\tyes",
        "tab here\t\t\t\tno",
    ]


def test_a_table_has_headings_and_times_in_the_zone(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(ROWS, COLUMNS, Format.TABLE, ZoneInfo("Asia/Tokyo"))
    out = capsys.readouterr().out
    assert "2026-01-31 21:00:00" in out
    assert out.split()[:2] == ["name", "at"]


def test_nothing_is_an_empty_list_for_programs_and_a_word_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([], COLUMNS, Format.JSON)
    show_rows([], COLUMNS, Format.YAML)
    show_rows([], COLUMNS, Format.PLAIN)
    show_rows([], COLUMNS, Format.TABLE)
    assert capsys.readouterr().out == "[]\n[]\nnothing to show\n"


def test_a_record_is_shown_whole_in_each_form(capsys: pytest.CaptureFixture[str]) -> None:
    for form in Format:
        show_record(ROWS[0], form, UTC)
        out = capsys.readouterr().out
        assert all(key in out for key in COLUMNS)
        assert "first one" in out


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([], "[]\n"),
        ({}, "{}\n"),
        ([1, "a", None], "- 1\n- a\n- null\n"),
        (["yes", "No", "null", "1", "1.5", "", " a", "a: b", "- a", "#", "~"],
         '- "yes"\n- "No"\n- "null"\n- "1"\n- "1.5"\n- ""\n- " a"\n- "a: b"\n- "- a"\n- "#"\n- "~"\n'),
        ({"a": {"b": [{"c": 1, "d": []}, {"c": 2, "d": {}}]}},
         "a:\n  b:\n    - c: 1\n      d: []\n    - c: 2\n      d: {}\n"),
        ([["a", "b"], ["c"]], "- - a\n  - b\n- - c\n"),
        ({"text": 'two\nlines "x"'}, 'text: "two\\nlines \\"x\\""\n'),
        ({"on": True, "1": 2}, '"on": true\n"1": 2\n'),
    ],
)  # fmt: skip
def test_yaml_is_block_style_with_strings_that_cannot_be_taken_for_something_else(data: Any, text: str) -> None:
    assert to_yaml(data) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""), (0, "0ms"), (0.0421, "42ms"), (0.0996, "0.1s"), (59.94, "59.9s"), (59.96, "1m 00s"), (75, "1m 15s"),
        (3600, "1h 00m"), (3599.6, "1h 00m"), (90_000, "1d 01h"), (-1, "0ms"),
    ],
)  # fmt: skip
def test_lengths_of_time_are_short(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_a_time_without_a_zone_is_in_the_configured_one() -> None:
    assert parse_time("2026-01-31", UTC) == MOMENT.timestamp() - 43200.25
    assert parse_time("2026-01-31T09:00", ZoneInfo("Asia/Tokyo")) == MOMENT.timestamp() - 43200.25
    assert parse_time("2026-01-31T12:00:00.250Z", ZoneInfo("Asia/Tokyo")) == MOMENT.timestamp()
    with pytest.raises(InvalidRequest, match="'tomorrow' is not a time"):
        parse_time("tomorrow", UTC)
    for text in ("0001-01-01", "9999-12-31T23:59"):
        with pytest.raises(InvalidRequest, match="give a year from 2 to 9998"):
            parse_time(text, ZoneInfo("Asia/Tokyo"))
