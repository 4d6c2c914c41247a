"""A database in dictionaries for tests of decisions: applies plans as the store does, and gives back snapshots."""

from collections.abc import Iterable

import msgspec

from airloom.model.plan import Plan
from airloom.model.report import TryKey
from airloom.model.run import DagRow, LiveRun, PoolRow, RunRow, Snapshot, TIRow, TryRow, VersionRow, XComRow
from airloom.model.spec import DagSpec
from airloom.model.spec_hash import spec_hash
from airloom.model.states import RUN_FINISHED

replace = msgspec.structs.replace


class Mirror:
    """Rows by their keys. A change to a row that is not as the plan expects is an error."""

    def __init__(self, pools: Iterable[PoolRow] = ()) -> None:
        self.dags: dict[str, DagRow] = {}
        self.versions: dict[int, VersionRow] = {}
        self.runs: dict[int, RunRow] = {}
        self.tis: dict[int, TIRow] = {}
        self.tries: dict[TryKey, TryRow] = {}
        self.xcoms: dict[tuple[int, str], XComRow] = {}
        self.pools = {pool.name: pool for pool in pools}

    def apply(self, plan: Plan) -> None:
        for number, run in plan.new_runs.items():
            assert number not in self.runs
            self.runs[number] = run
        for ti_id, ti in plan.new_tis.items():
            assert ti_id not in self.tis
            self.tis[ti_id] = ti
        for ti_id, change in plan.ti_changes.items():
            assert self.tis[ti_id].state is change.expected
            self.tis[ti_id] = replace(self.tis[ti_id], state=change.state, **change.values)
        for key, attempt in plan.new_tries.items():
            assert key not in self.tries
            self.tries[key] = attempt
        for key, values in plan.try_changes.items():
            self.tries[key] = replace(self.tries[key], **values)
        for number, values in plan.run_changes.items():
            self.runs[number] = replace(self.runs[number], **values)
        for dag_id, values in plan.dag_changes.items():
            self.dags[dag_id] = replace(self.dags[dag_id], **values)
        for ti_id in plan.drop_xcoms:
            self.xcoms = {key: row for key, row in self.xcoms.items() if key[0] != ti_id}
        self.xcoms.update(plan.xcoms)
        self.pools.update(plan.set_pools)
        for name in plan.delete_pools:
            del self.pools[name]
        for dag_id in plan.delete_dags:
            self._delete_dag(dag_id)

    def _delete_dag(self, dag_id: str) -> None:
        del self.dags[dag_id]
        self.versions = {number: row for number, row in self.versions.items() if row.dag_id != dag_id}
        self.runs = {number: row for number, row in self.runs.items() if row.dag_id != dag_id}
        self.tis = {ti_id: row for ti_id, row in self.tis.items() if row.run_id in self.runs}
        self.tries = {key: row for key, row in self.tries.items() if key.ti_id in self.tis}

    def load(self, spec: DagSpec, now: float, paused: bool) -> tuple[DagRow, VersionRow]:
        """What the loader does: the dag and its version are stored before the scheduler is told."""
        number = len(self.versions) + 1
        origin = {"bundle": "b", "rel_path": f"{spec.dag_id}.py", "file_hash": spec_hash(spec)}
        version = VersionRow(id=number, dag_id=spec.dag_id, number=number, spec=spec, **origin)
        old = self.dags.get(spec.dag_id)
        dag = DagRow(
            dag_id=spec.dag_id,
            version_id=number,
            spec=spec,
            paused=paused if old is None else old.paused,
            first_seen=now,
            **origin,
        )
        self.versions[number] = version
        self.dags[spec.dag_id] = dag
        return dag, version

    def live_run(self, number: int) -> LiveRun:
        return LiveRun(run=self.runs[number], tis=tuple(ti for ti in self.tis.values() if ti.run_id == number))

    def snapshot(self) -> Snapshot:
        unfinished = [number for number, run in self.runs.items() if run.state not in RUN_FINISHED]
        used = {self.runs[number].version_id for number in unfinished} | {dag.version_id for dag in self.dags.values()}
        return Snapshot(
            dags=tuple(self.dags.values()),
            versions=tuple(row for number, row in self.versions.items() if number in used),
            runs=tuple(self.live_run(number) for number in unfinished),
            pools=tuple(self.pools.values()),
            next_run=max(self.runs, default=0) + 1,
            next_ti=max(self.tis, default=0) + 1,
        )
