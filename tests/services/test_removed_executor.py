"""An executor that the settings name no more: what workers elsewhere have of it ends in good order."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from airloom.decide.state import WorldConfig
from airloom.executors.celery import remnant
from airloom.executors.celery.remnant import Remnant
from airloom.executors.leases import LEASE
from airloom.model.events import Reported
from airloom.model.processes import RENEWAL, ApiState, ProcessKind, ProcessRow, RunnerState
from airloom.model.report import Cause, Ended, Outcome, Started, TryKey
from airloom.operations.cluster import OpsCluster
from airloom.store import processes
from airloom.store.database import Database
from airloom.store.tables import task_try
from tests.services.rig import Rig, ScriptedExecutor, dag, task


class Removed(Rig):
    """Two tries of the executor `celery`, of which a worker has one, when another scheduler comes without it."""

    def __init__(self, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(db, executors=("celery", "local"))
        self.executors["local"] = self.local = ScriptedExecutor()
        self.monotonic = 1000.0
        monkeypatch.setattr(remnant, "time", SimpleNamespace(monotonic=lambda: self.monotonic, time=self.clock))
        self.load(dag(task("had"), task("waits"), task("after", "had")))
        self.trigger()
        self.had, self.waits = (TryKey(number, 1) for number in (1, 2))
        with db.transaction() as conn:
            conn.execute(update(task_try).where(task_try.c.ti_id == self.had.ti_id).values(runner="r"))
        self.renew("r")
        del self.executors["celery"]
        self.config = WorldConfig(executors=("local",))
        self.take_over()
        cluster: Any = SimpleNamespace(db=db)
        self.scheduler.see_out(lambda name: Remnant(name, OpsCluster(cluster, name)))
        self.tick()
        self.tick()

    def renew(self, *names: str) -> None:
        """These processes live: the API, and runners."""
        state = RunnerState(executor="celery", worker="big", lease=LEASE, tries=(self.had,))
        rows = [
            ProcessRow(
                id=name, kind=kind, host="far", pid=1, version="1", started_at=1.0, seen_at=self.monotonic,
                state=msgspec.to_builtins(told),
            )
            for name, kind, told in (("api", ProcessKind.API, ApiState()), ("r", ProcessKind.RUNNER, state))
            if name in ("api", *names)
        ]  # fmt: skip
        with self.db.transaction() as conn:
            processes.renew(conn, rows)

    def pass_time(self, seconds: float, *names: str) -> None:
        end = self.monotonic + seconds
        while self.monotonic < end:
            self.monotonic += RENEWAL
            self.renew(*names)
            self.tick()


@pytest.fixture
def rig(db: Database, monkeypatch: pytest.MonkeyPatch) -> Removed:
    return Removed(db, monkeypatch)


def test_what_a_worker_has_goes_on_and_its_end_counts(rig: Removed) -> None:
    rig.pass_time(3 * LEASE, "r")
    started = Started(key=rig.had, at=rig.clock.now, runner="r")
    rig.tick(Reported(reports=(started,)))
    assert rig.tis()["had"].state == "running"
    rig.tick(Reported(reports=(Ended(key=rig.had, at=rig.clock.now, outcome=Outcome.SUCCESS),)))
    assert rig.tis()["had"].state == "success"
    assert rig.local.names() == ["waits", "after"]


def test_what_nobody_had_is_run_elsewhere_at_no_cost(rig: Removed) -> None:
    ti = rig.tis()["waits"]
    assert (ti.state, ti.executor, ti.try_number, ti.infra_failures) == ("queued", "local", 2, 0)


def test_a_worker_that_is_gone_loses_its_tries(rig: Removed) -> None:
    rig.pass_time(LEASE - 2 * RENEWAL)
    assert rig.tis()["had"].state == "queued"
    rig.pass_time(6 * RENEWAL)
    ti = rig.tis()["had"]
    assert (ti.cause, ti.try_number) in ((Cause.LOST, 1), (None, 2), (Cause.LOST, 2))
    assert ti.infra_failures == 1
