"""One turn of the scheduler: events and `now` in, a Plan out."""

from collections.abc import Iterable

from airloom.decide import admission, commands, feed, lifecycle, progress, reports
from airloom.decide.ledger import Ledger
from airloom.decide.state import TimerKind, World
from airloom.model.events import DagGone, DagLoaded, Event
from airloom.model.plan import Plan
from airloom.model.report import TryKey
from airloom.model.work import Work


def handle(world: World, events: Iterable[Event], now: float) -> Plan:
    """Take what happened and decide everything that follows from it.

    The plan must be committed before the next call; if it cannot be, this World is ahead of the database and must be
    thrown away and rebuilt.
    """
    world.now = now
    world.ledger = Ledger()
    world.moved, world.gone, world.reloaded = {}, {}, {}
    for event in events:
        if not reports.handle(world, event):
            commands.handle(world, event)
            if isinstance(event, DagLoaded):
                world.reloaded[event.dag.dag_id] = None
            elif isinstance(event, DagGone):
                world.reloaded[event.dag_id] = None
    _fire_timers(world)
    lifecycle.send_visitors_away(world)
    while world.dirty or world.ending or world.stirred:
        progress.settle(world)
        lifecycle.end_runs(world)
        lifecycle.start_runs(world)
    admission.admit(world)
    plan = world.ledger.close(world.timers[0].due if world.timers else None)
    plan.feed = feed.changes_of(world, plan)
    return plan


def live_tries(world: World, executor: str) -> set[TryKey]:
    """The keys of all live tries that were given to an executor."""
    return {TryKey(ti_id, live.run.tries[live.slot]) for ti_id, live in world.live.items() if live.executor == executor}


def work_of(world: World, key: TryKey) -> Work | None:
    """The work of a live try, to submit it again; None if it is not live."""
    live = world.live.get(key.ti_id)
    if live is None or live.run.tries[live.slot] != key.try_number:
        return None
    return admission.make_work(live.run, live.slot, live.executor)


def _fire_timers(world: World) -> None:
    while (timer := world.pop_timer()) is not None:
        if timer.kind is TimerKind.RETRY and isinstance(timer.subject, tuple):
            number, slot = timer.subject
            run = world.runs.get(number)
            if run is not None and run.retry_at.get(slot) == timer.due:
                progress.retry(world, run, slot)
        elif timer.kind is TimerKind.DAG and isinstance(timer.subject, str):
            world.stirred[timer.subject] = None
        elif isinstance(timer.subject, int) and timer.subject in world.runs:
            world.stirred[world.runs[timer.subject].row.dag_id] = None
