"""`airloom tasks`."""

import time
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import typer

from airloom.cli.opening import Opened, opened
from airloom.cli.output import Format, Output, moment, show_record, show_rows, span
from airloom.cli.times import parse_time
from airloom.cli.verbs import dags, runs, tasks, workers
from airloom.model.errors import AirloomError, InvalidRequest, NotFound
from airloom.model.events import ClearTasks, MarkTasks
from airloom.model.log_lines import LogLine
from airloom.model.run import RunRow, TIRow, TryRow
from airloom.model.states import TIState
from airloom.model.work import SERVED_BY_QUEUE

app = typer.Typer(no_args_is_help=True)

DagId = Annotated[str, typer.Argument(help="The DAG's id.", show_default=False)]
RunId = Annotated[str, typer.Argument(help="The run's id, the beginning of it, or `latest`.", show_default=False)]
TaskId = Annotated[str, typer.Argument(help="The task's id.", show_default=False)]
MapIndex = Annotated[int | None, typer.Option("--map-index", help="Which instance of a mapped task.", min=-1)]


class Relatives(StrEnum):
    """What may be cleared or marked along with a task."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"


#: seconds between two looks for new lines of a log that is followed
_FOLLOW_PAUSE = 0.2


@app.callback()
def _root() -> None:
    """List task instances, show their states and logs, clear and mark them."""


@app.command("list")
def list_tasks(
    dag_id: DagId,
    run_id: str | None = typer.Argument(None, help="A run's id, or `latest`; without: the DAG's tasks."),
    output: Output = Format.TABLE,
) -> None:
    """List the tasks of a DAG, or the task instances of a run.

    Example: airloom tasks list flights latest
    """
    with opened() as here:
        if run_id is None:
            spec = dags.get_dag(here.ops, dag_id).spec
            rows = [
                {
                    "task_id": task.task_id,
                    "operator": task.operator,
                    "mapped": task.map is not None,
                    "upstream": list(task.upstream),
                }
                for task in spec.tasks
            ]
            show_rows(rows, ["task_id", "operator", "mapped", "upstream"], output, here.zone)
            return
        _, tis = tasks.list_tis(here.ops, dag_id, run_id)
        columns = ["task_id", "map_index", "state", "try_number", "started_at", "duration", "detail"]
        show_rows((ti_record(ti, here.ops.now()) for ti in tis), columns, output, here.zone)


@app.command()
def state(
    dag_id: DagId, run_id: RunId, task_id: TaskId, map_index: MapIndex = None, output: Output = Format.TABLE
) -> None:
    """Show the state of a task in a run, with each of its tries.

    Example: airloom tasks state flights latest load_flights -o json
    """
    with opened() as here:
        run, tis = tasks.get_tis(here.ops, dag_id, run_id, task_id, map_index)
        records: list[dict[str, Any]] = [
            {**ti_record(ti, here.ops.now()), "tries": tries}
            for ti, tries in zip(tis, _tries(here, run, tis), strict=True)
        ]
        if len(records) == 1 and output is Format.TABLE:
            tries = records[0].pop("tries")
            show_record(records[0], output, here.zone)
            columns = ["try_number", "state", "started_at", "duration", "worker", "cause", "detail"]
            tries = [row | {"worker": row["worker"] or row["host"]} for row in tries]
            show_rows(tries, columns, output, here.zone)
        else:
            show_rows(records, ["task_id", "map_index", "state", "try_number", "duration", "detail"], output, here.zone)


@app.command()
def clear(
    dag_id: DagId,
    run_id: RunId,
    task_ids: Annotated[list[str], typer.Argument(help="The tasks' ids.", show_default=False)],
    map_index: MapIndex = None,
    also: Annotated[list[Relatives] | None, typer.Option("--with", help="And everything up- or downstream.")] = None,
    only_failed: bool = typer.Option(False, "--only-failed", help="Only those that failed."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only show what would be cleared."),
) -> None:
    """Let tasks of a run run again.

    Example: airloom tasks clear flights latest join --with downstream
    """
    wanted = ClearTasks(
        dag_id=dag_id,
        run_id=run_id,
        task_ids=tuple(task_ids),
        map_index=map_index,
        upstream=Relatives.UPSTREAM in (also or ()),
        downstream=Relatives.DOWNSTREAM in (also or ()),
        only_failed=only_failed,
        dry_run=dry_run,
    )
    with opened() as here:
        show_touched(runs.clear(here.ops, wanted), "cleared", "clear", dry_run=dry_run)


class MarkedAs(StrEnum):
    """What a task instance may be marked as."""

    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"


@app.command()
def mark(
    dag_id: DagId,
    run_id: RunId,
    state: Annotated[MarkedAs, typer.Argument(help="What they are to count as.", show_default=False)],
    task_ids: Annotated[list[str], typer.Argument(help="The tasks' ids.", show_default=False)],
    map_index: MapIndex = None,
    also: Annotated[list[Relatives] | None, typer.Option("--with", help="And everything up- or downstream.")] = None,
    dry_run: bool = typer.Option(False, "--dry-run", help="Only show what would be marked."),
) -> None:
    """Have tasks of a run count as ended: what runs of them is stopped, what follows them follows by its trigger rule.

    Example: airloom tasks mark flights latest success join
    """
    with opened() as here:
        run = runs.get_run(here.ops, dag_id, run_id)
        wanted = MarkTasks(
            dag_id=dag_id,
            run_id=run.run_id,
            state=TIState(state.value),
            task_ids=tuple(task_ids),
            map_index=map_index,
            upstream=Relatives.UPSTREAM in (also or ()),
            downstream=Relatives.DOWNSTREAM in (also or ()),
            dry_run=dry_run,
        )
        names = runs.mark_tasks(here.ops, wanted, [run.run_id])
        show_touched([name.removeprefix(f"{run.run_id}/") for name in names], "marked", "mark", dry_run=dry_run)


@app.command()
def logs(
    dag_id: DagId,
    run_id: RunId,
    task_id: TaskId,
    map_index: MapIndex = None,
    try_number: int | None = typer.Option(None, "--try", min=1, help="Which try; default: the last one."),
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on until the try has ended."),
    output: Format = typer.Option(Format.TABLE, "--output", "-o", help="table or plain: text; json: an object a line."),
) -> None:
    """Show the log of a try.

    Example: airloom tasks logs flights latest load_flights --follow
    """
    if output is Format.YAML:
        raise InvalidRequest("a log is shown as text or, with `-o json`, as one JSON object a line")
    with opened() as here:
        run, tis = tasks.get_tis(here.ops, dag_id, run_id, task_id, map_index)
        if len(tis) > 1:
            raise InvalidRequest(f"task {task_id} has {len(tis)} instances in this run: choose one with --map-index")
        number = tis[0].try_number if try_number is None else try_number
        if number > tis[0].try_number:
            last = tis[0].try_number
            raise NotFound(f"task {task_id} has no try {number}: {f'the last one is {last}' if last else 'none yet'}")
        if number == 0 and not follow:
            typer.echo(f"task {task_id} has made no try yet; `airloom explain` says why", err=True)
            return
        _show_log(here, run, tis[0], max(number, 1), follow=follow, form=output)


def show_touched(names: list[str], done: str, verb: str, *, dry_run: bool) -> None:
    """One name a line on stdout; what it means on stderr. done, verb: as in "cleared" and "clear"."""
    for name in names:
        typer.echo(name)
    if not names:
        typer.echo(f"nothing to {verb}", err=True)
        return
    noun = "task instance" if len(names) == 1 else "task instances"
    typer.echo(f"{len(names)} {noun} {'would be ' if dry_run else ''}{done}", err=True)


def ti_record(ti: TIRow, now: float) -> dict[str, object]:
    """A TI as the commands show it."""
    return {
        "task_id": ti.task_id,
        "map_index": None if ti.map_index < 0 else ti.map_index,
        "state": ti.state.value,
        "try_number": ti.try_number,
        "max_tries": ti.max_tries,
        "started_at": moment(ti.started_at),
        "ended_at": moment(ti.ended_at),
        "duration": span(ti.started_at, ti.ended_at if ti.ended_at is not None else now),
        "executor": ti.executor,
        "cause": None if ti.cause is None else ti.cause.value,
        "detail": ti.detail,
    }


def _tries(here: Opened, run: RunRow, tis: Sequence[TIRow]) -> list[list[dict[str, object]]]:
    """The tries of each TI, with the names of the workers that are known still."""
    tries = [tasks.list_tries(here.ops, run, ti) for ti in tis]
    names: dict[str | None, str] = {}
    if any(one.executor in SERVED_BY_QUEUE and one.runner for of_one in tries for one in of_one):
        with suppress(AirloomError):  # a token for some dags may not see workers
            names = {worker.id: worker.name for worker in workers.list_workers(here.ops)}
    return [[_try(one, names.get(one.runner), here.ops.now()) for one in of_one] for of_one in tries]


def _try(one: TryRow, worker: str | None, now: float) -> dict[str, object]:
    return {
        "try_number": one.try_number,
        "state": one.state.value,
        "executor": one.executor,
        "queue": one.queue,
        "queued_at": moment(one.queued_at),
        "started_at": moment(one.started_at),
        "ended_at": moment(one.ended_at),
        "duration": span(one.started_at, one.ended_at if one.ended_at is not None else now),
        "worker": worker,
        "host": one.host,
        "pid": one.pid,
        "cause": None if one.cause is None else one.cause.value,
        "detail": one.detail,
        "exit_code": one.exit_code,
        "signal": one.signal,
    }


def _show_log(here: Opened, run: RunRow, ti: TIRow, number: int, *, follow: bool, form: Format) -> None:
    place, ended, nothing = None, False, True
    while not ended:
        lines, place, ended = tasks.read_log(here.ops, run, ti, number, place)
        for line in lines:
            _show_line(here, line, form)
            nothing = False
        if not lines and not ended:
            if not follow:
                break
            time.sleep(_FOLLOW_PAUSE)
    if nothing:
        typer.echo("there is no log here: the try has written nothing, or only its machine has it", err=True)


def _show_line(here: Opened, line: LogLine, form: Format) -> None:
    if form is Format.JSON:
        typer.echo(msgspec.json.encode(line).decode())
        return
    at = moment(parse_time(line.t, here.zone))
    shown = "" if at is None else f"{at.astimezone(here.zone):%H:%M:%S}"
    level = "" if line.level == "INFO" else f" {line.level}"
    typer.echo(f"{shown}{level} {line.text}")
