"""What the inbox asks, made into events: facts that only the database knows are looked up before the World decides."""

import logging
from typing import Any, NamedTuple

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
    Reported,
    RunLoaded,
    TriggerRun,
)
from airloom.model.report import Cause, Ended, Outcome, Report, Started, TryKey
from airloom.store import dags, inbox, runs, snapshots
from airloom.store.database import Connection, Database

log = logging.getLogger("airloom.scheduler")

#: commands that one turn takes at most
BATCH = 512
#: letters of an error that a row keeps
_DETAIL = 2000


class Taken(NamedTuple):
    """What came out of the inbox: reports of other machines, other events for the World, answers that need none, and
    whether there may be more."""

    reports: list[Report]
    events: list[Event]
    answers: dict[int, Answer | None]
    more: bool


class Commands:
    """Takes commands from the inbox.

    One that makes the scheduler fail in a way nobody foresaw must not do so for ever: after such a failure there is a
    turn without commands, to see that the fault is not elsewhere; then those that were in hand are taken one by one,
    and the one that fails alone is answered with an error. Reports of other machines that fail are parted and taken one
    by one, too; in the place of the one that fails alone comes the plain word that its try failed.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._skip = False
        #: how many are still to be taken one by one
        self._single = 0
        self._in_hand: list[int] = []
        #: commands that failed alone -> how often, and why at last
        self._poison: dict[int, tuple[int, str]] = {}

    def take(self, world: World, now: float) -> Taken:
        """What there is, up to a batch."""
        if self._skip:
            self._skip = False
            return Taken([], [], {}, True)
        limit = 1 if self._single else BATCH
        with self._db.reading() as conn:
            commands, more = inbox.take_some(conn, limit)
            self._in_hand = [number for number, _ in commands]
            events: list[Event] = []
            reports: list[Report] = []
            answers: dict[int, Answer | None] = {}
            loaded: set[tuple[str, str]] = set()
            mixed = [item for item in commands if _is_mixed(item[1]) and item[0] in self._poison]
            for number, command in commands if not mixed else ():
                if isinstance(command, Reported):
                    reports += self._unpacked(command, number)
                    answers[number] = None
                elif number in self._poison:
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
        if mixed:
            self._part(mixed, now)
        return Taken(reports, events, answers, more or bool(mixed))

    def ends(self) -> set[TryKey]:
        """The tries whose end is in the inbox."""
        with self._db.reading() as conn:
            reported = [command.reports for _, command in inbox.take(conn, BATCH) if isinstance(command, Reported)]
        return {report.key for reports in reported for report in reports if not isinstance(report, Started)}

    def suspect(self, why: str) -> None:
        """The turn failed; a command may be why."""
        if self._single:
            for number in self._in_hand:
                self._poison[number] = (self._poison.get(number, (0, ""))[0] + 1, why)
        else:
            self._single = len(self._in_hand)
        self._in_hand = []
        self._skip = True

    def settled(self) -> None:
        """The turn is committed."""
        self._single = max(0, self._single - len(self._in_hand))
        self._in_hand = []

    def _unpacked(self, command: Reported, number: int) -> tuple[Report, ...]:
        """The reports, or what comes in the place of one that cannot be taken."""
        failures, why = self._poison.get(number, (0, ""))
        if not failures:
            return command.reports
        first = command.reports[0]
        return (unstorable(first, why),) if failures == 1 and not isinstance(first, Started) else ()

    def _part(self, mixed: list[tuple[int, Any]], now: float) -> None:
        """Put each report of a command that failed alone into a command of its own."""
        self._in_hand = []
        with self._db.transaction() as conn:
            for number, command in mixed:
                inbox.split(conn, number, [Reported(reports=(report,)) for report in command.reports], now)
                self._single += len(command.reports)

    def _reload(self, conn: Connection, world: World, command: Reload) -> list[Event]:
        events: list[Event] = []
        found = {row.dag_id: (row, version) for row, version in dags.current(conn, command.dag_ids)}
        for dag_id in command.dag_ids:
            row, version = found.get(dag_id, (None, None))
            if row is not None and version is not None and row.active:
                events.append(DagLoaded(dag=row, version=version))
            elif dag_id in world.dags:
                events.append(DagGone(dag_id=dag_id))
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


def unstorable(report: Report, why: str) -> Ended:
    """The plain word that a try failed, in the place of the report of its end, which cannot be stored."""
    detail = f"how the try ended could not be stored: {why}"[:_DETAIL]
    return Ended(key=report.key, at=report.at, outcome=Outcome.FAILED, cause=Cause.RESULT, detail=detail)


def _is_mixed(command: Command) -> bool:
    return isinstance(command, Reported) and len(command.reports) > 1
