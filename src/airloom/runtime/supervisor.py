"""Supervises tries: starts them, hears them out, ends them when they must end, and reports how they ended."""

import os
import signal
import time
from collections.abc import Callable, Mapping

from airloom.executors.settings import LocalSettings
from airloom.model.report import Cause, Ended, HandedBack, Outcome, Report, Started, TryKey, XComValue
from airloom.model.spec import Isolation
from airloom.model.wire import MAX_PAYLOAD, Ask, FrameError, GetSource
from airloom.model.work import Cancel, Work
from airloom.runtime.endings import Ending, Kill, OomCounter, judge
from airloom.runtime.log_sender import LogSender
from airloom.runtime.logs import TryLog, log_path_of
from airloom.runtime.loop import Loop, Timer
from airloom.runtime.masking import Masker
from airloom.runtime.memory import MemoryWatch
from airloom.runtime.messages import (
    LONGEST_DETAIL,
    FromTask,
    Mask,
    Push,
    Ready,
    Record,
    Rendered,
    Request,
    Result,
    Start,
    Told,
)
from airloom.runtime.nursery import Nursery
from airloom.runtime.preparation import Code, Preparation, Refused
from airloom.runtime.questions import Questions
from airloom.runtime.zygotes import Process

#: seconds after which the rendered fields of a try that writes nothing are written
_SHOW_AFTER = 0.05
#: seconds that a try may wait for a slot; it is handed back then, for another runner may have one
_PATIENCE = 0.25


class Try:
    """A try in hand."""

    __slots__ = (
        "file_hash", "kill", "log", "masker", "path", "process", "pushed", "result", "reuse", "root",
        "source",
        "started", "started_at", "timers", "work",
    )  # fmt: skip

    def __init__(self, work: Work, reuse: bool, log: TryLog, masker: Masker) -> None:
        self.work = work
        self.root = self.path = self.source = ""  # until its code is found
        self.file_hash = work.file_hash
        self.reuse = reuse
        self.log = log
        self.masker = masker
        self.process: Process | None = None
        self.started_at: float | None = None
        self.started: Started | None = None
        self.pushed: dict[str, XComValue] = {}
        self.result: Result | None = None
        self.kill: Kill | None = None
        self.timers: list[Timer] = []

    @property
    def key(self) -> TryKey:
        """The try's key."""
        return self.work.key

    @property
    def token(self) -> str:
        """What proves that the try is in hand."""
        return self.work.token


class _LateLogs:
    """Logs of tries that are over, which are closed in a moment."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._logs: list[TryLog] = []

    def add(self, log: TryLog) -> None:
        """Close this one soon."""
        if not self._logs:
            self._loop.later(_SHOW_AFTER, self.close)
        self._logs.append(log)

    def close(self) -> None:
        """Close them now."""
        for log in self._logs:
            log.close()
        self._logs.clear()


class _Line:
    """Tries that wait for a slot, in their order: short ones come some ahead. `tries`: all that are in hand. `place`
    has one started, `tired` is called with one that has waited for too long."""

    def __init__(
        self,
        loop: Loop,
        tries: Mapping[TryKey, Try],
        place: Callable[[Try], None],
        tired: Callable[[Try], None],
    ) -> None:
        self._loop = loop
        self._tries = tries
        self._place = place
        self._tired = tired
        self._waiting: dict[TryKey, tuple[Try, Timer]] = {}
        #: tries that run at once; None: all that come
        self.slots: int | None = None

    @property
    def crowded(self) -> bool:
        """Whether one waits."""
        return bool(self._waiting)

    @property
    def _running(self) -> int:
        return len(self._tries) - len(self._waiting)

    def enter(self, attempt: Try) -> None:
        """Have it started, if there is a slot for it and nobody waits who came before; or wait for one."""
        if self.slots is None or (not self._waiting and self._running <= self.slots):
            self._place(attempt)
            return

        def tired() -> None:
            self.leave(attempt)
            self._tired(attempt)

        self._waiting[attempt.key] = attempt, self._loop.later(_PATIENCE, tired)

    def fill(self) -> None:
        """Have those started for which there are slots by now."""
        while self._waiting and (self.slots is None or self._running < self.slots):
            attempt, _ = next(iter(self._waiting.values()))
            self.leave(attempt)
            self._place(attempt)

    def leave(self, attempt: Try) -> bool:
        """It waits no more; False if it did not."""
        _, timer = self._waiting.pop(attempt.key, (None, None))
        if timer is not None:
            timer.cancel()
        return timer is not None


class _Hearing:
    """What the processes of tries say. `used_again`: one has told its result and waits for another try."""

    def __init__(self, loop: Loop, questions: Questions, used_again: Callable[[Process, Try, Result], None]) -> None:
        self._loop = loop
        self._questions = questions
        self._used_again = used_again
        self._at_work: dict[int, Try] = {}  # by the id of the process

    def begin(self, process: Process, attempt: Try) -> None:
        """Hear a process for a try."""
        self._at_work[process.id] = attempt
        process.serve(self._loop, self._heard, self._printed, self._broken)

    def of(self, process: Process) -> Try | None:
        """The try that a process runs."""
        return self._at_work.get(process.id)

    def end(self, process: Process) -> None:
        """The try is over: whatever the process says now is nobody's."""
        self._at_work.pop(process.id, None)

    def _heard(self, process: Process, message: FromTask) -> None:
        attempt = self._at_work.get(process.id)
        if attempt is None:
            return
        match message:
            case Record(at=at, level=level, logger=logger, text=text):
                attempt.log.record(at, level, logger, text)
            case Rendered(at=at, fields=fields):
                attempt.log.rendered(at, fields)
                attempt.timers.append(self._loop.later(_SHOW_AFTER, attempt.log.show))
            case Push(value=value):
                attempt.pushed[value.key] = value
            case Request():
                self._questions.put(attempt, message)
            case Mask(id=id, secret=secret):
                attempt.masker.add([secret])
                process.send(Told(id))
            case Ready():
                attempt.timers.pop(0).cancel()  # the import's, which was set first
            case Result():
                attempt.result = message
                if attempt.reuse and attempt.kill is None and not process.gone:
                    self._used_again(process, attempt, message)

    def _broken(self, process: Process, error: FrameError) -> None:
        """What the process sent cannot be read, so its result will not be heard either."""
        attempt = self._at_work.get(process.id)
        if attempt is not None and attempt.kill is None:
            attempt.kill = Kill(Cause.ERROR, f"its process sent what the runner cannot read: {error}")
        process.signal(signal.SIGKILL, group=True)

    def _printed(self, process: Process, source: str, data: bytes) -> None:
        attempt = self._at_work.get(process.id)
        if attempt is not None:
            attempt.log.output(source, data)


class Supervisor:
    """The tries of one runner. `report` and `ask` are called with what the server is to know and to answer; `logs`
    sends it their logs, if it has to.

    Raises OSError if no process can be started.
    """

    def __init__(
        self,
        loop: Loop,
        settings: LocalSettings,
        identity: tuple[str, str],
        environment: Mapping[str, str],
        report: Callable[[Report], None],
        ask: Callable[[Ask | GetSource], None],
        logs: LogSender | None = None,
    ) -> None:
        def tired(attempt: Try) -> None:
            self._forget(attempt)
            self._report(_handed_back(attempt.work, "its worker had no slot for it: tries before it took longer"))

        def over_memory(attempt: Try, used: int) -> None:
            limit = attempt.work.memory_limit or self._settings.memory_limit or 0
            detail = f"its processes used {used / 2**20:,.0f} MiB of memory; its limit is {limit / 2**20:,.0f} MiB"
            self._kill(attempt, Kill(Cause.OOM, detail), 0)

        self._loop = loop
        self._logs = logs
        self._settings = settings
        self._runner, self._host = identity
        self._report = report
        self.questions = Questions(ask)
        self.preparation = Preparation(loop, settings, ask, self._prepared)
        self._tries: dict[TryKey, Try] = {}
        self.line = _Line(loop, self._tries, lambda attempt: self._nursery.place(attempt), tired)
        self._hearing = _Hearing(loop, self.questions, self._used_again)
        self._maskers: dict[int, Masker] = {}  # of reused processes: what one try learned, the next may tell
        #: it takes no more tries, and those that are killed from outside were stopped. Set in a signal handler, too
        self.stopping = False
        #: what has happened when it stops
        self.stopped = "the scheduler was stopped"
        self._late = _LateLogs(loop)
        self._oom = OomCounter()
        self._memory = MemoryWatch(loop, over_memory)
        self._nursery = Nursery(loop, self, settings, environment)
        self._nursery.start()  # before there is work

    # --- what the server wants -------------------------------------------------------------------------------------
    def configure(self, settings: LocalSettings) -> None:
        """Go by these settings from now on."""
        self._settings = settings
        self._nursery.settings = settings
        self.preparation.settings = settings

    def live(self) -> dict[TryKey, str]:
        """The tries in hand, each with its token."""
        return {key: attempt.token for key, attempt in self._tries.items()}

    def starts(self) -> list[Started]:
        """The starts of the tries in hand. One that has not started has none, unless it is this runner's by claim."""
        return [
            attempt.started or Started(key=attempt.key, at=time.time(), token=attempt.token)
            for attempt in self._tries.values()
            if attempt.started is not None or attempt.token
        ]

    def submit(self, work: Work) -> None:
        """Run a try, unless it is in hand already."""
        if work.key in self._tries:
            return
        if self.stopping:
            self._report(_handed_back(work))
            return
        reuse = (work.isolation or self._settings.isolation) is Isolation.REUSE
        masker = Masker()
        path = log_path_of(self._settings.home, work)
        wrote = None if self._logs is None else self._logs.follow(work, path)
        log = TryLog(path, masker, self._settings.log_limit, wrote)
        attempt = self._tries[work.key] = Try(work, reuse, log, masker)
        try:
            code = self.preparation.find(work)
        except Refused as refused:
            self._end(attempt, Ending(Outcome.FAILED, Cause.IMPORT, str(refused)))
            return
        if code is not None:
            self._prepared(work.key, code)

    def cancel(self, cancel: Cancel, cause: Cause = Cause.CANCELLED) -> None:
        """End a try, if it is in hand. As lost, it has ended for certain after its grace, whatever it does already."""
        attempt = self._tries.get(cancel.key)
        if attempt is not None:
            self._kill(attempt, Kill(cause, cancel.reason), cancel.grace)

    def stop(self, grace: float) -> None:
        """Take no more tries, give back those that have not started, end the others after `grace` seconds."""
        self.stopping = True
        for attempt in list(self._tries.values()):
            if attempt.process is None and (
                self.line.leave(attempt) or self._nursery.withdraw(attempt) or self.preparation.forget(attempt.work.key)
            ):
                self._forget(attempt)
                self._report(_handed_back(attempt.work))

        def end_all() -> None:
            for attempt in list(self._tries.values()):
                self._kill(attempt, Kill(Cause.STOPPED, self.stopped), None)

        self._loop.later(grace, end_all)

    def close(self) -> None:
        """End everything at once."""
        self._late.close()
        self.preparation.close()
        self._nursery.close()

    # --- what the preparation tells --------------------------------------------------------------------------------
    def _prepared(self, key: TryKey, code: Code | str) -> None:
        """Its code is there, or cannot be had for this reason."""
        attempt = self._tries[key]
        if isinstance(code, Code):
            attempt.root, attempt.path, attempt.source = code
            self.line.enter(attempt)
            return
        attempt.log.note(f"the try is handed back: {code}", "ERROR")
        self._forget(attempt)
        self._report(_handed_back(attempt.work, code, lacks=True))

    # --- what the nursery tells (it is the Guardian) ---------------------------------------------------------------
    def assigned(self, attempt: Try, process: Process) -> None:
        """Start the try: its process may still be forking, the order waits for it in its socket."""
        work, settings = attempt.work, self._settings
        attempt.process = process
        if attempt.reuse:
            masker = self._maskers.setdefault(process.id, attempt.masker)
            attempt.masker = masker
            attempt.log.use(masker)
        self._hearing.begin(process, attempt)
        attempt.started_at = time.time()
        xcom_limit = min(settings.xcom_limit, MAX_PAYLOAD)
        process.send(Start(work, attempt.path, attempt.source, attempt.root, xcom_limit, attempt.reuse))

        def limit(seconds: float, kill: Kill) -> None:
            attempt.timers.append(self._loop.later(seconds, lambda: self._kill(attempt, kill, None)))

        if process.zygote.key is None:
            detail = f"{attempt.path} was not imported within {settings.import_timeout:g} s"
            limit(settings.import_timeout, Kill(Cause.IMPORT, detail))
        if work.execution_timeout is not None:
            detail = f"it ran longer than its execution_timeout of {work.execution_timeout:g} s"
            limit(work.execution_timeout, Kill(Cause.TIMEOUT, detail))
        if process.pid is not None:
            self.forked(process)

    def forked(self, process: Process) -> None:
        """A try that has been started has a process now."""
        attempt = self._hearing.of(process)
        if attempt is None or attempt.started is not None or process.pid is None:
            return
        attempt.started = Started(
            key=attempt.work.key,
            at=attempt.started_at or time.time(),
            runner=self._runner,
            host=self._host,
            pid=process.pid,
            token=attempt.token,
        )
        self._report(attempt.started)
        limit = attempt.work.memory_limit or self._settings.memory_limit
        if limit is not None:
            self._memory.add(process.pid, attempt, limit)

    def exited(self, process: Process, status: int | None) -> None:
        """The process is gone: hear what it said last, and judge."""
        self._maskers.pop(process.id, None)
        attempt = self._hearing.of(process)
        if attempt is not None:
            process.read_rest()
            number = os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else 0
            if self.stopping and attempt.kill is None and number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
                # Whoever stops the service ends all its processes at once.
                attempt.kill = Kill(Cause.STOPPED, self.stopped)
            oom = number == signal.SIGKILL and self._oom.risen()
            self._end(attempt, judge(status, attempt.result, attempt.kill, oom))

    def unplaced(self, attempt: Try, cause: Cause, detail: str, output: str) -> None:
        """No process can be had for the try."""
        if cause is Cause.KILLED and self._oom.risen():
            cause = Cause.OOM
        if output:
            attempt.log.note(output.rstrip("\n"), "ERROR")
        self._end(attempt, Ending(Outcome.FAILED, cause, detail))

    # --- ends ------------------------------------------------------------------------------------------------------
    def _used_again(self, process: Process, attempt: Try, result: Result) -> None:
        """The try has told its result, and its process is to wait for another one."""
        process.pid = result.pid
        self.forked(process)
        process.read_pipes()
        self._end(attempt, judge(0, result, None, False))
        self._nursery.release(process)

    def _kill(self, attempt: Try, kill: Kill, grace: float | None) -> None:
        """End a try that goes on: SIGTERM, and after `grace` seconds SIGKILL for its whole process group."""
        ending = attempt.kill is not None or attempt.result is not None
        if attempt.work.key not in self._tries or (ending and kill.cause is not Cause.LOST):
            return
        process = attempt.process
        if not ending:
            attempt.kill = kill
        if process is None:
            self._nursery.withdraw(attempt)
            self._end(attempt, judge(0, None, kill, False))
            return
        grace = self._settings.grace if grace is None else grace

        def force() -> None:
            kill.forced = grace > 0
            process.signal(signal.SIGKILL, group=True)

        if not ending:
            attempt.log.note(f"ending the task: {kill.detail}", "WARNING")
        if grace > 0:
            if not ending:
                process.signal(signal.SIGTERM, group=False)
            attempt.timers.append(self._loop.later(grace, force))
        else:
            force()

    def _end(self, attempt: Try, ending: Ending) -> None:
        """The try is over: finish its log, report."""
        xcoms, result = attempt.pushed, ending.result
        if result is not None:
            xcoms |= {value.key: value for value in result.xcoms}
        detail = None if ending.detail is None else attempt.masker.mask_head(ending.detail, LONGEST_DETAIL)
        attempt.log.finish_lines()
        if result is None and detail is not None:
            attempt.log.note(f"the try failed: {detail}", "ERROR")
        process = attempt.process
        self._forget(attempt)
        self._report(
            Ended(
                key=attempt.work.key,
                at=time.time(),
                outcome=ending.outcome,
                started_at=attempt.started_at,
                cause=ending.cause,
                detail=detail,
                exit_code=ending.exit_code,
                signal=ending.signal,
                xcoms=tuple(xcoms.values()),
                map_length=None if result is None else result.map_length,
                skip=None if result is None else result.skip,
                runner=self._runner,
                host=self._host,
                pid=0 if process is None else process.pid or 0,
                token=attempt.token,
            )
        )

    def _forget(self, attempt: Try) -> None:
        del self._tries[attempt.work.key]
        self.line.leave(attempt)
        self.preparation.forget(attempt.work.key)
        if attempt.process is not None:
            self._hearing.end(attempt.process)
            if attempt.process.pid is not None:
                self._memory.remove(attempt.process.pid)
        for timer in attempt.timers:
            timer.cancel()
        self.questions.forget(attempt)
        if attempt.log.waits and self._logs is None:
            # Its report goes first: what follows the try is not to wait for a file.
            self._late.add(attempt.log)
            return
        attempt.log.close()
        if self._logs is not None:
            self._logs.ended(attempt.work.key)


def _handed_back(work: Work, why: str = "the runner is stopping", *, lacks: bool = False) -> HandedBack:
    return HandedBack(key=work.key, at=time.time(), detail=why, token=work.token, lacks=lacks)
