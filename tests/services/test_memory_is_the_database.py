"""Random histories on real databases: after every turn the memory is what the database would be rebuilt to."""

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airloom.decide.recovery import rebuild
from airloom.decide.state import WorldConfig
from airloom.model.events import CancelRun, ClearTasks, Command, Explain, RunLoaded, SetPaused, SetPool, TriggerRun
from airloom.model.run import PoolRow
from airloom.model.states import RUN_FINISHED
from airloom.store.database import Database, connect
from tests.decide.image import image
from tests.decide.simulation import Simulation
from tests.decide.test_random_histories import Fate, dags
from tests.servers import PostgresServer
from tests.services.stored import Stored

Fresh = Callable[[], AbstractContextManager[Database]]


@pytest.fixture(params=["sqlite", "postgresql"])
def fresh(request: pytest.FixtureRequest) -> Fresh:
    """Makes a migrated database for each example."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("migrated_sqlite")

        @contextmanager
        def on_sqlite() -> Iterator[Database]:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "airloom.db"
                shutil.copyfile(template, path)
                db = connect(f"sqlite:///{path}")
                yield db
                db.close()

        return on_sqlite
    server: PostgresServer = request.getfixturevalue("postgres_server")
    migrated: str = request.getfixturevalue("migrated_postgres")

    @contextmanager
    def on_postgresql() -> Iterator[Database]:
        name = server.create(migrated)
        db = connect(server.url(name))
        yield db
        db.close()
        server.drop(name)

    return on_postgresql


def check(sim: Simulation) -> None:
    memory, rebuilt = image(sim.world), image(rebuild(sim.db.snapshot(), sim.config, sim.now))
    for number in memory["runs"].keys() & rebuilt["runs"].keys():
        for what, value in memory["runs"][number].items():
            assert value == rebuilt["runs"][number][what], f"run {number}: {what}"
    assert memory == rebuilt


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_the_memory_rebuilt_from_the_database_is_the_memory(fresh: Fresh, data: st.DataObject, seed: int) -> None:
    with fresh() as db:
        stored = Stored(db)
        config = WorldConfig(parallelism=data.draw(st.sampled_from([0, 1, 4])))
        capacity = data.draw(st.sampled_from([None, 1, 3]))
        sim = Simulation(config=config, capacity=capacity, script=Fate(seed), db=stored)
        slots = {"default_pool": data.draw(st.sampled_from([2, 128])), "small": data.draw(st.sampled_from([2, 3]))}
        sim.turn([SetPool(pool=PoolRow(name=name, slots=count)) for name, count in slots.items()])
        specs = [data.draw(dags(name)) for name in ("d0", "d1")]
        for spec in specs:
            sim.load(spec)
        other = data.draw(dags("d0"))
        sim.turn([TriggerRun(dag_id=dag_id, run_id=f"r{n}") for dag_id in sim.db.dags for n in range(2)])
        dice = random.Random(seed)
        for _ in range(120):
            check(sim)
            if not sim.world.runs:
                break
            disturb(sim, stored, dice)
            check(sim)
            if other is not None and dice.random() < 0.05:
                sim.load(msgspec.structs.replace(other, max_active_runs=specs[0].max_active_runs))
                other = None
                check(sim)
            assert sim.step() or not sim.world.runs, "nothing will ever happen again, and runs are unfinished"
        check(sim)


def disturb(sim: Simulation, stored: Stored, dice: random.Random) -> None:
    """Now and then: a restart, a lost runner, a command about a run that goes on or has ended."""
    roll = dice.random()
    if roll < 0.1:
        sim.restart(lose=dice if roll < 0.05 else None)
    elif roll < 0.25:
        run = dice.choice(list(sim.db.runs.values()))
        task_id = dice.choice(sim.db.versions[run.version_id].spec.tasks).task_id
        name = {"dag_id": run.dag_id, "run_id": run.run_id}
        commands: list[Command] = [
            ClearTasks(**name, task_ids=(task_id,), downstream=dice.random() < 0.5, only_failed=dice.random() < 0.2),
            CancelRun(**name),
            Explain(**name, task_id=task_id),
        ]
        command = dice.choices(commands, weights=[3, 1, 1])[0]
        if run.state in RUN_FINISHED:
            live, version = stored.finished_run(run.dag_id, run.run_id)
            sim.turn([RunLoaded(run=live, version=version), command])
        else:
            sim.turn([command])
    elif roll < 0.3:
        dag_id = dice.choice(list(sim.db.dags))
        for paused in (True, False):
            sim.turn([SetPaused(dag_id=dag_id, paused=paused)])
            check(sim)
