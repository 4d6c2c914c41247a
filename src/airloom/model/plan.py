"""Plan: everything that one turn of the scheduler decided, as plain data. The store applies it in one transaction, then
executors get the work.

Changes to a row are merged: however many moves a TI made in the turn, there is one change, with the state that the
database must still show (`expected`) and the one it is to have.
"""

from typing import Any

import msgspec

from airloom.model.events import Answer
from airloom.model.report import TryKey
from airloom.model.run import PoolRow, RunRow, TIRow, TryRow, XComRow
from airloom.model.states import TIState
from airloom.model.work import Cancel, Work


class TIChange(msgspec.Struct, kw_only=True):
    """A TI's row goes from `expected` to `state`; `values`: the other columns that change, by TIRow's field names."""

    id: int
    expected: TIState
    state: TIState
    values: dict[str, Any] = {}


class Plan(msgspec.Struct, kw_only=True):
    """The decisions of one turn. Everything is keyed by the row it is about; insertion order is the order of decisions.

    new_tries and try_changes: by TryKey; a try that is both made and ended in the turn is one insert.
    run_changes, dag_changes: column -> value by RunRow's and DagRow's field names.
    drop_xcoms: TIs whose XComs go, before `xcoms` are written.
    """

    new_runs: dict[int, RunRow] = {}
    new_tis: dict[int, TIRow] = {}
    new_tries: dict[TryKey, TryRow] = {}
    ti_changes: dict[int, TIChange] = {}
    try_changes: dict[TryKey, dict[str, Any]] = {}
    run_changes: dict[int, dict[str, Any]] = {}
    dag_changes: dict[str, dict[str, Any]] = {}
    drop_xcoms: list[int] = []
    xcoms: dict[tuple[int, str], XComRow] = {}
    set_pools: dict[str, PoolRow] = {}
    delete_pools: list[str] = []
    delete_dags: list[str] = []
    #: None: the command is done, and nobody waits for an answer
    answers: dict[int, Answer | None] = {}
    work: dict[TryKey, Work] = {}
    cancels: dict[TryKey, Cancel] = {}
    #: what people see of it, as JSON of decide.feed.Changes
    feed: bytes | None = None
    #: when the scheduler wants to be called again, at the latest
    wake_at: float | None = None

    @property
    def writes(self) -> bool:
        """Whether the plan has anything to commit."""
        return bool(
            self.new_runs
            or self.new_tis
            or self.new_tries
            or self.ti_changes
            or self.try_changes
            or self.run_changes
            or self.dag_changes
            or self.drop_xcoms
            or self.xcoms
            or self.set_pools
            or self.delete_pools
            or self.delete_dags
            or self.answers
            or self.feed
        )
