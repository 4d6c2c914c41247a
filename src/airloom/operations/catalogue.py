"""What a process remembers of dag versions between requests: a version's spec never changes, its id never returns."""

import threading
from collections import OrderedDict
from collections.abc import Collection
from typing import Any

import msgspec

from airloom.decide.schedule import next_run
from airloom.model.errors import NotFound
from airloom.model.run import DagRow
from airloom.model.spec import DagSpec
from airloom.store import dag_lists
from airloom.store.dag_lists import DagHead

#: versions whose outlines are kept: some kilobytes each
_OUTLINES = 20_000
#: tasks whose whole specs are kept, over all versions: some hundred bytes each
_TASKS = 20_000


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """A version without what is large: `spec` has no tasks, groups and labels."""

    spec: DagSpec
    task_count: int


class Catalogue:
    """Specs and outlines that were read before. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outlines: OrderedDict[int, Outline] = OrderedDict()
        self._specs: OrderedDict[int, DagSpec] = OrderedDict()
        self._tasks = 0
        #: (version, newest scheduled run) -> when the next one is due; right until then
        self._next: dict[tuple[int, float | None], float | None] = {}

    def outlines(self, conn: Any, version_ids: Collection[int]) -> dict[int, Outline]:
        """The outlines of these versions; those that do not exist are left out."""
        with self._lock:
            known = {number: self._outlines[number] for number in version_ids if number in self._outlines}
        missing = [number for number in version_ids if number not in known]
        for start in range(0, len(missing), 100):
            for number, spec in dag_lists.specs(conn, missing[start : start + 100]).items():
                bare = msgspec.structs.replace(spec, tasks=(), groups=(), edge_labels={})
                known[number] = Outline(spec=bare, task_count=len(spec.tasks))
        with self._lock:
            for number in missing:
                if number in known:
                    self._outlines[number] = known[number]
            while len(self._outlines) > _OUTLINES:
                self._outlines.popitem(last=False)
        return known

    def spec(self, conn: Any, version_id: int) -> DagSpec:
        """The whole spec of a version. Raises NotFound if it was deleted."""
        with self._lock:
            known = self._specs.get(version_id)
            if known is not None:
                self._specs.move_to_end(version_id)
                return known
        found = dag_lists.specs(conn, [version_id]).get(version_id)
        if found is None:
            raise NotFound("this version of the dag was deleted meanwhile")
        with self._lock:
            if version_id not in self._specs:
                self._specs[version_id] = found
                self._tasks += len(found.tasks)
            while self._tasks > _TASKS and len(self._specs) > 1:
                self._tasks -= len(self._specs.popitem(last=False)[1].tasks)
        return found

    def next_run_after(self, head: DagHead, outline: Outline, now: float) -> float | None:
        """When the next scheduled run of a dag begins; None if it is paused, or there is no more."""
        if head.paused or not head.active:
            return None
        key = (head.version_id, head.last_run_after)
        known = self._next.get(key)
        if known is None or known <= now:
            due = next_run(outline.spec, as_row(head, outline.spec), now)
            known = None if due is None else due.run_after
            if len(self._next) > _OUTLINES:
                self._next.clear()
            self._next[key] = known
        return known


def as_row(head: DagHead, spec: DagSpec) -> DagRow:
    """The dag as decisions take it."""
    values = {name: getattr(head, name) for name in DagRow.__struct_fields__ if name != "spec"}
    return DagRow(spec=spec, **values)
