"""`airloom runs`."""

from enum import StrEnum
from typing import Annotated

import typer

from airloom.cli.opening import opened
from airloom.cli.output import Format, Output, moment, show_record, show_rows, span
from airloom.cli.tasks import show_touched, ti_record
from airloom.cli.verbs import runs, tasks
from airloom.model.events import ClearTasks
from airloom.model.run import RunRow
from airloom.model.states import RunState
from airloom.operations.ops import Ops

app = typer.Typer(no_args_is_help=True)

DagId = Annotated[str, typer.Argument(help="The DAG's id.", show_default=False)]
RunId = Annotated[str, typer.Argument(help="The run's id, the beginning of it, or `latest`.", show_default=False)]


@app.callback()
def _root() -> None:
    """List, show, clear, mark and cancel runs."""


@app.command("list")
def list_runs(
    dag_id: str | None = typer.Argument(None, help="Only runs of this DAG.", show_default=False),
    state: RunState | None = typer.Option(None, help="Only runs in this state."),
    limit: int = typer.Option(25, min=1, max=10_000, help="How many at most, newest first."),
    output: Output = Format.TABLE,
) -> None:
    """List runs, newest first.

    Example: airloom runs list flights --state failed
    """
    with opened() as here:
        found = runs.list_runs(here.ops, dag_id=dag_id, state=state, limit=limit)
        columns = ["dag_id", "run_id", "state", "type", "run_after", "started_at", "duration"]
        show_rows((_record(here.ops, run) for run in found), columns, output, here.zone)


@app.command()
def show(dag_id: DagId, run_id: RunId = "latest", output: Output = Format.TABLE) -> None:
    """Show a run and its tasks.

    Example: airloom runs show flights latest
    """
    with opened() as here:
        run, tis = tasks.list_tis(here.ops, dag_id, run_id)
        record = {**_record(here.ops, run), "note": runs.get_note(here.ops, dag_id, run.run_id)}
        rows = [ti_record(ti, here.ops.now()) for ti in tis]
        if output in (Format.JSON, Format.YAML):
            show_record({**record, "tasks": rows}, output, here.zone)
            return
        show_record(record, output, here.zone)
        show_rows(rows, ["task_id", "map_index", "state", "try_number", "started_at", "duration"], output, here.zone)


@app.command()
def clear(
    dag_id: DagId,
    run_id: RunId,
    only_failed: bool = typer.Option(False, "--only-failed", help="Only tasks that failed."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only show what would be cleared."),
) -> None:
    """Let the tasks of a run run again.

    Example: airloom runs clear flights latest --only-failed
    """
    with opened() as here:
        wanted = ClearTasks(dag_id=dag_id, run_id=run_id, only_failed=only_failed, dry_run=dry_run)
        show_touched(runs.clear(here.ops, wanted), "cleared", "clear", dry_run=dry_run)


class MarkedAs(StrEnum):
    """What a run may be marked as."""

    SUCCESS = "success"
    FAILED = "failed"


@app.command()
def mark(
    dag_id: DagId,
    run_id: RunId,
    state: Annotated[MarkedAs, typer.Argument(help="What it is to count as.", show_default=False)],
    dry_run: bool = typer.Option(False, "--dry-run", help="Only show which task instances would be marked."),
) -> None:
    """End a run as success or failed at once, or have one that has ended count so.

    As success: all its tasks count as succeeded, but those that were skipped. As failed: running tasks are stopped and
    count as failed, those that have not started as skipped.

    Example: airloom runs mark flights latest success
    """
    with opened() as here:
        names = runs.mark_run(here.ops, dag_id, run_id, RunState(state.value), dry_run=dry_run)
        show_touched(names, "marked", "mark", dry_run=dry_run)


@app.command()
def cancel(dag_id: DagId, run_id: RunId) -> None:
    """End a run as failed: running tasks are stopped, the rest never starts."""
    with opened() as here:
        whole = runs.cancel(here.ops, dag_id, run_id)
    typer.echo(f"run {whole} of {dag_id} is being cancelled")


def _record(ops: Ops, run: RunRow) -> dict[str, object]:
    return {
        "dag_id": run.dag_id,
        "run_id": run.run_id,
        "state": run.state.value,
        "type": run.run_type.value,
        "logical_date": moment(run.logical_date),
        "run_after": moment(run.run_after),
        "started_at": moment(run.started_at),
        "ended_at": moment(run.ended_at),
        "duration": span(run.started_at, run.ended_at or ops.now()),
        "conf": run.conf,
        "triggered_by": run.triggered_by,
        "commit": run.bundle_version,
    }
