"""Whatever part of a cluster dies, every task runs to its end, none twice at once, and no line of a log is lost."""

import os
from pathlib import Path

import pytest

from tests.brokers import NO_BROKERS
from tests.cluster.seed import run_seed
from tests.servers import NO_POSTGRES

#: AIRLOOM_CLUSTER_TASKS: of each seed; python -m tests.cluster.soak runs many seeds with many tasks
TASKS = int(os.environ.get("AIRLOOM_CLUSTER_TASKS", "240"))


@pytest.mark.slow
@pytest.mark.timeout(600 + 2 * TASKS)
@pytest.mark.xdist_group("cluster")
@pytest.mark.parametrize(("seed", "broker"), [(1, "redis"), (2, "rabbitmq")])
def test_a_cluster_in_trouble_loses_nothing(seed: int, broker: str, tmp_path: Path):
    for variable in (NO_POSTGRES, NO_BROKERS):
        if os.environ.get(variable) == "1":
            pytest.skip(f"{variable}=1 is set: nothing is tested on a cluster")
    outcome = run_seed(tmp_path, broker, seed, TASKS, faults=4, say=print)
    assert outcome.problems == [], f"{outcome}"
    assert len(outcome.faults) == 4
