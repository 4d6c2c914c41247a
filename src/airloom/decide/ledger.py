"""Ledger: collects one turn's changes into a Plan, merging all that happens to one row."""

from typing import Any

import msgspec

from airloom.model.events import Answer
from airloom.model.plan import Plan, TIChange
from airloom.model.report import TryKey
from airloom.model.run import RunRow, TIRow, TryRow, XComRow
from airloom.model.states import TIState
from airloom.model.work import Cancel, Work


class Ledger:
    """What the turn has decided so far. `close` gives the plan."""

    def __init__(self) -> None:
        self.plan = Plan()

    def change_ti(self, ti_id: int, start: TIState, end: TIState, values: dict[str, Any]) -> None:
        """A TI goes from `start` to `end`; `values` are further columns of its row."""
        change = self.plan.ti_changes.get(ti_id)
        if change is None:
            self.plan.ti_changes[ti_id] = TIChange(id=ti_id, expected=start, state=end, values=values)
        else:
            change.state = end
            change.values.update(values)

    def new_ti(self, row: TIRow) -> None:
        """A TI comes into being; its later moves in the turn are merged into the row."""
        self.plan.new_tis[row.id] = row

    def new_run(self, row: RunRow) -> None:
        """A run comes into being."""
        self.plan.new_runs[row.id] = row

    def change_run(self, number: int, **values: Any) -> None:
        """Columns of a run's row change."""
        self.plan.run_changes.setdefault(number, {}).update(values)

    def change_dag(self, dag_id: str, **values: Any) -> None:
        """Columns of a dag's row change."""
        self.plan.dag_changes.setdefault(dag_id, {}).update(values)

    def new_try(self, row: TryRow) -> None:
        """A try is handed to an executor."""
        self.plan.new_tries[TryKey(row.ti_id, row.try_number)] = row

    def change_try(self, key: TryKey, values: dict[str, Any]) -> None:
        """Columns of a try's row change."""
        self.plan.try_changes.setdefault(key, {}).update(values)

    def keep_xcom(self, ti_id: int, key: str, value: bytes) -> None:
        """A TI leaves a value."""
        self.plan.xcoms[ti_id, key] = XComRow(ti_id=ti_id, key=key, value=value)

    def drop_xcoms(self, ti_id: int) -> None:
        """What a TI left before goes, also what it left in this very turn."""
        self.plan.drop_xcoms.append(ti_id)
        for key in [key for key in self.plan.xcoms if key[0] == ti_id]:
            del self.plan.xcoms[key]

    def submit(self, work: Work) -> None:
        """An executor is to run this."""
        self.plan.work[work.key] = work

    def cancel(self, cancel: Cancel) -> None:
        """An executor is to end this try; one that was admitted in this very turn is just not submitted."""
        self.plan.cancels[cancel.key] = cancel

    def answer(self, inbox_id: int | None, answer: Answer) -> None:
        """Answer a command and take its row out of the inbox."""
        if inbox_id is not None:
            self.plan.answers[inbox_id] = answer

    def close(self, wake_at: float | None) -> Plan:
        """The plan, with changes to rows that are new in this turn merged into these rows."""
        plan = self.plan
        plan.wake_at = wake_at
        for ti_id in plan.new_tis.keys() & plan.ti_changes.keys():
            change = plan.ti_changes.pop(ti_id)
            plan.new_tis[ti_id] = msgspec.structs.replace(plan.new_tis[ti_id], state=change.state, **change.values)
        for number in plan.new_runs.keys() & plan.run_changes.keys():
            plan.new_runs[number] = msgspec.structs.replace(plan.new_runs[number], **plan.run_changes.pop(number))
        for key in plan.new_tries.keys() & plan.try_changes.keys():
            plan.new_tries[key] = msgspec.structs.replace(plan.new_tries[key], **plan.try_changes.pop(key))
        for ti_id in [i for i, change in plan.ti_changes.items() if _is_nothing(change)]:
            del plan.ti_changes[ti_id]
        return plan


def _is_nothing(change: TIChange) -> bool:
    return change.state is change.expected and not change.values
