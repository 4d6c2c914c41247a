"""The one-file examples, each run as its docstring says."""

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


def test_hello_runs_its_three_tasks(run_example: Run) -> None:
    outcome = run_example("02-hello.py")

    assert (outcome.status, outcome.state) == (0, "success")
    assert outcome.states() == {"greet": "success", "shout": "success", "say": "success"}


@pytest.mark.parametrize(("sentence", "words"), [(None, 4), ("one task for each word", 5)])
def test_mapping_makes_a_task_for_each_word(run_example: Run, sentence: str | None, words: int) -> None:
    outcome = run_example("03-mapping.py", sentence and {"sentence": sentence})

    assert (outcome.status, outcome.state) == (0, "success")
    assert outcome.states() == {
        "split": "success",
        "measure": ["success"] * words,
        "add_up": "success",
        "scale": ["success"] * words * 2,
        "add_up_scaled": "success",
        "double": ["success"] * words,
        "add_up_doubled": "success",
    }


@pytest.mark.parametrize(
    ("amount", "accepted", "asked", "decided"),
    [
        (120, "success", "skipped", "success"),
        (5000, "skipped", "success", "success"),
        (0, "skipped", "skipped", "skipped"),
    ],
)
def test_branching_follows_the_amount(run_example: Run, amount: int, accepted: str, asked: str, decided: str) -> None:
    outcome = run_example("04-branching.py", {"amount": amount})

    assert (outcome.status, outcome.state) == (0, "success")
    assert outcome.states() == {
        "is_there_anything": "success",
        "choose": "success" if amount else "skipped",
        "accept": accepted,
        "ask_a_person": asked,
        "decided": decided,
    }


def test_templates_and_params_renders_what_the_conf_gives(run_example: Run) -> None:
    outcome = run_example("05-templates-and-params.py", {"name": "Ada; exit 9", "times": 3})

    assert (outcome.status, outcome.state) == (0, "success")
    assert outcome.states() == {"greet": "success", "count": "success", "repeat": "success"}
