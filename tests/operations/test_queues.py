"""Queues: what waits, who serves them; and why a try that was handed over does not start, wherever the leader is."""

from collections.abc import Iterator

import pytest
from sqlalchemy import update

from airloom.decide.state import WorldConfig
from airloom.model.processes import QueueUse
from airloom.model.reasons import Reason, ReasonKind
from airloom.model.spec import DagSpec, TaskSpec
from airloom.model.states import TIState
from airloom.operations import overview, queues, runs, tasks, workers
from airloom.operations.explain import explain
from airloom.operations.ops import Ops
from airloom.operations.queues import QueueState
from airloom.sections import Settings
from airloom.store.tables import task_try
from tests.operations import crew
from tests.operations.leading import leading, save_dags
from tests.waiting import wait_for

CONFIG = WorldConfig(executors=("celery",))
TRAIN = DagSpec(
    dag_id="train",
    tasks=(
        TaskSpec(task_id="a", queue="gpu"),
        TaskSpec(task_id="b", queue="gpu"),
        TaskSpec(task_id="urgent", queue="gpu", priority_weight=50),
        TaskSpec(task_id="other"),
    ),
    is_paused_upon_creation=False,
)


@pytest.fixture
def waiting(ops: Ops, settings: Settings) -> Iterator[Ops]:
    """A run whose tries were given to the Celery executor, and no more; its leader is there."""
    save_dags(settings, TRAIN)
    with leading(settings, executor="celery", starts=False):
        runs.trigger(ops, "train", run_id="r")
        wait_for(lambda: all(ti.state is TIState.QUEUED for ti in tasks.list_tis(ops, "train", "r")[1]), "the tries")
        crew.scheduler_tells(
            ops,
            QueueUse(executor="celery", name="default", queued=1, running=0),
            QueueUse(executor="celery", name="gpu", queued=3, running=0),
        )
        yield ops


def why(ops: Ops, task_id: str = "a") -> Reason:
    [one] = explain(ops, "train", "r", task_id, config=CONFIG)
    [reason] = one.reasons
    return reason


def listed(ops: Ops) -> dict[str, QueueState]:
    return {queue.name: queue for queue in queues.list_queues(ops)}


def held(ops: Ops) -> dict[str, tuple[str, int]]:
    """What the first page says: kind -> what it is about, and how many wait."""
    return {entry.kind: (entry.name, entry.count) for entry in overview.overview_of(ops, None).waiting}


def test_that_no_worker_serves_a_queue_is_said_with_those_that_there_are(waiting: Ops) -> None:
    assert why(waiting).text == "no worker serves queue gpu: `airloom worker -q gpu` starts one"
    crew.put(waiting, crew.worker_row("big", waiting.now(), queues=("default", "etl")))
    reason = why(waiting)
    assert reason.kind is ReasonKind.NO_WORKER
    assert "big serves default, etl" in reason.text
    assert listed(waiting)["gpu"].trouble == reason.text
    assert held(waiting) == {"no_worker": ("gpu", 3)}


def test_a_worker_that_is_silent_serves_nothing(waiting: Ops) -> None:
    crew.put(waiting, crew.worker_row("gone", waiting.now(), queues=("gpu",), silent=60))
    assert why(waiting).kind is ReasonKind.NO_WORKER
    assert why(waiting).text.startswith("no worker serves queue gpu (gone did, and is silent): ")
    assert listed(waiting)["gpu"].workers == ()


def test_a_queue_whose_workers_are_full_says_so_and_who_is_before(waiting: Ops) -> None:
    for name in ("g1", "g2"):
        crew.put(waiting, crew.worker_row(name, waiting.now(), queues=("gpu",), slots=3, running=3))
        crew.occupy(waiting, f"{name}-runner", 3)
    reason = why(waiting)
    assert reason.text == "no free slot on queue gpu: 6 of 6 in use at its 2 workers"
    assert (reason.kind, reason.of) == (ReasonKind.QUEUE, 3)
    # A broker gives out the higher priority first.
    assert why(waiting, "urgent").place == 1
    assert {why(waiting, "a").place, why(waiting, "b").place} == {2, 3}
    assert (listed(waiting)["gpu"].slots, listed(waiting)["gpu"].free) == (6, 0)
    assert held(waiting)["queue"] == ("gpu", 3)


def test_drained_workers_do_not_count_and_are_named(waiting: Ops) -> None:
    crew.put(waiting, crew.worker_row("g1", waiting.now(), queues=("gpu",)))
    workers.drain_worker(waiting, "g1")
    reason = why(waiting)
    assert reason.kind is ReasonKind.DRAINED
    assert "g1" in reason.text
    assert "`airloom workers resume g1`" in reason.text
    assert listed(waiting)["gpu"].free == 0
    assert held(waiting)["drained"] == ("gpu", 3)
    crew.put(waiting, crew.worker_row("g2", waiting.now(), queues=("gpu",), slots=1))
    crew.occupy(waiting, "g2-runner", 1)
    assert why(waiting).text == "no free slot on queue gpu: 1 of 1 in use at its worker g2"


def test_workers_that_cannot_reach_their_broker_do_not_count_and_say_so(waiting: Ops) -> None:
    trouble = "cannot reach its broker: amqp://air:***@host:5672/ is unreachable: refused"
    crew.put(
        waiting,
        crew.worker_row("g1", waiting.now(), queues=("gpu",), trouble=trouble),
        crew.worker_row("d1", waiting.now()),
    )
    reason = why(waiting)
    assert reason.kind is ReasonKind.NO_WORKER
    assert reason.text == f"no worker takes from queue gpu: g1 {trouble}"
    assert (listed(waiting)["gpu"].free, listed(waiting)["gpu"].trouble) == (0, reason.text)
    assert held(waiting)["no_worker"] == ("gpu", 3)
    crew.put(waiting, crew.worker_row("g2", waiting.now(), queues=("gpu",)))
    assert why(waiting).kind is ReasonKind.STARTING


def test_that_an_api_refuses_tries_for_its_other_secret_key_is_said(waiting: Ops) -> None:
    crew.put(waiting, crew.worker_row("g1", waiting.now(), queues=("gpu",)))
    gpu = QueueUse(executor="celery", name="gpu", queued=3, running=0)
    crew.scheduler_tells(waiting, gpu, keys=("aaaa",))
    crew.put(waiting, crew.api_row("far", waiting.now(), keys=("aaaa",)))
    assert why(waiting).kind is ReasonKind.STARTING
    crew.put(waiting, crew.api_row("far", waiting.now(), keys=("bbbb",)))
    reason = why(waiting)
    assert reason.kind is ReasonKind.CAPACITY
    assert reason.text.startswith("the API on far (process 8) refuses tries to workers")
    assert listed(waiting)["gpu"].trouble == reason.text
    assert held(waiting)["capacity"] == ("celery", 3)


def test_that_the_broker_is_away_comes_before_all_else(waiting: Ops) -> None:
    gpu = QueueUse(executor="celery", name="gpu", queued=3, running=0)
    crew.scheduler_tells(waiting, gpu, why="the broker redis://:***@host:6379/0 is unreachable: refused")
    reason = why(waiting)
    assert (reason.kind, reason.text) == (
        ReasonKind.CAPACITY,
        "the broker redis://:***@host:6379/0 is unreachable: refused",
    )
    assert held(waiting)["capacity"] == ("celery", 3)


def test_with_a_free_slot_it_starts_in_a_moment(waiting: Ops) -> None:
    # What it has just taken counts at once, whatever it told last.
    crew.put(waiting, crew.worker_row("g1", waiting.now(), queues=("gpu",), slots=3, running=3))
    crew.occupy(waiting, "g1-runner", 1)
    reason = why(waiting)
    assert reason.kind is ReasonKind.STARTING
    assert "queue gpu" in reason.text
    assert (listed(waiting)["gpu"].free, listed(waiting)["gpu"].trouble) == (2, "")
    crew.put(waiting, crew.worker_row("g1", waiting.now(), queues=("gpu",), slots=3, running=1))
    assert "queue" not in held(waiting)


def claim(ops: Ops, runner: str) -> None:
    with ops.db.transaction() as conn:
        conn.execute(update(task_try).where(task_try.c.queue == "gpu").values(runner=runner))


def test_of_a_try_that_a_worker_has_taken_the_worker_is_named(waiting: Ops) -> None:
    claim(waiting, "g1-runner")
    assert "is not known any more" in why(waiting).text
    crew.put(waiting, crew.worker_row("g1", waiting.now(), queues=("gpu",), slots=1, running=1))
    assert why(waiting) == Reason(
        kind=ReasonKind.STARTING, text="worker g1 has it and its process has not told of its start yet"
    )
    crew.put(waiting, crew.worker_row("g1", waiting.now(), queues=("gpu",), silent=40))
    assert "silent for 40 s" in why(waiting).text


def test_the_same_is_said_where_no_scheduler_leads(ops: Ops, settings: Settings) -> None:
    save_dags(settings, TRAIN)
    with leading(settings, executor="celery", starts=False):
        runs.trigger(ops, "train", run_id="r")
    [one] = explain(ops, "train", "r", "a", config=CONFIG)
    assert [reason.kind for reason in one.reasons] == [ReasonKind.NO_SCHEDULER, ReasonKind.NO_WORKER]


def test_queues_are_counted_for_each_executor_apart(waiting: Ops) -> None:
    crew.put(
        waiting,
        crew.worker_row("g1", waiting.now(), queues=("gpu", "spare")),
        crew.worker_row("", waiting.now(), executor="local", queues=(), runner="local-runner"),
    )
    found = {(queue.executor, queue.name): queue for queue in queues.list_queues(waiting)}
    assert list(found) == [("celery", "default"), ("celery", "gpu"), ("celery", "spare"), ("local", "default")]
    gpu = found["celery", "gpu"]
    assert (gpu.queued, gpu.running, gpu.demand, gpu.workers, gpu.slots) == (3, 0, 3, ("g1",), 4)
    assert found["celery", "spare"].queued == 0
    assert found["celery", "default"].kind == "no_worker"
    assert found["local", "default"].workers == ("host-of-:7",)


def test_a_queue_that_nobody_knows_is_empty_and_untroubled(ops: Ops) -> None:
    queue = queues.get_queue(ops, "nobody/knows", "celery")
    assert (queue.demand, queue.workers, queue.slots, queue.trouble) == (0, (), 0, "")
