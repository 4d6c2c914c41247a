"""A database that fails now and then under a run of 500 tasks: before a commit, and in the very moment of one."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from airloom import settings as settings_of
from airloom.bundles.local import LocalFolder
from airloom.bundles.sources import FolderSource
from airloom.model.bundles import LocalBundle
from airloom.model.errors import StoreError
from airloom.operations.ops import open_ops
from airloom.runtime.parsing import ParserPool
from airloom.services import scheduler as module
from airloom.services.leader import Leadership
from airloom.services.loader import Loader, LoaderSettings
from airloom.services.scheduler import Scheduler
from airloom.services.service import Bell
from airloom.store.database import Connection, Database, connect
from airloom.store.migrate import migrate
from airloom.wiring import parts
from tests.faults.home import home_at
from tests.faults.traced import DAG_ID, Traces
from tests.waiting import DEADLINE

#: of ten commits, so many fail
FAILING = 2


class Failures:
    """Makes commits of plans fail at random: nothing of the plan is written, or all of it, and both are told alike."""

    def __init__(self, dice: random.Random, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._dice = dice
        self._plan = False
        self._apply, self._transaction = module.apply_plan, db.transaction
        monkeypatch.setattr(module, "apply_plan", self._applying)
        monkeypatch.setattr(db, "transaction", self._committing)

    def _fails(self) -> bool:
        if self._dice.randrange(10) >= FAILING:
            return False
        self.count += 1
        return True

    def _applying(self, *args: Any) -> None:
        self._apply(*args)
        if self._fails():
            raise StoreError("the disk is full")
        self._plan = True

    @contextmanager
    def _committing(self) -> Iterator[Connection]:
        with self._transaction() as conn:
            yield conn
        plan, self._plan = self._plan, False
        if plan and self._fails():
            raise StoreError("the connection was lost")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_database_that_fails_now_and_then_loses_nothing_and_runs_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """The test's id has the seed."""
    with home_at(tmp_path / "home", local__parallelism=8) as home:
        traces = Traces(home, tmp_path / "traces")
        for name, value in home.env.items():
            monkeypatch.setenv(name, value)
        settings = settings_of.load(home.env, home.path).settings
        db = connect(settings.database.url)
        migrate(db)
        parser = ParserPool(1)
        bundle = LocalFolder(settings_of.DAGS_BUNDLE, home.dags)
        Loader(db, FolderSource(bundle), parser, lambda: None, time.time, LoaderSettings(paused=False)).tick()
        parser.close()
        bell = Bell()
        with open_ops(settings) as ops:
            local = parts.local_settings(settings, db, home.path, {bundle.name: LocalBundle(path=str(bundle.root))})
            executors = parts.make_executors(("local",), local, ops, bell.ring)
            leadership = Leadership(db, settings.scheduler.lease, time.time)
            brain = Scheduler(db, parts.world_config(settings), executors, leadership, time.time)
            failures = Failures(random.Random(seed), db, monkeypatch)
            give_up = time.monotonic() + DEADLINE
            while home.run_state(DAG_ID) != "success":
                assert time.monotonic() < give_up, home.situation()
                # After a failure the next turn comes at once: the pause is for databases, not for this test.
                pause = brain.tick()
                traces.remember_what_was_reported()
                if brain.world is not None:
                    bell.wait(pause)
            executors["local"].close(0.0)
        db.close()
        assert failures.count > 10
        traces.check()
        assert {cause for (cause,) in home.rows("SELECT DISTINCT cause FROM task_try")} == {None, "error"}
