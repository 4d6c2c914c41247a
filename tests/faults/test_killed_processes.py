"""kill -9 of a task's process and of what it comes from: not the task's fault, so it costs none of its retries."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.home import Home, home_at, kill
from tests.waiting import wait_for_end

#: the first try that is lost is followed by another at once
BUDGET = 1
DAG_FILE = """
import os
import time
from pathlib import Path
from airloom import DAG, task

MARKS = Path(os.environ.get("MARKS", "."))

with DAG("victims", schedule="@once"):
    @task(retries=0)
    def waits():
        number = len(list(MARKS.glob("try*")))
        path = MARKS / f"try{number}"
        path.with_name("new").write_text(f"{os.getpid()} {os.getppid()}")
        path.with_name("new").rename(path)
        while not (MARKS / "go").exists():
            time.sleep(0.01)
        return number

    waits()
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home on which one task runs, which ends when it is told."""
    with home_at(tmp_path / "home", core__infrastructure_retries=BUDGET) as home:
        (tmp_path / "marks").mkdir()
        home.env["MARKS"] = str(tmp_path / "marks")
        home.write("victims.py", DAG_FILE)
        home.start()
        yield home


def process_of_try(home: Home, number: int) -> tuple[int, int]:
    """The numbers of a try's process and of the zygote it was forked from, once the task's code runs."""
    path = Path(home.env["MARKS"]) / f"try{number}"
    home.wait_for(path.exists, f"try {number} to run")
    pid, parent = path.read_text().split()
    return int(pid), int(parent)


def ends_after(home: Home, causes: list[str | None]) -> None:
    """The run succeeds, its tries ended like this, and only the infrastructure's budget was spent."""
    (Path(home.env["MARKS"]) / "go").touch()
    assert home.ended("victims") == "success"
    assert home.rows("SELECT cause FROM task_try ORDER BY try_number") == [(cause,) for cause in causes]
    lost = len(causes) - 1
    assert home.rows("SELECT try_number, infra_failures FROM task_instance") == [(len(causes), lost)]


def test_a_task_whose_process_is_killed_is_tried_again(home: Home) -> None:
    kill(process_of_try(home, 0)[0])
    process_of_try(home, 1)
    ends_after(home, ["killed", None])
    (detail,) = home.rows("SELECT detail FROM task_try WHERE cause = 'killed'")
    assert detail == ("its process was killed from outside with SIGKILL",)


def test_a_task_that_is_killed_more_often_than_the_budget_allows_fails_and_says_why(home: Home) -> None:
    for number in range(BUDGET + 1):
        kill(process_of_try(home, number)[0])
    assert home.ended("victims") == "failed"
    assert home.rows("SELECT state, cause FROM task_instance") == [("failed", "killed")]
    assert home.rows("SELECT cause FROM task_try") == [("killed",)] * (BUDGET + 1)


def test_a_task_whose_zygote_is_killed_dies_with_it_and_is_tried_again(home: Home) -> None:
    task, zygote = process_of_try(home, 0)
    assert zygote != home.runner()
    kill(zygote)
    wait_for_end(task)
    process_of_try(home, 1)
    ends_after(home, ["killed", None])


def test_a_task_whose_base_zygote_is_killed_dies_with_it_and_is_tried_again(home: Home) -> None:
    task, zygote = process_of_try(home, 0)
    base = int(Path(f"/proc/{zygote}/stat").read_text().rsplit(")", 1)[1].split()[1])
    assert base != home.runner()
    kill(base)
    wait_for_end(task)
    process_of_try(home, 1)
    ends_after(home, ["killed", None])


def test_a_task_whose_runner_is_killed_dies_with_it_and_is_tried_again(home: Home) -> None:
    task, _ = process_of_try(home, 0)
    home.kill_runner()
    wait_for_end(task)
    process_of_try(home, 1)
    ends_after(home, ["runner_lost", None])


def test_a_task_outlives_its_scheduler_and_its_result_is_kept(home: Home) -> None:
    process_of_try(home, 0)
    home.kill_server()
    (Path(home.env["MARKS"]) / "go").touch()
    journals = home.path / "spool"
    home.wait_for(lambda: any(b"ended" in path.read_bytes() for path in journals.rglob("*.journal")), "its end on disk")
    home.start()
    ends_after(home, [None])
