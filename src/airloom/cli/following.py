"""Shows a run that a scheduler elsewhere works on, until it ends."""

import time

from airloom.cli.live import LiveView
from airloom.cli.opening import Opened
from airloom.cli.output import Format, console, moment, show_record
from airloom.cli.verbs import dags, tasks
from airloom.model.run import RunRow, TIRow
from airloom.model.states import RUN_FINISHED

#: seconds between two looks at the database: enough for a person, next to nothing for the database
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.02, 0.5, 1.3


class _Summary:
    """A run and its TIs as the live view takes them."""

    def __init__(self, run: RunRow, tis: list[TIRow]) -> None:
        self.dag_id = run.dag_id
        self.run_id = run.run_id
        self.state = run.state.value
        self.tasks = tis


def follow_run(here: Opened, dag_id: str, run_id: str, form: Format) -> str:
    """Show a run while it goes on, on stderr unless a table is wanted; its state at the end."""
    spec = dags.get_dag(here.ops, dag_id).spec
    screen = console(stderr=form is not Format.TABLE)
    screen.print(f"{dag_id}: run {run_id}", markup=False, soft_wrap=True)
    pause = _FIRST_PAUSE
    try:
        with LiveView(spec, screen, zone=here.zone) as view:
            while True:
                run, tis = tasks.list_tis(here.ops, dag_id, run_id)
                view.update(tis)
                if run.state in RUN_FINISHED:
                    break
                time.sleep(pause)
                pause = min(pause * _GROWTH, _LONGEST_PAUSE)
            view.finish(_Summary(run, tis))
    except KeyboardInterrupt:
        screen.print(f"The run goes on; `airloom runs cancel {dag_id} {run_id}` ends it.", markup=False, soft_wrap=True)
        raise
    if form is not Format.TABLE:
        record = {"dag_id": dag_id, "run_id": run_id, "state": run.state.value, "ended_at": moment(run.ended_at)}
        show_record(record, form, here.zone)
    return run.state.value
