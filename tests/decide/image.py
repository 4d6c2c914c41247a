"""All that a World knows, as comparable data: two Worlds with one image decide alike."""

from typing import Any

from airloom.decide.lanes import Gate
from airloom.decide.state import Run, World
from airloom.model.states import RunState


def image(world: World) -> dict[str, Any]:
    """Without executors' capacities, which no database knows, and without where lanes happen to be parked."""
    return {
        "next": (world.next_run, world.next_ti),
        "dags": {dag_id: (dag.row, sorted(dag.runs), sorted(dag.running)) for dag_id, dag in world.dags.items()},
        "run lines": {
            dag_id: sorted(entry for entry in dag.line if _is_queued(world, entry[1]))
            for dag_id, dag in world.dags.items()
        },
        "graphs": sorted(world.graphs),
        "runs": {number: _run(run) for number, run in world.runs.items()},
        "live": {
            ti_id: (live.run.row.id, live.slot, live.executor, live.queued_at, live.started_at)
            for ti_id, live in world.live.items()
        },
        "pools": {name: (gate.limit, gate.used) for name, gate in world.pools.items() if gate.limit != 0},
        "parallelism": world.parallelism.used,
        "executors": {name: gate.used for name, gate in world.executors.items()},
        "task limits": {
            (dag_id, task_id): _gate(gate)
            for dag_id, dag in world.dags.items()
            for task_id, gate in dag.task_gates.items()
            if gate.used
        },
        "waiting": (
            world.lines.waiting,
            sorted(
                (number, slot)
                for number, run in world.runs.items()
                for lane in run.lanes.values()
                for slot in lane.slots()
            ),
        ),
    }


def _is_queued(world: World, number: int) -> bool:
    return number in world.runs and world.runs[number].state is RunState.QUEUED


def _gate(gate: Gate) -> tuple[int | None, int]:
    return gate.limit, gate.used


def _run(run: Run) -> dict[str, Any]:
    return {
        "state": (run.state, run.cancelled, run.started_at, run.open, run.failed),
        "tis": list(
            zip(run.ids, run.task_of, run.map_index, run.states, run.tries, run.max_tries, run.infra, strict=True)
        ),
        "extra": run.extra,
        "facts": (run.retry_at, run.map_length, run.skips),
        "counters": (run.n_success, run.n_skipped, run.n_failed, run.n_upstream_failed, run.n_removed, run.n_total),
        "pending": run.pending,
        "limit": _gate(run.gate),
    }
