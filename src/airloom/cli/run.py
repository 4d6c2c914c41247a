"""`airloom run FILE`: one run of one DAG file in the foreground, without a server or a database."""

import os
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import tzinfo
from pathlib import Path
from typing import Any

import msgspec
import typer
from rich.console import Console

from airloom import settings
from airloom.cli.live import LiveView, SummaryView, TIView
from airloom.cli.opening import json_object
from airloom.cli.output import Format, console
from airloom.cli.statuses import Status
from airloom.cli.times import iso, zone_of
from airloom.model.errors import InvalidRequest
from airloom.model.spec import DagSpec
from airloom.wiring.foreground import run_file

app = typer.Typer()


class ViewObserver:
    """Hands what `wiring.run_file` tells to a live view, which `stack` closes. grace: as in [local] grace."""

    def __init__(self, screen: Console, zone: tzinfo | None, grace: float, stack: ExitStack) -> None:
        self._screen = screen
        self._zone = zone
        self._grace = grace
        self._stack = stack
        self._view: LiveView | None = None
        self.cancelled = False

    def on_start(self, spec: DagSpec, run_id: str) -> None:
        """The file is parsed and the run is made."""
        self._screen.print(f"{spec.dag_id}: run {run_id}", markup=False, soft_wrap=True)
        self._view = self._stack.enter_context(LiveView(spec, self._screen, zone=self._zone))

    def on_change(self, rows: Iterable[TIView]) -> None:
        """TIs changed."""
        if self._view is not None:
            self._view.update(rows)

    def on_cancel(self) -> None:
        """Ctrl-C was pressed: the run is being ended."""
        self.cancelled = True
        self._screen.print(f"Cancelling: what runs is asked to end, and killed after {self._grace:g} s", soft_wrap=True)

    def finish(self, summary: SummaryView) -> None:
        """The run is over."""
        if self._view is not None:
            self._view.finish(summary)


@app.command()
def run(
    file: Path = typer.Argument(help="The DAG file.", exists=True, dir_okay=False, readable=True),
    dag: str | None = typer.Option(None, "--dag", help="Which DAG, if the file has several."),
    conf: str = typer.Option("", help="The run's conf, a JSON object.", metavar="JSON"),
    keep: bool = typer.Option(False, "--keep", help="Keep the run in the database of the home folder, with its logs."),
    output: Format = typer.Option(
        Format.TABLE, "--output", "-o", help="json: one JSON object on stdout, everything else on stderr."
    ),
) -> None:
    """Run one DAG file here and now, and show its tasks while they run.

    The exit status is 0 if the run succeeded, 1 if it failed, 130 if it was cancelled by Ctrl-C. Pools have no limit,
    and variables and connections come from the environment (AIRLOOM_VAR_KEY, AIRLOOM_CONN_ID), unless it is kept.

    Example: airloom run examples/01-flights/flights.py --conf '{"min_flights": 500}'
    """
    if output not in (Format.TABLE, Format.JSON):
        raise InvalidRequest("`airloom run` shows either its live view or, with `-o json`, one JSON object")
    loaded = settings.load(os.environ, Path.cwd())
    screen = console(stderr=output is Format.JSON)
    with ExitStack() as stack:
        zone, grace = zone_of(loaded.settings.cli.timezone), loaded.settings.local.grace
        observer = ViewObserver(screen, zone, grace, stack)
        summary = run_file(loaded, file.resolve(), dag, json_object(conf, "--conf"), observer, keep=keep)
        observer.finish(summary)
    screen.print(f"logs: {summary.logs}", markup=False, soft_wrap=True)
    if output is Format.JSON:
        sys.stdout.write(msgspec.json.encode(summary_data(summary)).decode() + "\n")
    if observer.cancelled:
        raise typer.Exit(Status.INTERRUPTED)
    raise typer.Exit(Status.OK if summary.state == "success" else Status.FAILED)


def summary_data(summary: SummaryView) -> dict[str, Any]:
    """The one object of `-o json`."""
    return {
        "dag_id": summary.dag_id,
        "run_id": summary.run_id,
        "state": str(summary.state),
        "tasks": [
            {
                "task_id": ti.task_id,
                "map_index": ti.map_index,
                "state": str(ti.state),
                "try_number": ti.try_number,
                "started_at": iso(ti.started_at),
                "ended_at": iso(ti.ended_at),
                "cause": None if ti.cause is None else str(ti.cause),
                "detail": ti.detail,
            }
            for ti in summary.tasks
        ],
    }
