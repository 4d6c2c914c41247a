"""kill -9 of the scheduler, of the runner, of both, at random moments of a run of 500 tasks."""

import random
import time
from pathlib import Path

import pytest

from tests.faults.home import home_at
from tests.faults.traced import DAG_ID, Traces

KILLS = 4
#: seconds from a start to the next kill, at most: sometimes it comes before the server is ready, sometimes in mid-run
LONGEST = 1.5
SETTINGS = {"local__parallelism": 8, "core__infrastructure_retries": 50}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_whoever_is_killed_every_task_comes_to_its_end_once(tmp_path: Path, seed: int) -> None:
    """The test's id has the seed: give it to pytest to see the same kills at the same moments again."""
    dice = random.Random(seed)
    with home_at(tmp_path / "home", **SETTINGS) as home:
        traces = Traces(home, tmp_path / "traces")
        home.start()
        for _ in range(KILLS):
            victim = dice.choice(["scheduler", "runner", "both"])
            # The moment itself is what is tried: nothing is waited for.
            time.sleep(dice.uniform(0.0, LONGEST))
            if home.run_state(DAG_ID) == "success":
                break
            if victim != "runner":
                home.kill_server()
            if victim != "scheduler":
                home.kill_runner()
            traces.remember_what_was_reported()
            if victim != "runner":
                home.start()
        assert home.ended(DAG_ID) == "success"
        traces.check()
        assert home.stop() == 0
