"""Processes tell what they do while they live; what they tell of the scheduler's memory is what is in it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from airloom.bundles.local import LocalFolder
from airloom.bundles.sources import FolderSource
from airloom.decide.load import MOST
from airloom.decide.state import World, WorldConfig
from airloom.model.errors import StoreError
from airloom.model.events import SetPaused, SetPool, TriggerRun
from airloom.model.plan import Plan
from airloom.model.processes import ApiState, Load, ProcessKind, ProcessRow
from airloom.model.report import Cause, Outcome
from airloom.model.run import PoolRow
from airloom.model.spec import DagSpec, Delta
from airloom.runtime.parsing import ParserPool
from airloom.services import reporting
from airloom.services.followers import Followers
from airloom.services.loader import Loader, LoaderSettings
from airloom.services.reporting import Durations, Reporting, SchedulerReport, Told
from airloom.store import feed, processes
from airloom.store.database import Database
from tests.services.rig import Clock, Rig, dag, task


def rows(db: Database) -> list[ProcessRow]:
    with db.reading() as conn:
        return processes.list_processes(conn)


def topics(db: Database) -> list[bytes]:
    with db.reading() as conn:
        return [row.data for row in feed.after(conn, 0, 100)]


@pytest.fixture
def told() -> list[Told]:
    """What the process under test has to tell; a test may change it."""
    return [Told(kind=ProcessKind.API, state=ApiState(clients=3))]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(db: Database, told: list[Told], clock: Clock) -> Reporting:
    def tell(_inbox: int) -> Iterator[Told]:
        yield from told

    return Reporting(db, tell, clock)


def test_it_tells_for_how_long_the_database_has_been_away(
    service: Reporting, db: Database, monkeypatch: pytest.MonkeyPatch
):
    now = [100.0]
    monkeypatch.setattr(reporting, "since_boot", lambda: now[0])
    with monkeypatch.context() as broken:
        broken.setattr(processes, "renew", _fail)
        service.tick()
        now[0] = 130.0
        assert service.away == 0.0, "nobody has seen it yet, so nobody waits for it"
    service.tick()
    with monkeypatch.context() as broken:
        broken.setattr(processes, "renew", _fail)
        now[0] = 150.0
        service.tick()
        now[0] = 170.0
        assert service.away == 40.0
    service.tick()
    assert service.away == 0.0


def _fail(*_arguments: object) -> None:
    raise StoreError("the database is away")


def test_one_that_listens_where_another_did_takes_its_place(service: Reporting, db: Database, told: list[Told]):
    here = ApiState(listens=("0.0.0.0 8080",))
    told[:] = [
        Told(kind=ProcessKind.API, state=here, id="dead", host="a"),
        Told(kind=ProcessKind.API, state=ApiState(listens=("0.0.0.0 8081",)), id="beside", host="a"),
        Told(kind=ProcessKind.API, state=here, id="elsewhere", host="b"),
        Told(kind=ProcessKind.API, state=ApiState(), id="older", host="a"),
    ]
    service.tick()
    later = Reporting(db, lambda _: [Told(kind=ProcessKind.API, state=here, id="next", host="a")], Clock())
    later.tick()
    assert {row.id for row in rows(db)} == {"next", "beside", "elsewhere", "older"}


def test_a_row_is_there_at_once_renewed_while_the_process_lives_and_gone_with_it(
    db: Database, service: Reporting, clock: Clock
) -> None:
    assert 0 < service.tick() < 20
    [row] = rows(db)
    assert (row.kind, row.pid, row.started_at, row.seen_at) == (ProcessKind.API, os.getpid(), 1_000.0, 1_000.0)
    assert msgspec.convert(row.state, ApiState) == ApiState(clients=3)
    clock.now += 5
    service.tick()
    [row] = rows(db)
    assert (row.started_at, row.seen_at) == (1_000.0, 1_005.0)
    service.close()
    assert rows(db) == []


def test_what_is_no_longer_there_is_no_longer_told(db: Database, service: Reporting, told: list[Told]) -> None:
    told.append(Told(kind=ProcessKind.RUNNER, state=ApiState(), id="r1", host="h", pid=7, version="0"))
    service.tick()
    assert [(row.id, row.host, row.pid, row.version) for row in rows(db)][1:] == [("r1", "h", 7, "0")]
    del told[1]
    service.tick()
    assert [row.kind for row in rows(db)] == [ProcessKind.API]


def test_that_processes_come_and_go_is_told_to_whoever_looks(
    db: Database, service: Reporting, told: list[Told]
) -> None:
    service.tick()
    service.tick()
    assert topics(db) == [b'{"topics":["processes"]}']
    service.close()
    assert len(topics(db)) == 2


def test_what_is_old_is_forgotten(db: Database, service: Reporting, clock: Clock) -> None:
    other = ProcessRow(id="x", kind=ProcessKind.RUNNER, host="h", pid=1, version="1", started_at=0.0, seen_at=clock.now)
    with db.transaction() as conn:
        processes.renew(conn, [other])
        feed.write(conn, b"{}", clock.now)
    service.tick()
    clock.now += 2 * reporting._FORGOTTEN
    service.tick()
    assert [row.kind for row in rows(db)] == [ProcessKind.API]
    assert len(topics(db)) == 1


def test_a_database_that_fails_is_told_to_again(
    db: Database, service: Reporting, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(processes, "renew", lambda conn, rows: (_ for _ in ()).throw(StoreError("no")))
        service.tick()
    assert rows(db) == []
    service.tick()
    assert len(rows(db)) == 1


def test_durations_are_counted_up_to_their_bounds() -> None:
    durations = Durations()
    for seconds in (0.0005, 0.0006, 100.0):
        durations.add(seconds)
    histogram = durations.histogram()
    assert len(histogram.counts) == len(histogram.bounds) + 1
    assert (histogram.counts[0], histogram.counts[1], histogram.counts[-1]) == (1, 1, 1)
    assert histogram.seconds == pytest.approx(100.0011)


# --- what a scheduler tells -------------------------------------------------------------------------------------------
@pytest.fixture
def report(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> SchedulerReport:
    """Looks at the memory after each turn."""
    monkeypatch.setattr(reporting, "_LOOK_EVERY", 0.0)
    monkeypatch.setattr(reporting, "_SHARE", 1e9)
    report = SchedulerReport(rig.leadership, rig.scheduler.turns)
    rig.scheduler.watch(report.on_commit)
    return report


def load_of(report: SchedulerReport) -> Load:
    load = report.state(0).load
    assert load is not None
    return load


def waiting(report: SchedulerReport) -> list[tuple[str, str, int]]:
    return [(entry.kind, entry.name, entry.count) for entry in load_of(report).waiting]


def test_a_scheduler_tells_what_it_did_and_who_it_is(rig: Rig, report: SchedulerReport) -> None:
    assert not report.state(0).leading
    rig.tick()
    rig.load(dag(task("a"), task("b")))
    rig.trigger()
    state = report.state(4)
    assert (state.leading, state.epoch, state.inbox) == (True, rig.leadership.epoch, 4)
    assert (state.runs, state.tries) == (1, 2)
    assert sum(state.turns.counts) > 0
    rig.leadership.step_down()
    assert report.state(0).load is None


def test_what_runs_and_what_waits_is_counted_by_what_holds_it(rig: Rig, report: SchedulerReport) -> None:
    rig.tick()
    rig.load(dag(*(task(f"t{number}", pool="small") for number in range(5)), task("other"), task("z", "other")))
    rig.ask(SetPool(pool=PoolRow(name="small", slots=2)))
    rig.trigger()
    rig.executor.start("other")
    rig.tick()
    load = load_of(report)
    assert (load.runs, load.queued, load.running, load.scheduled) == (1, 2, 1, 3)
    assert load.instances == {"queued": 2, "running": 1, "scheduled": 3, "none": 1}
    assert waiting(report) == [("pool", "small", 3)]
    assert "2 of 2 in use" in load.waiting[0].text
    assert [(pool.name, pool.used, pool.waiting) for pool in load.pools if pool.name == "small"] == [("small", 2, 3)]
    assert [(use.name, use.slots, use.used) for use in load.executors] == [("local", None, 3)]


def test_live_tries_are_counted_by_executor_and_queue(rig: Rig, report: SchedulerReport) -> None:
    rig.tick()
    rig.load(dag(task("a", queue="gpu"), task("b", queue="gpu"), task("c"), task("later", "c", queue="gpu")))
    rig.trigger()
    rig.executor.start("b")
    rig.tick()
    counts = [(use.executor, use.name, use.queued, use.running) for use in load_of(report).queues]
    assert counts == [("local", "default", 1, 0), ("local", "gpu", 1, 1)]


def test_tries_whose_runner_was_lost_are_counted(rig: Rig, report: SchedulerReport) -> None:
    rig.tick()
    rig.load(dag(task("a"), task("b")))
    rig.trigger()
    rig.executor.end("a", Outcome.FAILED, cause=Cause.LOST)
    rig.executor.end("b", Outcome.FAILED, cause=Cause.ERROR)
    rig.tick()
    assert report.state(0).lost == 1


def test_paused_dags_full_dags_and_retries_are_told_with_their_dag(rig: Rig, report: SchedulerReport) -> None:
    rig.tick()
    rig.load(dag(task("a", retries=1, retry_delay=500.0), max_active_runs=1))
    rig.trigger("r1")
    rig.trigger("r2")
    assert waiting(report) == [("run_queued", "d", 1)]
    rig.executor.end("a", Outcome.FAILED, cause=Cause.ERROR)
    rig.ask(SetPaused(dag_id="d", paused=True))
    assert waiting(report) == [("paused", "d", 1), ("retry", "d", 1)]
    assert {entry.dag_id for entry in load_of(report).waiting} == {"d"}
    rig.clock.now += 501
    rig.tick()
    assert waiting(report) == [("paused", "d", 2)]


def test_an_executor_that_takes_nothing_says_why(rig: Rig, report: SchedulerReport) -> None:
    rig.executor.slots, rig.executor.why = 0, "it is broken"
    rig.tick()
    [use] = load_of(report).executors
    assert use.slots == 0
    assert use.why.endswith("it is broken")


def test_counts_follow_every_move(rig: Rig, report: SchedulerReport) -> None:
    rig.tick()
    rig.load(dag(task("a"), task("b", "a")))
    rig.trigger()
    for task_id in ("a", "b"):
        rig.executor.end(task_id)
        rig.tick()
    assert load_of(report).instances == {}
    rig.trigger("r2")
    assert load_of(report).instances == {"queued": 1, "none": 1}
    rig.take_over()
    again = SchedulerReport(rig.leadership, rig.scheduler.turns)
    rig.scheduler.watch(again.on_commit)
    rig.tick()
    assert load_of(again).instances == {"queued": 1, "none": 1}


def test_of_very_many_things_that_are_waited_for_those_that_hold_the_most_are_told(
    rig: Rig, report: SchedulerReport
) -> None:
    rig.tick()
    specs = [
        DagSpec(dag_id=f"d{number:03}", tasks=(task("a"), task("b")), is_paused_upon_creation=True)
        for number in range(MOST + 2)
    ]
    rig.load(*specs, file_hash="many")
    for spec in specs:
        rig.put(TriggerRun(dag_id=spec.dag_id, run_id="r"))
    rig.tick()
    assert len(waiting(report)) == MOST
    assert waiting(report)[0] == ("paused", "d000", 2)


def test_a_schedule_that_is_late_is_told(rig: Rig, report: SchedulerReport) -> None:
    rig.tick()
    rig.load(dag(task("a"), schedule=Delta(seconds=100.0), start_date=950.0, is_paused_upon_creation=False))
    rig.tick()
    assert load_of(report).schedule_lag == 0.0
    world = rig.scheduler.world
    assert world is not None
    world.now += 130.0
    assert reporting.load(world, {}).schedule_lag == pytest.approx(80.0)


def test_who_follows_is_woken_once_for_many_commits(clock: Clock) -> None:
    woken: list[float] = []

    class Hints:
        def notify(self) -> None:
            woken.append(clock.now)

        def close(self) -> None:
            """Nothing is open."""

    followers = Followers(Hints(), clock)
    world = World(WorldConfig())
    for at, plan in ((1.0, Plan(feed=b"{}")), (1.001, Plan(feed=b"{}")), (1.1, Plan()), (1.2, Plan(feed=b"{}"))):
        clock.now = at
        followers.on_commit(world, plan)
    assert woken == [1.0, 1.2]


def test_a_loader_tells_of_its_last_look_and_of_a_folder_that_is_away(db: Database, tmp_path: Path) -> None:
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "a.py").write_text("# no dag")
    parser = ParserPool(1, 10.0)
    loader = Loader(db, FolderSource(LocalFolder("dags", folder)), parser, lambda: None, Clock(5.0), LoaderSettings())
    assert loader.state.looked_at is None
    loader.tick()
    assert (loader.state.files, loader.state.looked_at, loader.state.trouble) == (1, 5.0, "")
    shutil.rmtree(folder)
    loader.tick()
    assert str(folder) in loader.state.trouble
    folder.mkdir()
    loader.tick()
    assert (loader.state.files, loader.state.trouble) == (0, "")
    loader.close()
