"""What a pool has to do at a moment: how much of it is taken, who has it, and who waits for it."""

import msgspec


class PoolTask(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A TI that holds slots of a pool, or waits for them. since: when it got them. place: 1 = next in line."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    slots: int
    since: float | None = None
    place: int | None = None


class PoolState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """used: slots that live tries take. waiting: TIs in its line. holders and waiters: the first of each."""

    name: str
    used: int
    waiting: int
    holders: tuple[PoolTask, ...] = ()
    waiters: tuple[PoolTask, ...] = ()
