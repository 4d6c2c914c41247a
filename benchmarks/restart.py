"""A scheduler is started on a database with 10,000 live task instances: until its first turn is committed."""

import time
from functools import partial
from pathlib import Path

from airloom.model.states import TIState
from airloom.services.leader import Leadership
from airloom.services.scheduler import Scheduler
from airloom.wiring import parts
from benchmarks import fill, floors
from benchmarks.bed import InstantExecutor, instant, make_bed, on_both
from benchmarks.figures import Figure, median

_RUNS = 10
_LIVE = 10_000
_ROUNDS = 3
#: of a run's TIs: running, queued, waiting
_SHARES = {TIState.RUNNING: 0.25, TIState.QUEUED: 0.25, TIState.SCHEDULED: 0.5}


def measure(folder: Path) -> list[Figure]:
    """On SQLite and on PostgreSQL, each beside its floor."""
    return on_both(folder, partial(_measure, folder))


def _measure(folder: Path, name: str, url: str | None, floor: floors.Floor) -> list[Figure]:
    floor.insert(floors.rows(_LIVE))
    seconds = []
    with make_bed(folder, {}, instant(None), url, thread=False) as bed:
        size = _LIVE // _RUNS
        spec = fill.wide_dag("live", size, "full")
        version = fill.save_dag(bed.db, spec)
        fill.set_pool(bed.db, bed.epoch, "full", 0)
        states = [state for state, share in _SHARES.items() for _ in range(int(size * share))]
        for _ in range(_RUNS):
            fill.add_run(bed.db, bed.epoch, spec, version, states)
        bed.leadership.resign()
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            leadership = Leadership(bed.db, bed.settings.scheduler.lease, time.time)
            executor = InstantExecutor(None)
            brain = Scheduler(bed.db, parts.world_config(bed.settings), {"local": executor}, leadership, time.time)
            brain.tick()
            seconds.append(time.perf_counter() - began)
            assert brain.world is not None
            assert len(brain.world.live) + brain.world.lines.waiting == _LIVE
            brain.close()
    return [
        Figure(
            what=f"{name}: {_LIVE:,} live task instances, to the first turn",
            ours=median(seconds),
            unit="s",
            floor=floor.read(),
            floor_is="to read as many bare rows",
            budget=5.0,
        )
    ]
