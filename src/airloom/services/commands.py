"""What the inbox asks, made into events: facts that only the database knows are looked up before the World decides."""

import logging

import msgspec

from airloom.decide.schedule import run_name
from airloom.decide.state import World
from airloom.model.events import (
    Answer,
    CancelRun,
    ClearTasks,
    Command,
    DagGone,
    DagLoaded,
    Event,
    Explain,
    MarkRun,
    MarkTasks,
    Reload,
    RunLoaded,
    TriggerRun,
)
from airloom.store import dags, inbox, runs, snapshots
from airloom.store.database import Connection, Database

log = logging.getLogger("airloom.scheduler")

#: commands that one turn takes at most
BATCH = 512


class Commands:
    """Takes commands from the inbox.

    One that makes the scheduler fail in a way nobody foresaw must not do so for ever: after such a failure there is a
    turn without commands, to see that the fault is not elsewhere; then those that were in hand are taken one by one,
    and the one that fails alone is answered with an error.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._skip = False
        #: how many are still to be taken one by one
        self._single = 0
        self._in_hand: list[int] = []
        self._poison: set[int] = set()

    def take(self, world: World, now: float) -> tuple[list[Event], dict[int, Answer], bool]:
        """Events for the World, answers that need none, and whether there is more to take."""
        if self._skip:
            self._skip = False
            return [], {}, True
        limit = 1 if self._single else BATCH
        with self._db.reading() as conn:
            commands = inbox.take(conn, limit)
            self._in_hand = [number for number, _ in commands]
            events: list[Event] = []
            answers: dict[int, Answer] = {}
            loaded: set[tuple[str, str]] = set()
            for number, command in commands:
                if number in self._poison:
                    text = "the scheduler failed on this request and left it undone; its log says why"
                    answers[number] = Answer(error="invalid", message=text)
                elif isinstance(command, Reload):
                    events += self._reload(conn, world, command)
                    answers[number] = Answer(value=list(command.dag_ids))
                elif isinstance(command, TriggerRun):
                    wanted = self._with_free_name(conn, command, now)
                    if isinstance(wanted, Answer):
                        answers[number] = wanted
                    else:
                        events.append(wanted)
                else:
                    events += self._finished_run(conn, world, command, loaded)
                    events.append(command)
        return events, answers, len(commands) == limit

    def suspect(self) -> None:
        """The turn failed; a command may be why."""
        if self._single:
            self._poison.update(self._in_hand)
        else:
            self._single = len(self._in_hand)
        self._in_hand = []
        self._skip = True

    def settled(self) -> None:
        """The turn is committed."""
        self._single = max(0, self._single - len(self._in_hand))
        self._in_hand = []

    def _reload(self, conn: Connection, world: World, command: Reload) -> list[Event]:
        events: list[Event] = []
        for dag_id in command.dag_ids:
            row = dags.dag_row(conn, dag_id)
            if row is None or not row.active:
                if dag_id in world.dags:
                    events.append(DagGone(dag_id=dag_id))
                continue
            version = dags.version_row(conn, row.version_id)
            if version is not None:
                events.append(DagLoaded(dag=row, version=version))
        return events

    def _with_free_name(self, conn: Connection, command: TriggerRun, now: float) -> TriggerRun | Answer:
        """The command, or why its run cannot be made, where only history knows."""
        dag_id, run_id, logical_date = command.dag_id, command.run_id, command.logical_date
        if run_id is not None and runs.find_run(conn, dag_id, run_id) is not None:
            return Answer(error="conflict", message=f"dag {dag_id} has a run {run_id} already")
        if logical_date is not None:
            other = runs.run_with_logical_date(conn, dag_id, logical_date)
            if other is not None:
                text = f"dag {dag_id} has a run with that logical date already: {other.run_id}"
                return Answer(error="conflict", message=text)
        if run_id is None:
            # The usual name may be that of a run in history, which the World does not know.
            usual = name = run_name(command.run_type, now if logical_date is None else logical_date)
            count = 1
            while runs.find_run(conn, dag_id, name) is not None:
                count += 1
                name = f"{usual}_{count}"
            if count > 1:
                return msgspec.structs.replace(command, run_id=name)
        return command

    def _finished_run(
        self, conn: Connection, world: World, command: Command, loaded: set[tuple[str, str]]
    ) -> list[Event]:
        """A command about a run that has ended brings the run along."""
        if not isinstance(command, ClearTasks | MarkTasks | MarkRun | CancelRun | Explain):
            return []
        name = (command.dag_id, command.run_id)
        if name in world.run_numbers or name in loaded or command.dag_id not in world.dags:
            return []
        found = snapshots.load_run(conn, *name)
        if found is None:
            return []
        loaded.add(name)
        return [RunLoaded(run=found[0], version=found[1])]
