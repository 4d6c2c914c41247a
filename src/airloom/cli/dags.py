"""`airloom dags`."""

from typing import Annotated

import typer

from airloom.cli.following import follow_run
from airloom.cli.opening import confirm, json_object, opened
from airloom.cli.output import Format, Output, moment, show_record, show_rows
from airloom.cli.statuses import Status
from airloom.cli.times import parse_time
from airloom.cli.verbs import dags, runs
from airloom.model.run import DagRow
from airloom.model.spec import Cron, Never, schedule_text

app = typer.Typer(no_args_is_help=True)

DagId = Annotated[str, typer.Argument(help="The DAG's id.", show_default=False)]


@app.callback()
def _root() -> None:
    """List, show, trigger, pause and delete DAGs."""


@app.command("list")
def list_dags(
    output: Output = Format.TABLE,
    gone: bool = typer.Option(False, "--gone", help="Also those whose definition is gone."),
) -> None:
    """List the DAGs.

    Example: airloom dags list -o json
    """
    with opened() as here:
        rows = [_row(dag) for dag in dags.list_dags(here.ops, gone=gone)]
        errors = len(dags.import_errors(here.ops))
        columns = ["dag_id", "schedule", "paused", *(["active"] if gone else []), "tasks", "tags", "file"]
        show_rows(rows, columns, output, here.zone)
    if errors:
        noun = "error" if errors == 1 else "errors"
        typer.echo(f"{errors} import {noun}: `airloom dags errors` shows more", err=True)


@app.command()
def show(dag_id: DagId, output: Output = Format.TABLE) -> None:
    """Show a DAG: its settings and its tasks.

    Example: airloom dags show flights
    """
    with opened() as here:
        dag = dags.get_dag(here.ops, dag_id)
        spec = dag.spec
        record = {
            **_row(dag),
            "description": spec.description,
            "owner": spec.owner,
            "timezone": spec.timezone,
            "catchup": spec.catchup,
            "start_date": moment(spec.start_date),
            "end_date": moment(spec.end_date),
            "max_active_runs": spec.max_active_runs,
            "max_active_tasks": spec.max_active_tasks,
            "params": spec.params,
        }
        tasks = [
            {
                "task_id": task.task_id,
                "operator": task.operator,
                "mapped": task.map is not None,
                "upstream": list(task.upstream),
                "trigger_rule": task.trigger_rule.value,
                "retries": task.retries,
                "pool": task.pool,
            }
            for task in spec.tasks
        ]
        if output in (Format.JSON, Format.YAML):
            show_record({**record, "tasks": tasks}, output, here.zone)
            return
        show_record(record, output, here.zone)
        show_rows(tasks, ["task_id", "operator", "mapped", "upstream", "trigger_rule", "retries"], output, here.zone)


@app.command()
def trigger(
    dag_id: DagId,
    conf: str = typer.Option("", help="The run's conf: values of the DAG's params.", metavar="JSON"),
    run_id: str | None = typer.Option(None, help="The run's id; default: made from the time."),
    logical_date: str | None = typer.Option(None, help="The run's logical date, in ISO 8601.", metavar="TIME"),
    wait: bool = typer.Option(False, "--wait", help="Show the run until it ends; exit status 1 if it failed."),
    output: Output = Format.TABLE,
) -> None:
    """Start a run of a DAG. A scheduler must be running.

    Examples:

    airloom dags trigger flights --conf '{"airports": ["JFK"]}'

    airloom dags trigger flights --run-id nightly-1 --wait
    """
    with opened() as here:
        made = runs.trigger(
            here.ops,
            dag_id,
            conf=json_object(conf, "--conf"),
            run_id=run_id,
            logical_date=None if logical_date is None else parse_time(logical_date, here.zone),
        )
        if not wait:
            show_record({"dag_id": dag_id, "run_id": made}, output, here.zone)
        if dags.get_dag(here.ops, dag_id).paused:
            typer.echo(f"{dag_id} is paused: the run starts after `airloom dags unpause {dag_id}`", err=True)
        if wait:
            state = follow_run(here, dag_id, made, output)
            raise typer.Exit(Status.OK if state == "success" else Status.FAILED)


@app.command()
def pause(dag_id: DagId) -> None:
    """Pause a DAG: what runs goes on, nothing new of it is started."""
    with opened() as here:
        dags.set_paused(here.ops, dag_id, True)
    typer.echo(f"{dag_id} is paused")


@app.command()
def unpause(dag_id: DagId) -> None:
    """Let a paused DAG go on."""
    with opened() as here:
        dags.set_paused(here.ops, dag_id, False)
    typer.echo(f"{dag_id} is not paused")


@app.command()
def delete(dag_id: DagId, yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask.")) -> None:
    """Forget a DAG that is gone from its file, with all its runs, XComs and tries."""
    with opened() as here:
        dags.get_dag(here.ops, dag_id)
        confirm(f"Delete {dag_id} with its whole history?", yes=yes)
        dags.delete_dag(here.ops, dag_id)
    typer.echo(f"{dag_id} is deleted")


@app.command()
def errors(
    output: Output = Format.TABLE,
    traceback: bool = typer.Option(False, "--traceback", help="With the traceback of each."),
) -> None:
    """Show which DAG files, or DAGs in them, could not be loaded, and why."""
    with opened() as here:
        rows = [
            {
                "file": error.rel_path,
                "line": error.line,
                "dag_id": error.dag_id,
                "error": error.text,
                "found_at": moment(error.found_at),
                "traceback": error.traceback,
            }
            for error in dags.import_errors(here.ops)
        ]
        columns = ["file", "line", "dag_id", "error", "found_at"] + ["traceback"] * traceback
        show_rows(rows, columns, output, here.zone)


def _row(dag: DagRow) -> dict[str, object]:
    schedule = dag.spec.schedule
    zone = f" ({schedule.timezone})" if isinstance(schedule, Cron) and schedule.timezone != "UTC" else ""
    return {
        "dag_id": dag.dag_id,
        "schedule": None if schedule == Never() else schedule_text(schedule) + zone,
        "paused": dag.paused,
        "active": dag.active,
        "tasks": len(dag.spec.tasks),
        "tags": list(dag.spec.tags),
        "file": dag.rel_path,
    }
