"""The runner process: `python -m airloom.runtime.runner FILE`, with the path of its settings file.

It supervises the tries of one server, and survives the server: tries go on, reports are kept, and it connects again.
"""

import contextlib
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import msgspec

from airloom import __version__
from airloom.executors.settings import LocalSettings, read_settings
from airloom.executors.unix_socket import take_lock
from airloom.model.report import Cause, Ended, Outcome, Report, Started, TryKey
from airloom.model.wire import (
    OLDEST_PROTOCOL,
    PROTOCOL,
    CancelTries,
    Claimed,
    FromRunner,
    Heartbeat,
    Hello,
    LogAck,
    Reply,
    Source,
    Stop,
    Submit,
    ToRunner,
    Wanted,
)
from airloom.model.work import Work
from airloom.runtime.journal import Journal, keep_ends, read_remains
from airloom.runtime.link import Link
from airloom.runtime.log_sender import LogSender
from airloom.runtime.loop import Loop
from airloom.runtime.outpost import Afar, Outpost
from airloom.runtime.process import MARK, kill_leftovers
from airloom.runtime.supervisor import Supervisor
from airloom.runtime.transport import Transport, UnixTransport

#: a stopping runner waits so long for its last reports to leave
_LAST_WORDS = 2.0
#: and so long, if its server is elsewhere: for logs, too
_LAST_WORDS_AFAR = 20.0
#: seconds that the start of a try may wait to be told together with its end, and ends for more of them while there is
#: a line of tries that wait for slots
_GATHER = 0.01


class Runner:
    """Ties the server's line to the supervisor of the tries."""

    def __init__(
        self,
        settings: LocalSettings,
        name: str,
        host: str,
        connect: Callable[[], Transport],
        afar: Afar | None = None,
    ) -> None:
        """`connect` gives a transport to the server, or raises OSError. `afar`: it is elsewhere."""
        self._settings = settings
        self._owner = settings.owner
        self._name = name
        self._host = host
        self._home = _home_id(settings) if afar is not None else ""
        self._connect_to_server = connect
        self._loop = Loop()
        self._reports: list[Report] = []
        self._gathering = False
        self._stopping = False
        self._stop_grace: float | None = None
        self._done = False
        environment = {**os.environ, MARK: name}
        self._journal = Journal(f"{settings.spool}/{name}.journal")
        self._link = Link(
            self._loop,
            self._journal,
            self._connect,
            self._greeting,
            self._heard,
            lambda: self._supervisor.starts(),
        )
        #: what a runner has whose server is elsewhere: this, and the outpost
        self._logs: LogSender | None = None
        errand = None if afar is None else afar.errand
        if afar is not None:
            shown = None if errand is None else errand.shown
            self._logs = LogSender(self._loop, settings.spool, self._link.send, shown)
        report = self._reports.append if errand is None else errand.telling(self._reports.append)
        self._supervisor = Supervisor(
            self._loop, settings, (name, host), environment, report, self._link.send, self._logs
        )
        self._outpost: Outpost | None = None
        if afar is not None:
            self._outpost = Outpost(self._loop, settings, afar, self._link, self._supervisor, report, self._heard)

    def run(self, inherited: list[Report], journals: list[Path]) -> bool:
        """Serve until told to stop, or until there has been no server and no work for too long; whether the server has
        heard all reports.

        `inherited`: reports of dead runners, from `journals`, which go as soon as the own journal has them.
        """
        _raise_file_limit()
        self._watch_signals()
        self._link.report(inherited)
        if self._journal.written:
            for path in journals:
                path.unlink(missing_ok=True)
        if self._logs is not None:
            self._logs.inherit()
        self._link.open()
        self._beat()
        self._check_orphaned()
        try:
            while not self._done:
                self._loop.turn()
                self._pass_on()
                if self._outpost is not None:
                    self._outpost.turned()
                if (self._stopping or self._dismissed) and self._idle and self._told:
                    self._done = self._outpost is None or self._outpost.leave()
        finally:
            self._supervisor.close()
            self._link.close()
            if self._outpost is not None:
                self._outpost.close()
        return self._link.settled

    @property
    def _idle(self) -> bool:
        """Whether there is no try in hand, and none to come."""
        return not self._supervisor.live() and (self._outpost is None or self._outpost.idle)

    @property
    def _dismissed(self) -> bool:
        """Whether people want it to end when what it has is over."""
        return self._outpost is not None and self._outpost.dismissed

    @property
    def _told(self) -> bool:
        """Whether all has been told. A server that is elsewhere has to say so itself."""
        if self._logs is None:
            return self._link.sent
        return self._link.settled and self._logs.settled

    def _connect(self) -> Transport:
        self._pass_on(at_once=True)  # what has just ended is to be told as pending
        return self._connect_to_server()

    def _pass_on(self, *, at_once: bool = False) -> None:
        """Report what happened. Starts by themselves wait for a moment: a short try has ended by then, and its start
        and its end are one message, one line of the journal and one commit of the scheduler. In a line of short tries
        ends wait so, too."""
        if not self._reports:
            return
        if not at_once and (
            self._supervisor.line.crowded or all(isinstance(report, Started) for report in self._reports)
        ):
            if not self._gathering:
                self._gathering = True
                self._loop.later(_GATHER, self._gathered)
            return
        reports = self._reports.copy()
        self._reports.clear()
        self._link.report(reports, () if self._logs is None else self._logs.last_words())
        if self._outpost is not None:
            self._outpost.tell(reports)

    def _gathered(self) -> None:
        self._gathering = False
        self._pass_on(at_once=True)

    def _greeting(self, pending: tuple[TryKey, ...]) -> list[FromRunner]:
        with contextlib.suppress(OSError, msgspec.MsgspecError):  # then those of before are good enough
            # The lease is what its fence was made for: told another one, the server would go by that.
            self._settings = msgspec.structs.replace(read_settings(self._settings.file), lease=self._settings.lease)
            self._supervisor.configure(self._settings)
        hello = Hello(
            protocol=PROTOCOL,
            oldest=OLDEST_PROTOCOL,
            runner=self._name,
            host=self._host,
            pid=os.getpid(),
            version=__version__,
            live=tuple(self._supervisor.live()),
            pending=pending,
            owner=self._owner,
            executor=self._settings.name,
            queues=self._settings.queues,
            slots=self._settings.parallelism if self._outpost is None else self._outpost.slots,
            worker=self._settings.worker,
            home=self._home,
            lease=self._settings.lease,
            clock=time.time(),
        )
        if self._logs is not None:
            self._logs.reconnected()
        urgent = [] if self._outpost is None else self._outpost.greeting()
        return [hello, *urgent, *self._supervisor.questions.unanswered()]

    def _submit(self, works: tuple[Work, ...]) -> None:
        if self._outpost is not None:
            self._outpost.submit(works)
            return
        for work in works:
            self._supervisor.submit(work)

    def _heard(self, message: ToRunner) -> None:
        match message:
            case Submit(works=works):
                self._submit(works)
            case CancelTries(cancels=cancels):
                if self._outpost is not None:
                    self._outpost.withdraw(cancel.key for cancel in cancels)
                for cancel in cancels:
                    self._supervisor.cancel(cancel)
            case Reply():
                self._supervisor.questions.tell(message)
            case Claimed() | Source() | Wanted() if self._outpost is not None:
                self._outpost.heard(message)
            case LogAck() if self._logs is not None:
                self._logs.heard(message)
            case Stop(grace=grace):
                self._stop(grace)

    def _stop(self, grace: float) -> None:
        """Once more: with less patience than was said before."""
        if self._stop_grace is not None and grace >= self._stop_grace:
            return
        self._stop_grace = grace
        self._stopping = True
        if self._outpost is not None:
            self._outpost.stop()
        self._supervisor.stop(grace)
        last_words = _LAST_WORDS if self._logs is None else _LAST_WORDS_AFAR
        self._loop.later(grace + self._settings.grace + last_words, self._finish)

    def _finish(self) -> None:
        self._done = True

    def _beat(self) -> None:
        if self._outpost is None:
            self._link.send(Heartbeat(live=tuple(self._supervisor.live())))
            self._loop.later(self._settings.heartbeat, self._beat)
        else:
            self._link.send(self._outpost.heartbeat())
            self._loop.later(self._outpost.beat, self._beat)

    def _check_orphaned(self) -> None:
        """Exit when for too long there has been no work, and no server or nobody who hands it work."""
        timeout = self._settings.orphan_timeout
        alone = None if self._outpost is None else self._outpost.alone_since
        since = min((moment for moment in (self._link.away_since, alone) if moment is not None), default=None)
        if since is not None and time.monotonic() - since >= timeout and not self._supervisor.live():
            self._done = True
        self._loop.later(max(0.05, timeout / 20), self._check_orphaned)

    def _watch_signals(self) -> None:
        read, write = socket.socketpair()
        read.setblocking(False)
        write.setblocking(False)
        signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)

        def at_once(_number: int, _frame: FrameType | None) -> None:
            # whoever stops all processes of a service together has ended the tries as well
            self._supervisor.stopping = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, at_once)

        def on_signal() -> None:
            if read.recv(4096):
                self._stop(0.0)

        self._loop.watch(read.fileno(), on_signal)
        self._wakeup = (read, write)


def inherit(settings: LocalSettings) -> tuple[list[Report], list[Path]]:
    """Take over from runners that died: end what their tries left running. Gives the reports that no server took, and
    the files that may go once these are kept elsewhere. Those of another owner's tries stay where they are."""
    reports: list[Report] = []
    kept: list[Path] = []
    for torn in Path(settings.spools).glob("**/*.new"):
        torn.unlink(missing_ok=True)
    for path in sorted(Path(settings.spools).glob("**/*.journal")):
        remains = read_remains(str(path))
        kill_leftovers(path.stem, remains.pids)
        if path.parent != Path(settings.spool):
            keep_ends(str(path), remains)
        else:
            reports += remains.reports
            if settings.server:  # which would otherwise wait for the end of their leases
                reports += map(_lost, remains.unfinished)
            kept.append(path)
    for path in sorted(Path(settings.spool).glob("*.ends")):
        reports += read_remains(str(path)).reports
        kept.append(path)
    return reports, kept


def _lost(started: Started) -> Ended:
    detail = "its runner was killed, and the next one there has ended what it left running"
    return Ended(
        key=started.key,
        at=time.time(),
        outcome=Outcome.FAILED,
        started_at=started.at if started.pid else None,
        cause=Cause.LOST,
        detail=detail,
        runner=started.runner,
        host=started.host,
        pid=started.pid,
        token=started.token,
    )


def serve(
    settings: LocalSettings,
    connect: Callable[[], Transport],
    afar: Afar | None = None,
) -> bool:
    """Be the runner of a home folder, until the work is over; whether the server has heard all reports. `afar`: it is
    elsewhere."""
    lock = _take_lock(settings)
    host = socket.gethostname()
    name = f"{host}-{os.getpid()}-{os.urandom(3).hex()}"
    with contextlib.suppress(OSError):  # a full disk: the lock holds without it
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()} {name}\n".encode())
    Path(settings.spool).mkdir(parents=True, exist_ok=True)
    return Runner(settings, name, host, connect, afar).run(*inherit(settings))


def main() -> None:
    """Work for the scheduler of this machine."""
    settings = read_settings(sys.argv[1])
    serve(settings, lambda: UnixTransport(settings.socket))


def _take_lock(settings: LocalSettings) -> int:
    """The lock that says that a runner lives. Ends this process if another has it for longer than a start takes."""
    deadline = time.monotonic() + 2.0
    while (lock := take_lock(settings.lock)) is None:
        if time.monotonic() > deadline:
            sys.exit(f"another runner holds {settings.lock}")
        time.sleep(0.01)
    return lock


def _home_id(settings: LocalSettings) -> str:
    """An id of the home folder, made when there is none; the lock of the home is held."""
    path = Path(settings.id_file)
    with contextlib.suppress(OSError, UnicodeError):
        if found := path.read_text("ascii").strip():
            return found
    made = os.urandom(8).hex()
    fresh = Path(settings.id_file + ".new")
    fresh.write_text(made)
    fresh.replace(path)
    return made


def _raise_file_limit() -> None:
    """A try needs four descriptors here; its own process keeps the limit that was set."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
