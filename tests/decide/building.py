"""Small DAGs and what is asked of a simulation, for tests of single behaviours."""

from airloom.model.events import TriggerRun
from airloom.model.spec import DagSpec, MapSpec, TaskSpec, XComInput
from tests.decide.simulation import Simulation


def dag(*tasks: TaskSpec, **args) -> DagSpec:
    return DagSpec(dag_id="d", tasks=tasks, **args)


def task(task_id: str, *upstream: str, **args) -> TaskSpec:
    return TaskSpec(task_id=task_id, upstream=tuple(sorted(upstream)), **args)


def started(sim: Simulation) -> list[str]:
    return [work.task_id if work.map_index < 0 else f"{work.task_id}[{work.map_index}]" for work in sim.started]


def trigger(sim: Simulation, run_id: str = "r", **args) -> None:
    sim.turn([TriggerRun(dag_id="d", run_id=run_id, **args)])


def mapped_over_a(**args) -> TaskSpec:
    return task("m", "a", map=MapSpec(inputs=(XComInput(arg="x", task_id="a"),)), **args)
