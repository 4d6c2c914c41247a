"""What a history of a cluster must show, whatever went wrong meanwhile: pure functions of what was written down.

The truth about tries are the marks that they wrote themselves; the database and the logs are held against them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

#: seconds within which another scheduler leads when the leader has died
TAKEOVER = 5.0


class Instance(NamedTuple):
    """A task instance by its names."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int


class Mark(NamedTuple):
    """A process of a try. start, last: when it was alive, by the clock of all machines (seconds). done: it came to its
    own end. lines: how many it wrote into its log, if it did."""

    machine: str
    instance: Instance
    try_number: int
    pid: int
    start: float
    last: float
    done: bool
    lines: int
    pool: str


class Try(NamedTuple):
    """A try as the database has it."""

    number: int
    state: str
    cause: str | None = None
    detail: str | None = None
    runner: str | None = None


class Kill(NamedTuple):
    """When a leader was killed, and in which epoch it led."""

    at: float
    epoch: int


class History(NamedTuple):
    """All that is known. states: of task instances; tries: of each. runs: how many there should be, and the states of
    those that there are. pools: slots by name. logs: the lines of each try's log. epochs: when each was first seen.
    """

    runs: tuple[int, list[str]]
    states: Mapping[Instance, str]
    tries: Mapping[Instance, list[Try]]
    marks: list[Mark]
    pools: Mapping[str, int]
    logs: Mapping[tuple[Instance, int], list[str]]
    kills: list[Kill]
    epochs: list[tuple[float, int]]


def check(history: History) -> list[str]:
    """Everything that is wrong, a line each; nothing, if all is well."""
    return [
        *_all_ended(history),
        *_never_twice(history.marks),
        *_within_pools(history.marks, history.pools),
        *_whole_logs(history),
        *_leads(history.kills, history.epochs),
    ]


def _all_ended(history: History) -> Iterable[str]:
    wanted, runs = history.runs
    if len(runs) != wanted:
        yield f"{wanted} runs were asked for, there are {len(runs)}"
    for state in sorted({state for state in runs if state != "success"}):
        yield f"{runs.count(state)} runs are {state}"
    done: dict[Instance, set[int]] = defaultdict(set)
    for mark in history.marks:
        if mark.done:
            done[mark.instance].add(mark.try_number)
    for instance, state in history.states.items():
        if state != "success":
            yield f"{_name(instance)} is {state}; its tries: {history.tries.get(instance, [])}"
            continue
        last = history.tries[instance][-1]
        if last.state != "success":
            yield f"{_name(instance)} is success, and its last try {last}"
        elif last.number not in done[instance]:
            yield f"{_name(instance)}: try {last.number} is told as a success, and never came to its end"
    for instance in done.keys() - history.states.keys():
        yield f"{_name(instance)} ran and is not in the database"


def _never_twice(marks: list[Mark]) -> Iterable[str]:
    by_instance: dict[Instance, list[Mark]] = defaultdict(list)
    for mark in marks:
        by_instance[mark.instance].append(mark)
    for instance, mine in by_instance.items():
        mine.sort(key=lambda mark: mark.start)
        tries = [mark.try_number for mark in mine]
        for number in sorted({number for number in tries if tries.count(number) > 1}):
            places = [f"{mark.machine}:{mark.pid}" for mark in mine if mark.try_number == number]
            yield f"{_name(instance)}: try {number} was run more than once: {places}"
        latest = mine[0]
        for mark in mine[1:]:
            if mark.start < latest.last:
                yield (
                    f"{_name(instance)} was live twice for {latest.last - mark.start:.3f} s: try {latest.try_number} "
                    f"on {latest.machine} and try {mark.try_number} on {mark.machine}"
                )
            latest = max(latest, mark, key=lambda one: one.last)


def _within_pools(marks: list[Mark], pools: Mapping[str, int]) -> Iterable[str]:
    for pool, slots in pools.items():
        moments = [(mark.start, 1) for mark in marks if mark.pool == pool]
        moments += [(mark.last, -1) for mark in marks if mark.pool == pool]
        used = most = 0
        # At the same moment who leaves goes first.
        for _, change in sorted(moments):
            used += change
            most = max(most, used)
        if most > slots:
            yield f"the pool {pool} has {slots} slots, and {most} of its tries were live at once"


def _whole_logs(history: History) -> Iterable[str]:
    told = {(at, one.number) for at, tries in history.tries.items() for one in tries if _ended_by_itself(one)}
    for mark in history.marks:
        if not mark.done or (mark.instance, mark.try_number) not in told:
            continue
        wanted = [f"line {number} of {mark.lines}" for number in range(1, mark.lines + 1)]
        log = history.logs.get((mark.instance, mark.try_number), [])
        found = [line for line in log if line.startswith("line ")]
        if found != wanted:
            lost = [line for line in wanted if line not in found]
            yield (
                f"the log of {_name(mark.instance)}, try {mark.try_number}, on {mark.machine}, lacks {len(lost)} of "
                f"{mark.lines} lines: {lost[:3]}; it has {found[:3]} and {len(found)} in all"
            )


def _ended_by_itself(one: Try) -> bool:
    return one.state == "success" or one.cause == "error"


def _leads(kills: list[Kill], epochs: list[tuple[float, int]]) -> Iterable[str]:
    for kill in kills:
        later = [at - kill.at for at, epoch in epochs if epoch > kill.epoch and at >= kill.at]
        if not later:
            yield f"nobody led after the leader of epoch {kill.epoch} was killed"
        elif min(later) > TAKEOVER:
            yield f"it took {min(later):.1f} s until another scheduler led after epoch {kill.epoch}"


def _name(instance: Instance) -> str:
    index = f"[{instance.map_index}]" if instance.map_index >= 0 else ""
    return f"{instance.dag_id}.{instance.task_id}{index} of {instance.run_id}"
