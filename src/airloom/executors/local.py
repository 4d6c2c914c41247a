"""The local executor: tries run on this machine, under one runner process that outlives the scheduler."""

import threading
import time
from collections.abc import Callable, Iterable

from airloom.executors.base import AnswerTask
from airloom.executors.runner_line import RunnerLine
from airloom.executors.settings import LocalSettings
from airloom.model.errors import AirloomError
from airloom.model.report import Cause, Ended, HandedBack, Outcome, Report, TryKey
from airloom.model.wire import Ack, Ask, CancelTries, FromRunner, Hello, Reply, Reports, Submit
from airloom.model.work import Cancel, Work

__all__ = ["LocalExecutor", "LocalSettings"]

#: how long a start waits for the runner to say which tries it has
_ADOPT_TIMEOUT = 15.0
#: more ends than a runner can have told without having heard that they are acknowledged
_REMEMBERED = 10_000


class LocalExecutor:
    """Runs tries through the runner of `settings.home`; adopts the runner of a scheduler that has died.

    Raises Conflict if another scheduler uses the same home folder. `answer` is called from a thread of the executor's.
    """

    def __init__(self, settings: LocalSettings, answer: AnswerTask, wake: Callable[[], None]) -> None:
        self._settings = settings
        self._answer = answer
        self._wake = wake
        self._lock = threading.RLock()
        #: tries whose end has not been heard; the work is None for those that a former scheduler submitted
        self._held: dict[TryKey, Work | None] = {}
        #: those of them that the runner `_runner` was given
        self._given: set[TryKey] = set()
        self._cancels: dict[TryKey, Cancel] = {}
        self._runner = ""
        #: what the runner said that it has when it connected
        self._found: set[TryKey] = set()
        self._known = threading.Event()
        self._reports: list[Report] = []
        self._heard_seq = self._handed_seq = self._acked_seq = 0
        #: the last ends that were heard: a new runner may tell them again, from the journal of one that died
        self._ended: dict[TryKey, None] = {}
        self._trouble = ""
        self._line = RunnerLine(settings, self)
        self._line.start()

    # --- the executor protocol -------------------------------------------------------------------------------------
    def capacity(self) -> tuple[int | None, str]:
        """As many tries as `parallelism` says; none, and why, while no runner can be started."""
        if self._trouble:
            return 0, self._trouble
        return self._settings.parallelism or None, ""

    def submit(self, works: Iterable[Work]) -> None:
        """Run these."""
        with self._lock:
            new = tuple(work for work in works if work.key not in self._held)
            self._held.update((work.key, work) for work in new)
            if new and self._line.send(Submit(works=new)):
                self._given.update(work.key for work in new)

    def poll(self) -> list[Report]:
        """What happened since the last call, whose reports the runner may now forget."""
        with self._lock:
            if self._handed_seq > self._acked_seq and self._line.send(Ack(seq=self._handed_seq)):
                self._acked_seq = self._handed_seq
            self._handed_seq = self._heard_seq
            reports, self._reports = self._reports, []
            return reports

    def cancel(self, cancels: Iterable[Cancel]) -> None:
        """End these tries."""
        with self._lock:
            wanted = {cancel.key: cancel for cancel in cancels if cancel.key in self._held}
            self._cancels |= wanted
            for key, cancel in wanted.items():
                if key not in self._given:
                    self._end(key, Cause.CANCELLED, cancel.reason)
            given = tuple(cancel for key, cancel in wanted.items() if key in self._given)
            if given:
                self._line.send(CancelTries(cancels=given))

    def adopt(self, keys: Iterable[TryKey]) -> set[TryKey]:
        """Which of these tries go on or have a report to come. `keys` is all that the caller still wants: any other try
        that the runner has is ended."""
        self._known.wait(_ADOPT_TIMEOUT)
        with self._lock:
            wanted = set(keys)
            for key in wanted & self._found - self._held.keys():
                self._held[key] = None
                self._given.add(key)
            unwanted = self._found - wanted - self._held.keys()
            if unwanted:
                why, name = "the scheduler has no use for this try any more", self._settings.name
                cancels = tuple(Cancel(key=key, executor=name, reason=why) for key in unwanted)
                self._line.send(CancelTries(cancels=cancels))
            # An end that was heard before this call is still to be polled.
            return wanted & (self._held.keys() | {report.key for report in self._reports if isinstance(report, Ended)})

    def close(self, grace: float) -> None:
        """End the runner; waits for it. What it reports meanwhile can still be polled."""
        self._line.close(grace)
        with self._lock:
            for key in self._held.keys() - self._given:
                del self._held[key]
                self._reports.append(HandedBack(key=key, at=time.time(), detail="the scheduler stopped"))

    # --- what the line tells (this is its Owner) -------------------------------------------------------------------
    def greeted(self, hello: Hello) -> None:
        """A runner is there: settle what became of the tries that the one before it had."""
        with self._lock:
            has = set(hello.live) | set(hello.pending)
            if hello.runner != self._runner:
                died, self._runner = self._runner, hello.runner
                self._heard_seq = self._handed_seq = self._acked_seq = 0
                for key in self._given - has:
                    self._end(key, Cause.LOST, f"the runner {died} that had it died")
                self._given &= has
            self._found = has
            self._given |= has & self._held.keys()
            works = tuple(work for key, work in self._held.items() if work is not None and key not in has)
            self._given.update(work.key for work in works)
            cancels = tuple(cancel for key, cancel in self._cancels.items() if key in self._given)
            # under the lock, so that what is submitted meanwhile comes either with this or after it
            self._line.begin((Submit(works=works), CancelTries(cancels=cancels)))
        self._known.set()

    def heard(self, message: FromRunner) -> None:
        """The runner reports, or asks for a task."""
        if isinstance(message, Reports):
            self._take(message)
        elif isinstance(message, Ask):
            self._line.send(self._reply(message))

    def trouble(self, text: str) -> None:
        """No runner can be started, or one is there again."""
        if text != self._trouble:
            self._trouble = text
            self._wake()

    def _take(self, message: Reports) -> None:
        with self._lock:
            if message.seq <= self._heard_seq:
                return
            self._heard_seq = message.seq
            for report in message.reports:
                if isinstance(report, Ended):
                    if report.key in self._ended:
                        continue
                    self._ended[report.key] = None
                    if len(self._ended) > _REMEMBERED:
                        del self._ended[next(iter(self._ended))]
                if isinstance(report, Ended | HandedBack):
                    self._forget(report.key)
                self._reports.append(report)
        self._wake()

    def _reply(self, ask: Ask) -> Reply:
        try:
            return Reply(id=ask.id, value=self._answer(ask.key, ask.request))
        except AirloomError as error:
            return Reply(id=ask.id, error=str(error))
        except Exception as error:
            return Reply(id=ask.id, error=f"the scheduler could not answer: {type(error).__name__}: {error}")

    def _end(self, key: TryKey, cause: Cause, detail: str) -> None:
        """Report a try's end for a runner that cannot."""
        self._forget(key)
        self._reports.append(Ended(key=key, at=time.time(), outcome=Outcome.FAILED, cause=cause, detail=detail))
        self._wake()

    def _forget(self, key: TryKey) -> None:
        self._held.pop(key, None)
        self._given.discard(key)
        self._cancels.pop(key, None)
        self._found.discard(key)
