"""The states of task instances and runs, and the one table of legal moves between them.

Everything that may change a state asks `check_move`; the diagram in docs/states.md is generated from `MOVES`.
"""

from enum import StrEnum

from airloom.model.errors import IllegalMove


class TIState(StrEnum):
    """The state of a task instance (TI): one task of one run, at one map index."""

    NONE = "none"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"
    REMOVED = "removed"
    RESTARTING = "restarting"
    UP_FOR_RETRY = "up_for_retry"
    UP_FOR_RESCHEDULE = "up_for_reschedule"
    DEFERRED = "deferred"


class RunState(StrEnum):
    """The state of a dag run."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"


class Actor(StrEnum):
    """Who makes a move."""

    SCHEDULER = "scheduler"
    REPORT = "report of the try"
    USER = "user"


FINISHED = frozenset({TIState.SUCCESS, TIState.FAILED, TIState.SKIPPED, TIState.UPSTREAM_FAILED, TIState.REMOVED})
FAILURES = frozenset({TIState.FAILED, TIState.UPSTREAM_FAILED})
LIVE_TRY = frozenset({TIState.QUEUED, TIState.RUNNING, TIState.RESTARTING})
RUN_FINISHED = frozenset({RunState.SUCCESS, RunState.FAILED})

_N, _S, _Q, _R = TIState.NONE, TIState.SCHEDULED, TIState.QUEUED, TIState.RUNNING
_OK, _F, _K, _UF, _X = TIState.SUCCESS, TIState.FAILED, TIState.SKIPPED, TIState.UPSTREAM_FAILED, TIState.REMOVED
_RS, _UR, _UX, _D = TIState.RESTARTING, TIState.UP_FOR_RETRY, TIState.UP_FOR_RESCHEDULE, TIState.DEFERRED

#: (from, to) -> who makes the move and why. The only place where moves are listed.
MOVES: dict[tuple[TIState, TIState], tuple[Actor, str]] = {
    (_N, _S): (Actor.SCHEDULER, "its dependencies are met"),
    (_N, _OK): (Actor.SCHEDULER, "it has nothing to execute"),
    (_N, _K): (Actor.SCHEDULER, "its trigger rule, a branch or an empty mapping skips it"),
    (_N, _UF): (Actor.SCHEDULER, "its trigger rule cannot be met any more"),
    (_N, _X): (Actor.SCHEDULER, "its map index is gone"),
    (_S, _Q): (Actor.SCHEDULER, "admitted: every limit has room"),
    (_S, _N): (Actor.USER, "cleared"),
    (_Q, _R): (Actor.REPORT, "started"),
    (_Q, _OK): (Actor.REPORT, "ended before its start was told"),
    (_Q, _F): (Actor.REPORT, "could not be started"),
    (_Q, _K): (Actor.REPORT, "ended before its start was told"),
    (_Q, _UR): (Actor.REPORT, "could not be started; a retry is left"),
    (_Q, _S): (Actor.REPORT, "handed back without being started"),
    (_Q, _RS): (Actor.USER, "cleared while it was queued"),
    (_R, _OK): (Actor.REPORT, "succeeded"),
    (_R, _F): (Actor.REPORT, "failed; no retry is left"),
    (_R, _K): (Actor.REPORT, "asked to be skipped"),
    (_R, _UR): (Actor.REPORT, "failed; a retry is left"),
    (_R, _UX): (Actor.REPORT, "asked to be run again later"),
    (_R, _D): (Actor.REPORT, "deferred to a trigger"),
    (_R, _RS): (Actor.USER, "cleared while it was running"),
    (_RS, _N): (Actor.REPORT, "its old try has ended"),
    (_UR, _S): (Actor.SCHEDULER, "its retry is due"),
    (_UR, _N): (Actor.USER, "cleared"),
    (_UX, _S): (Actor.SCHEDULER, "its time has come"),
    (_UX, _N): (Actor.USER, "cleared"),
    (_D, _S): (Actor.SCHEDULER, "its trigger fired"),
    (_D, _N): (Actor.USER, "cleared"),
    (_X, _N): (Actor.USER, "cleared"),
    (_OK, _N): (Actor.USER, "cleared"),
    (_F, _N): (Actor.USER, "cleared"),
    (_K, _N): (Actor.USER, "cleared"),
    (_UF, _N): (Actor.USER, "cleared"),
}
# What a cancelled run had not started is skipped; what runs is ended, and fails.
for _state in (_S, _UR, _UX, _D):
    MOVES[_state, _K] = (Actor.USER, "the run was cancelled")
MOVES[_RS, _F] = (Actor.USER, "the run was cancelled")
#: what a user may have a TI count as, whatever it is; a move that is made without a user as well stays listed as that
MARKS = (_OK, _F, _K)
for _state in TIState:
    for _mark in MARKS:
        if _state not in (_mark, _X):
            MOVES.setdefault((_state, _mark), (Actor.USER, "marked"))


def check_move(start: TIState, end: TIState) -> None:
    """Raise IllegalMove unless a TI may go from `start` to `end`."""
    if (start, end) not in MOVES:
        raise IllegalMove(f"a task instance cannot go from {start.value} to {end.value}")
