"""examples/01-flights on its real data: every state, the retry, the mapped tasks, the branch, the report's numbers."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PLAIN = [
    "make_folder",
    *(
        f"load_tables.{name}"
        for name in ("flights", "weather", "planes", "airports", "airlines", "wait_for_weather_feed")
    ),
    "join_weather",
    *(f"delays.{name}" for name in ("by_carrier", "by_airport", "by_hour", "by_plane_age")),
    "busiest_airports",
    "judge_weather",
    "weather_known",
    "report",
    "summarize",
]


def only_folder(home: Path) -> Path:
    """The folder of the one run that was made in this home."""
    (folder,) = (home / "flights").iterdir()
    return folder


@pytest.mark.slow
def test_flights_runs_from_the_raw_files_to_the_report(run_example: Callable[..., Any], tmp_path: Path) -> None:
    outcome = run_example("01-flights/flights.py")

    assert (outcome.status, outcome.state) == (0, "success")
    assert outcome.states() == dict.fromkeys(PLAIN, "success") | {
        "weather_effect": "success",
        "weather_gaps": "skipped",
        "profile": ["success"] * 12,
    }
    tries = {task_id: [ti["try_number"] for ti in tis] for task_id, tis in outcome.tasks.items()}
    retried = tries.pop("load_tables.wait_for_weather_feed")
    assert retried == [2]
    assert all(number <= 1 for numbers in tries.values() for number in numbers)

    folder = only_folder(tmp_path / "home")
    figures = json.loads((folder / "figures.json").read_text("utf-8"))
    assert figures["tables"] == {
        "flights": 336_776,
        "weather": 26_115,
        "planes": 3_322,
        "airports": 1_458,
        "airlines": 16,
    }
    assert figures["summary"]["flights"] == 336_776
    assert figures["summary"]["cancelled"] == 8_255
    assert figures["summary"]["mean_delay"] == pytest.approx(12.639, abs=0.001)
    assert sum(row["flights"] for row in figures["delays"]["by_airport"]) == 336_776
    assert len(figures["delays"]["by_carrier"]) == 14  # two airlines have fewer than 500 flights
    assert [found["airport"] for found in figures["profiles"]][:3] == ["ORD", "ATL", "LAX"]
    assert all(len(found["months"]) == 12 for found in figures["profiles"])
    assert {row["condition"] for row in figures["weather_effect"]} == {"fair", "rain", "strong wind", "poor sight"}

    page = (folder / "report.html").read_text("utf-8")
    assert page.count("<svg") == 6
    assert "336,776" in page
    assert not re.search(r'(src|href)="(?!#)', page), "the page must need no other file"
    assert not list(folder.glob("*.unfinished"))


@pytest.mark.slow
def test_flights_of_a_summer_take_the_branch_for_missing_weather(
    run_example: Callable[..., Any], tmp_path: Path
) -> None:
    conf = {"first_month": 6, "last_month": 8, "busiest": 3, "min_weather_share": 1.0, "folder": str(tmp_path / "here")}
    outcome = run_example("01-flights/flights.py", conf)

    assert (outcome.status, outcome.state) == (0, "success")
    states = outcome.states()
    assert states["weather_effect"] == "skipped"
    assert states["weather_gaps"] == "success"
    assert states["profile"] == ["success"] * 3

    (folder,) = (tmp_path / "here").iterdir()
    figures = json.loads((folder / "figures.json").read_text("utf-8"))
    assert figures["summary"]["flights"] == 86_995
    assert figures["weather_effect"] is None
    assert figures["weather_gaps"]
    assert [row["month"] for row in figures["profiles"][0]["months"]] == [6, 7, 8]


def test_flights_refuses_a_month_that_is_none(airloom_run: Callable[..., Any], tmp_path: Path) -> None:
    done = airloom_run("01-flights/flights.py", {"first_month": 13})

    assert done.returncode != 0
    assert "first_month" in done.stderr
    assert not (tmp_path / "home" / "flights").exists()
