"""A real database in the place of the one in dictionaries, which goes along and says what must be in it."""

from collections.abc import Mapping
from typing import Any

from airloom.model.loading import ParsedFile
from airloom.model.plan import Plan
from airloom.model.run import DagRow, LiveRun, Snapshot, VersionRow
from airloom.model.spec import DagSpec
from airloom.model.spec_hash import spec_hash
from airloom.store import dags, leadership, snapshots
from airloom.store.database import Database
from airloom.store.plans import apply_plan
from tests.decide.mirror import Mirror


class Stored(Mirror):
    """Applies plans as the scheduler does. Snapshots come from the real database, and must be what the mirror has."""

    def __init__(self, db: Database) -> None:
        super().__init__()
        self._db = db
        with db.transaction() as conn:
            epoch = leadership.acquire(conn, "the test", 0.0, 1e12)
            self.pools = {pool.name: pool for pool in snapshots.load_snapshot(conn).pools}
        assert epoch is not None
        self._epoch = epoch

    def apply(self, plan: Plan) -> None:
        super().apply(plan)
        if plan.writes:
            with self._db.transaction() as conn:
                apply_plan(conn, plan, self._epoch, 0.0)

    def load(self, spec: DagSpec, now: float, paused: bool) -> tuple[DagRow, VersionRow]:
        parsed = ParsedFile(rel_path=f"{spec.dag_id}.py", file_hash=spec_hash(spec), dags=(spec,))
        with self._db.transaction() as conn:
            dags.save_file(conn, "b", parsed, "# source", now, paused=paused)
            ((dag, version),) = dags.current(conn, [spec.dag_id])
        self.dags[dag.dag_id] = dag
        self.versions[version.id] = version
        return dag, version

    def snapshot(self) -> Snapshot:
        with self._db.reading() as conn:
            found = snapshots.load_snapshot(conn)
        expected = super().snapshot()
        assert _by("dag_id", found.dags) == _by("dag_id", expected.dags)
        assert _by("id", found.versions) == _by("id", expected.versions)
        assert _by("name", found.pools) == _by("name", expected.pools)
        assert _tis(found) == _tis(expected)
        assert (found.next_run, found.next_ti) == (expected.next_run, expected.next_ti)
        return found

    def finished_run(self, dag_id: str, run_id: str) -> tuple[LiveRun, VersionRow]:
        """A run that has ended, as the scheduler reads it back."""
        with self._db.reading() as conn:
            found = snapshots.load_run(conn, dag_id, run_id)
        assert found is not None
        run = found[0]
        assert _by("id", run.tis) == _by("id", self.live_run(run.run.id).tis)
        assert run.run == self.runs[run.run.id]
        return found


def _by(name: str, rows: Any) -> dict[Any, Any]:
    return {getattr(row, name): row for row in rows}


def _tis(snapshot: Snapshot) -> Mapping[int, Any]:
    return {live.run.id: (live.run, _by("id", live.tis)) for live in snapshot.runs}
