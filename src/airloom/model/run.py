"""Runs, task instances and tries as rows: what the store keeps and the scheduler's memory is rebuilt from."""

from enum import StrEnum
from typing import Any

import msgspec

from airloom.model.report import Cause, Skip
from airloom.model.spec import DagSpec
from airloom.model.states import RunState, TIState


class RunType(StrEnum):
    """What made a run."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"
    BACKFILL = "backfill"
    ASSET_TRIGGERED = "asset_triggered"


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """A dag run. `id` is the leader's number for it; (dag_id, run_id) is the user's name for it."""

    id: int
    dag_id: str
    run_id: str
    version_id: int
    run_type: RunType
    state: RunState
    run_after: float
    logical_date: float | None = None
    data_interval_start: float | None = None
    data_interval_end: float | None = None
    conf: dict[str, Any] = {}
    triggered_by: str | None = None
    queued_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    #: when a user asked for its end; its live tries are being ended, nothing more of it starts
    cancelled_at: float | None = None
    #: the commit whose code its tries run, if its dag comes from a repository
    bundle_version: str | None = None


class TIRow(msgspec.Struct, frozen=True, kw_only=True):
    """A task instance. `try_number` counts tries made (0 = none yet); another try is made while it is <= `max_tries`.

    max_tries starts as the task's retries; a try that ended through no fault of the task's raises it by one, and
    `infra_failures` counts those against their own budget.
    map_index is -1 for a task that is not mapped, and for a mapped one whose length is not yet known.
    """

    id: int
    run_id: int
    task_id: str
    map_index: int = -1
    state: TIState = TIState.NONE
    try_number: int = 0
    max_tries: int = 0
    infra_failures: int = 0
    retry_at: float | None = None
    scheduled_at: float | None = None
    queued_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    executor: str | None = None
    cause: Cause | None = None
    detail: str | None = None
    #: length of the returned list or dict, for tasks that are mapped over it
    map_length: int | None = None
    #: what a branch or short circuit asked to skip
    skip: Skip | None = None


class TryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a TI. Its key (ti_id, try_number) is its fencing token."""

    ti_id: int
    try_number: int
    state: TIState
    executor: str
    queue: str
    queued_at: float
    started_at: float | None = None
    ended_at: float | None = None
    runner: str | None = None
    host: str | None = None
    pid: int | None = None
    cause: Cause | None = None
    detail: str | None = None
    exit_code: int | None = None
    signal: int | None = None


class XComRow(msgspec.Struct, frozen=True, kw_only=True):
    """A value that a TI left for others. `value` is JSON."""

    ti_id: int
    key: str
    value: bytes


class DagRow(msgspec.Struct, frozen=True, kw_only=True):
    """A dag as the scheduler needs it: its current version and where its schedule stands.

    last_run_after / last_logical: of the newest scheduled run, or None. `first_seen` anchors schedules without a
    start date.
    """

    dag_id: str
    version_id: int
    spec: DagSpec
    bundle: str
    rel_path: str
    file_hash: str
    paused: bool
    first_seen: float
    #: False when its file or its definition is gone: history stays, nothing new is scheduled
    active: bool = True
    last_run_after: float | None = None
    last_logical: float | None = None


class VersionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A dag version that a live run is pinned to. bundle_version: the last commit that is known to have it: new runs
    begin with that one."""

    id: int
    dag_id: str
    number: int
    spec: DagSpec
    bundle: str
    rel_path: str
    file_hash: str
    bundle_version: str | None = None


class PoolRow(msgspec.Struct, frozen=True, kw_only=True):
    """A pool. slots = -1: unlimited."""

    name: str
    slots: int
    description: str = ""
    include_deferred: bool = False


class LiveRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run with all its TIs, and the live try of each TI that has one."""

    run: RunRow
    tis: tuple[TIRow, ...]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the scheduler's memory is rebuilt from. `runs` are the unfinished ones only."""

    dags: tuple[DagRow, ...] = ()
    versions: tuple[VersionRow, ...] = ()
    runs: tuple[LiveRun, ...] = ()
    pools: tuple[PoolRow, ...] = ()
    #: the first numbers not yet given to a run and to a TI
    next_run: int = 1
    next_ti: int = 1


DEFAULT_POOL = "default_pool"
