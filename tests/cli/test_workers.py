"""`airloom workers`: who is there, in a table and as data; drained, resumed and stopped from the shell."""

import json
from collections.abc import Iterator

import pytest

from airloom.operations.ops import Ops, open_ops
from airloom.sections import Settings
from tests.cli.conftest import Airloom
from tests.operations import crew


@pytest.fixture
def ops(settings: Settings) -> Iterator[Ops]:
    """Two workers and a local executor's runner; one worker was not heard of for a while."""
    with open_ops(settings) as ops:
        crew.put(
            ops,
            crew.worker_row("big", ops.now(), queues=("default", "etl"), running=2),
            crew.worker_row("gpu 1", ops.now(), queues=("gpu",), silent=300),
            crew.worker_row("", ops.now(), executor="local", queues=(), runner="r", slots=None, memory=0),
        )
        crew.occupy(ops, "big-runner", 2)
        yield ops


def test_workers_are_listed(airloom: Airloom, ops: Ops) -> None:
    table = airloom("workers", "list").stdout
    [big] = [line for line in table.splitlines() if line.strip().startswith("big")]
    assert all(text in big for text in ("host-of-big", "running", "default, etl", "3.2 GB of 8.6 GB", "1.0"))
    assert "silent for 300 s" in table
    [local] = [line for line in table.splitlines() if line.strip().startswith("host-of-:7")]
    assert "no limit" in local
    assert "clock" not in table
    rows = {row["name"]: row for row in json.loads(airloom("workers", "list", "-o", "json").stdout)}
    assert (rows["big"]["running"], rows["big"]["slots"], rows["big"]["memory_free"]) == (2, 4, 3 * 2**30)
    assert (rows["gpu 1"]["state"], rows["host-of-:7"]["memory"]) == ("silent", None)
    assert rows["gpu 1"]["silent"] == pytest.approx(300, abs=60)


def test_a_clock_that_is_wrong_is_shown(airloom: Airloom, ops: Ops) -> None:
    crew.put(ops, crew.worker_row("late", ops.now(), clock=-95.4))
    table = airloom("workers", "list").stdout
    assert "clock" in table
    assert "-95 s" in table


def test_a_worker_that_cannot_reach_its_broker_says_so(airloom: Airloom, ops: Ops) -> None:
    trouble = "cannot reach its broker: redis://host:6379/0 is unreachable: refused"
    crew.put(ops, crew.worker_row("big", ops.now(), trouble=trouble))
    table = airloom("workers", "list").stdout
    [big] = [line for line in table.splitlines() if line.strip().startswith("big")]
    assert "cut off" in big
    assert table.endswith(f"worker big {trouble}\n")
    rows = {row["name"]: row for row in json.loads(airloom("workers", "list", "-o", "json").stdout)}
    assert (rows["big"]["state"], rows["big"]["trouble"]) == ("cut_off", trouble)
    parts = json.loads(airloom("health", "-o", "json").stdout)
    (part,) = [part for part in parts if part["name"] == "host-of-big:7"]
    assert (part["status"], part["text"]) == ("degraded", f"worker big {trouble}")
    assert airloom("workers", "drain", "big").status == 0
    assert "drained by" in airloom("workers", "list").stdout


def test_a_worker_is_drained_resumed_and_stopped(airloom: Airloom, ops: Ops) -> None:
    assert "until `airloom workers resume 'gpu 1'`" in airloom("workers", "drain", "gpu 1").stdout
    assert airloom("workers", "drain", "big").status == 0
    assert "drained by" in airloom("workers", "list").stdout
    assert airloom("workers", "resume", "big").status == 0
    assert airloom("workers", "stop", "big").stdout.startswith("worker big takes nothing new")
    assert "stopping by" in airloom("workers", "list").stdout


def test_what_cannot_be_ordered_is_said(airloom: Airloom, ops: Ops) -> None:
    wrong = airloom("workers", "drain", "bigg")
    assert (wrong.status, wrong.stderr) == (3, "airloom: there is no worker 'bigg'; did you mean big?\n")
    assert airloom("workers", "stop", "host-of-:7").status == 2
    silent = airloom("workers", "stop", "gpu 1")
    assert (silent.status, "silent for" in silent.stderr) == (4, True)
