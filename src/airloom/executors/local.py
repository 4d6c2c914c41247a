"""The local executor: tries run on this machine, under one runner process that outlives the scheduler."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator

import msgspec

from airloom.executors.answers import Answers
from airloom.executors.base import AnswerTask
from airloom.executors.runner_keeper import CONNECT_TIMEOUT
from airloom.executors.runner_line import RunnerLine
from airloom.executors.settings import LocalSettings
from airloom.model.processes import RunnerState
from airloom.model.report import Cause, Ended, HandedBack, Outcome, Report, TryKey
from airloom.model.wire import (
    MAX_PAYLOAD,
    Ack,
    Ask,
    CancelTries,
    FrameError,
    FromRunner,
    Heartbeat,
    Hello,
    Reports,
    Submit,
    frame,
)
from airloom.model.work import Cancel, Work

__all__ = ["LocalExecutor", "LocalSettings"]

#: how long a start waits for the runner to say which tries it has: longer than until a runner that does not connect
#: has been killed, so that what is given up is not running any more
_ADOPT_TIMEOUT = CONNECT_TIMEOUT + 10.0
#: more ends than a runner can have told without having heard that they are acknowledged
_REMEMBERED = 10_000
#: bytes of work in one message
_BATCH_BYTES = 4 * 1024 * 1024
_UNWANTED = "the scheduler has no use for this try any more"


class LocalExecutor:
    """Runs tries through the runner of `settings.home`; adopts the runner of a scheduler that has died.

    Raises Conflict if another scheduler uses the same home folder. `answer` is called from threads of the executor's.
    """

    def __init__(self, settings: LocalSettings, answer: AnswerTask, wake: Callable[[], None]) -> None:
        self._settings = settings
        self._wake = wake
        self._lock = threading.RLock()
        #: tries whose end has not been heard; the work is None for those that a former scheduler submitted
        self._held: dict[TryKey, Work | None] = {}
        #: those of them that the runner `_runner` was given
        self._given: set[TryKey] = set()
        #: those that its last heartbeat did not have
        self._missing: set[TryKey] = set()
        self._cancels: dict[TryKey, Cancel] = {}
        #: tries that are ended because nobody wants them: not by a user's will
        self._unwanted: set[TryKey] = set()
        self._runner = ""
        self._hello: Hello | None = None
        #: what the runner said that it has when it connected
        self._found: set[TryKey] = set()
        #: those of them whose end was still to be told then
        self._pending: set[TryKey] = set()
        self._known = threading.Event()
        #: `adopt` was called: what the runner has and this does not hold is unwanted
        self._adopted = False
        self._closing = False
        self._reports: list[Report] = []
        self._heard_seq = self._handed_seq = self._acked_seq = 0
        #: the last ends that were heard: a new runner may tell them again, from the journal of one that died
        self._ended: dict[TryKey, None] = {}
        self._trouble = ""
        self._line = RunnerLine(settings, self)
        self._answers = Answers(answer, self._is_live, self._send_reply)
        self._line.start()

    # --- the executor protocol -------------------------------------------------------------------------------------
    def capacity(self) -> tuple[int | None, str]:
        """As many tries as `parallelism` says; none, and why, while no runner can be started or this is closing."""
        if self._closing:
            return 0, "the scheduler is stopping"
        if self._trouble:
            return 0, self._trouble
        return self._settings.parallelism or None, ""

    def submit(self, works: Iterable[Work]) -> None:
        """Run these. What comes when this is closing is kept, for the next scheduler."""
        with self._lock:
            new = tuple(work for work in works if work.key not in self._held)
            self._held.update((work.key, work) for work in new)
            if not self._closing:
                for data, keys in self._submits(new):
                    if self._line.send(data):
                        self._given |= keys

    def poll(self) -> list[Report]:
        """What happened since the last call, whose reports the runner may now forget."""
        with self._lock:
            if self._handed_seq > self._acked_seq and self._line.send(frame(Ack(seq=self._handed_seq))):
                self._acked_seq = self._handed_seq
            self._handed_seq = self._heard_seq
            reports, self._reports = self._reports, []
            return reports

    def cancel(self, cancels: Iterable[Cancel]) -> None:
        """End these tries."""
        with self._lock:
            wanted = {cancel.key: cancel for cancel in cancels if cancel.key in self._held}
            self._cancels |= wanted
            for key in wanted.keys() - self._given:
                self._end(key, "")
            self._send_cancels(wanted.keys() & self._given)

    def adopt(self, keys: Iterable[TryKey]) -> set[TryKey]:
        """Which of these tries go on or have a report to come. `keys` is all that the caller still wants: any other try
        is ended. With no keys this does not wait for the runner."""
        wanted = set(keys)
        with self._lock:
            unknown = wanted - self._held.keys()
        if unknown:
            self._known.wait(_ADOPT_TIMEOUT)
        with self._lock:
            self._adopted = True
            for key in wanted & self._found - self._held.keys():
                self._held[key] = None
                self._given.add(key)
            for key in self._held.keys() - wanted - self._given:
                self._forget(key)
            self._drop((self._found | self._held.keys()) - wanted)
            # An end that was heard before this call is still to be polled.
            over = {report.key for report in self._reports if isinstance(report, Ended | HandedBack)}
            return wanted & (self._held.keys() | over)

    def close(self, grace: float) -> None:
        """End the runner; waits for it. What it reports meanwhile can still be polled."""
        with self._lock:
            self._closing = True
        self._wake()  # nothing is to be admitted from now on
        self._line.close(grace)
        self._answers.close()
        with self._lock:
            for key in list(self._held):
                if key in self._given:
                    self._end(key, "the scheduler was stopped", Cause.STOPPED)
                else:
                    self._forget(key)
                    self._reports.append(HandedBack(key=key, at=time.time(), detail="the scheduler was stopped"))
        self._wake()

    def runner(self) -> tuple[Hello, RunnerState] | None:
        """The runner that is connected, as it presented itself, and what it does; None while there is none."""
        with self._lock:
            if self._hello is None or not self._line.connected:
                return None
            slots = self._settings.parallelism or None
            return self._hello, RunnerState(executor=self._settings.name, slots=slots, running=len(self._given))

    # --- what the line tells (this is its Owner) -------------------------------------------------------------------
    def greeted(self, hello: Hello) -> None:
        """A runner is there: settle what became of the tries that the one before it had."""
        with self._lock:
            has = set(hello.live) | set(hello.pending)
            if hello.runner != self._runner:
                died, self._runner, self._hello = self._runner, hello.runner, hello
                self._heard_seq = self._handed_seq = self._acked_seq = 0
                for key in self._given - has:
                    self._end(key, f"the runner {died} that had it died")
                self._given &= has
            self._missing.clear()
            self._found = has - self._ended.keys()
            self._pending = set(hello.pending)
            self._given |= has & self._held.keys()
            for key in self._cancels.keys() - has:
                self._end(key, "")
            works = tuple(work for key, work in self._held.items() if work is not None and key not in has)
            first = [frame(Ack(seq=self._acked_seq))] if self._acked_seq else []  # the last one may have been lost
            if not self._closing:
                for data, keys in self._submits(works):
                    first.append(data)
                    self._given |= keys
            # under the lock, so that what is submitted meanwhile comes either with this or after it
            self._line.begin(first)
            self._send_cancels(self._cancels.keys())
            if self._adopted:
                self._drop(self._found - self._held.keys())
        self._known.set()

    def heard(self, message: FromRunner) -> None:
        """The runner reports, says that it is alive, or asks for a task."""
        match message:
            case Reports():
                self._take(message)
            case Heartbeat(live=live):
                self._renew(set(live))
            case Ask():
                self._answers.ask(self._runner, message)

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
                    if report.cause is Cause.CANCELLED and report.key in self._unwanted:
                        report = msgspec.structs.replace(report, cause=Cause.STOPPED)
                if isinstance(report, Ended | HandedBack):
                    self._forget(report.key)
                self._reports.append(report)
        self._wake()

    def _renew(self, live: set[TryKey]) -> None:
        """The runner has these. One heartbeat may have crossed the submission on the line; two have not."""
        with self._lock:
            missing = self._given - live - self._pending
            for key in missing & self._missing:
                self._end(key, f"the runner {self._runner} does not know of it any more")
            self._missing = missing & self._given
            if self._adopted:
                self._drop(live - self._held.keys())

    # --- under the lock --------------------------------------------------------------------------------------------
    def _submits(self, works: tuple[Work, ...]) -> Iterator[tuple[bytes, set[TryKey]]]:
        """Messages that submit these, none of them too large, and the keys in each."""
        if not works:
            return
        try:
            data = frame(Submit(works=works), _BATCH_BYTES if len(works) > 1 else MAX_PAYLOAD)
        except FrameError as error:
            half = len(works) // 2
            if half == 0:
                what = "the run's conf and what else the try is to be told"
                self._end(works[0].key, f"{what} cannot be sent: {error}", Cause.LAUNCH)
                return
            yield from self._submits(works[:half])
            yield from self._submits(works[half:])
        else:
            yield data, {work.key for work in works}

    def _send_cancels(self, keys: Iterable[TryKey]) -> None:
        cancels = tuple(self._cancels[key] for key in keys)
        if cancels:
            self._line.send(frame(CancelTries(cancels=cancels)))

    def _drop(self, keys: set[TryKey]) -> None:
        """Have the runner end tries that nobody wants."""
        for key in keys - self._cancels.keys():
            self._unwanted.add(key)
            self._cancels[key] = Cancel(key=key, executor=self._settings.name, reason=_UNWANTED)
        self._send_cancels(keys)

    def _end(self, key: TryKey, detail: str, cause: Cause = Cause.LOST) -> None:
        """Report a try's end for a runner that cannot. What was to be ended anyway has ended as it was to."""
        cancel = self._cancels.get(key)
        if cancel is not None:
            cause, detail = Cause.STOPPED if key in self._unwanted else Cause.CANCELLED, cancel.reason
        held = key in self._held
        self._forget(key)
        if held:
            self._reports.append(Ended(key=key, at=time.time(), outcome=Outcome.FAILED, cause=cause, detail=detail))
            self._wake()

    def _forget(self, key: TryKey) -> None:
        self._held.pop(key, None)
        self._given.discard(key)
        self._cancels.pop(key, None)
        self._unwanted.discard(key)
        self._found.discard(key)
        self._pending.discard(key)

    # --- for the answers -------------------------------------------------------------------------------------------
    def _is_live(self, key: TryKey) -> bool:
        with self._lock:
            return key in self._held or key in self._found

    def _send_reply(self, runner: str, data: bytes) -> None:
        with self._lock:
            if runner == self._runner:
                self._line.send(data)
