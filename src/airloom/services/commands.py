"""What the inbox asks, made into events: facts that only the database knows are looked up before the World decides."""

import logging

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
    Reload,
    RunLoaded,
    TriggerRun,
)
from airloom.store import dags, inbox, runs, snapshots
from airloom.store.database import Connection, Database

log = logging.getLogger("airloom.scheduler")

_BATCH = 512


class Commands:
    """Takes commands from the inbox.

    One that makes the scheduler fail in a way nobody foresaw must not do so for ever: after such a failure commands are
    taken one by one, and the one that fails alone is answered with an error.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._single = False
        self._in_hand: list[int] = []
        self._poison: set[int] = set()

    def take(self, world: World) -> tuple[list[Event], dict[int, Answer], bool]:
        """Events for the World, answers that need none, and whether there is more to take."""
        limit = 1 if self._single else _BATCH
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
                else:
                    refusal = self._refusal(conn, command)
                    if refusal is not None:
                        answers[number] = refusal
                    else:
                        events += self._finished_run(conn, world, command, loaded)
                        events.append(command)
        return events, answers, len(commands) == limit

    def suspect(self) -> None:
        """The turn failed; a command may be why."""
        if self._single and self._in_hand:
            self._poison.update(self._in_hand)
        self._single = bool(self._in_hand)

    def settled(self) -> None:
        """The turn is committed."""
        self._in_hand = []
        self._single = False

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

    def _refusal(self, conn: Connection, command: Command) -> Answer | None:
        """Why a run cannot be made, where only history knows."""
        if not isinstance(command, TriggerRun):
            return None
        if command.run_id is not None and runs.find_run(conn, command.dag_id, command.run_id) is not None:
            text = f"dag {command.dag_id} has a run {command.run_id} already"
            return Answer(error="conflict", message=text)
        if command.logical_date is not None:
            other = runs.run_with_logical_date(conn, command.dag_id, command.logical_date)
            if other is not None:
                text = f"dag {command.dag_id} has a run with that logical date already: {other.run_id}"
                return Answer(error="conflict", message=text)
        return None

    def _finished_run(
        self, conn: Connection, world: World, command: Command, loaded: set[tuple[str, str]]
    ) -> list[Event]:
        """A command about a run that has ended brings the run along."""
        if not isinstance(command, ClearTasks | CancelRun | Explain):
            return []
        name = (command.dag_id, command.run_id)
        if name in world.run_numbers or name in loaded or command.dag_id not in world.dags:
            return []
        found = snapshots.load_run(conn, *name)
        if found is None:
            return []
        loaded.add(name)
        return [RunLoaded(run=found[0], version=found[1])]
