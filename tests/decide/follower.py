"""Somebody who knows of the runs only what the feed told."""

from airloom.decide.feed import decode
from airloom.model.plan import Plan
from tests.decide.mirror import Mirror

#: what is known of a run, and of a TI
RunSeen = tuple[str, float | None, float | None]
TISeen = tuple[str, int]


class Follower:
    """Folds what plans tell. A run that is new has all its TIs in state none, before any try."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], RunSeen] = {}
        self.tis: dict[tuple[str, str, str, int], TISeen] = {}

    def follow(self, plan: Plan) -> None:
        if plan.feed is None:
            return
        changes = decode(plan.feed)
        for run in changes.runs:
            self.runs[run.dag_id, run.run_id] = (run.state, run.started_at, run.ended_at)
        for of_run in changes.tis:
            assert not of_run.many
            for task_id, map_index, state, tries in of_run.changes:
                self.tis[of_run.dag_id, of_run.run_id, task_id, map_index] = (state, tries)
                if map_index == 0:
                    # The first of a mapped task had no index before it was known how many there are.
                    self.tis.pop((of_run.dag_id, of_run.run_id, task_id, -1), None)

    def knows_all_of(self, db: Mirror) -> None:
        """Assert that what was told is what the database has."""
        runs = {(run.dag_id, run.run_id): (run.state.value, run.started_at, run.ended_at) for run in db.runs.values()}
        assert self.runs == runs
        for ti in db.tis.values():
            run = db.runs[ti.run_id]
            told = self.tis.get((run.dag_id, run.run_id, ti.task_id, ti.map_index), ("none", 0))
            assert told == (ti.state.value, ti.try_number)
