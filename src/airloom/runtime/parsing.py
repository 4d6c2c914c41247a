"""Parses DAG files for the loader, each in a fresh child process, so that no file can harm anybody else."""

import errno
import os
import signal
from collections.abc import Iterable, Iterator

import msgspec

from airloom.executors.runner_process import clean_environment
from airloom.model.loading import LoadError, ParsedFile
from airloom.model.report import Cause
from airloom.model.wire import FrameError
from airloom.runtime.channel import Closed
from airloom.runtime.endings import describe_exit
from airloom.runtime.loop import Loop, Timer
from airloom.runtime.messages import Exited, Forked, FromTask, Parse, Parsed
from airloom.runtime.zygotes import BaseProcess, Process, Zygote

_TAIL = 16 * 1024


class ParseJob(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG file to parse: its path, its path within its bundle, its hash, its bundle's root folder."""

    path: str
    rel_path: str
    file_hash: str
    root: str


class _Parsing:
    """A file that is being parsed. `status` and `error` tell what became of its process."""

    def __init__(self, job: ParseJob, process: Process) -> None:
        self.job = job
        self.process = process
        self.parsed: ParsedFile | None = None
        self.tail = b""
        self.timer: Timer | None = None
        self.overdue = False
        self.status: int | None = None
        self.error = ""


class ParserPool:
    """Parses up to `workers` files at a time. `timeout`: seconds for a file; `memory_limit`: bytes for its process.

    The processes come from a fork server that is started with the first file and ends with `close`, after which
    `parse` may be called again. To be used by one thread.
    """

    def __init__(self, workers: int = 2, timeout: float = 50.0, memory_limit: int = 2 * 1024**3) -> None:
        self._workers = workers
        self._timeout = timeout
        self._memory_limit = memory_limit
        self._loop = Loop()
        self._base: Zygote | None = None
        self._base_process: BaseProcess | None = None
        self._parsing: dict[int, _Parsing] = {}
        self._done: list[_Parsing] = []
        self._next_id = 0

    def parse(self, jobs: Iterable[ParseJob]) -> Iterator[ParsedFile]:
        """Parse files; gives each one's result as it comes. Whatever a file does is an error in its own result.

        Raises OSError when no process can be started at all.
        """
        waiting = iter(jobs)
        more = True
        try:
            while more or self._parsing or self._done:
                while more and len(self._parsing) < self._workers:
                    job = next(waiting, None)
                    more = job is not None
                    if job is not None:
                        self._begin(job)
                if self._parsing and not self._done:
                    self._loop.turn()
                done, self._done = self._done, []
                for parsing in done:
                    yield self._result(parsing)
        finally:  # the caller may not want the rest
            for parsing in list(self._parsing.values()):
                parsing.process.signal(signal.SIGKILL, group=True)
                self._finish(parsing)
            self._done.clear()

    def close(self) -> None:
        """End the fork server."""
        if self._base is not None and self._base_process is not None:
            self._base.close()
            self._base_process.kill()
        self._base = self._base_process = None

    def _begin(self, job: ParseJob) -> None:
        if self._base is None:
            self._base_process = BaseProcess(clean_environment(dict(os.environ)))
            self._base = Zygote(self._loop, 0, self._base_process.sock, None, self._readable)
        self._next_id += 1
        process = self._base.fork(self._next_id)
        if process is None:
            raise OSError(errno.EMFILE, "no file descriptors are left to parse DAG files with")
        parsing = _Parsing(job, process)
        self._parsing[process.id] = parsing
        process.serve(self._loop, self._heard, self._printed, self._broken)
        process.send(Parse(job.path, job.rel_path, job.file_hash, job.root, self._memory_limit))
        parsing.timer = self._loop.later(self._timeout, lambda: self._overdue(parsing))

    def _overdue(self, parsing: _Parsing) -> None:
        parsing.overdue = True
        parsing.process.signal(signal.SIGKILL, group=True)

    def _heard(self, process: Process, message: FromTask) -> None:
        if isinstance(message, Parsed) and process.id in self._parsing:
            self._parsing[process.id].parsed = message.file

    def _broken(self, process: Process, error: FrameError) -> None:
        self._parsing[process.id].error = f"its process sent what cannot be read: {error}"
        process.signal(signal.SIGKILL, group=True)

    def _printed(self, process: Process, _source: str, data: bytes) -> None:
        parsing = self._parsing[process.id]
        parsing.tail = (parsing.tail + data)[-_TAIL:]

    def _readable(self, base: Zygote) -> None:
        try:
            messages = base.channel.receive()
        except Closed:
            self._base_died(base)
            return
        for message in messages:
            if isinstance(message, Exited) and message.id in self._parsing:
                self._parsing[message.id].status = message.status
                self._finish(self._parsing[message.id])
            elif isinstance(message, Forked) and message.pid is None and message.id in self._parsing:
                self._parsing[message.id].error = f"no process could be started to parse it: {message.error}"
                self._finish(self._parsing[message.id])

    def _base_died(self, base: Zygote) -> None:
        base.close()
        if self._base_process is not None:
            how = describe_exit(self._base_process.wait())[1]
            for parsing in list(self._parsing.values()):
                parsing.error = f"it could not be parsed because the fork server is gone: {how}"
                self._finish(parsing)
        self._base = self._base_process = None

    def _finish(self, parsing: _Parsing) -> None:
        parsing.process.read_rest()
        parsing.process.zygote.forget(parsing.process)
        parsing.process.close()
        if parsing.timer is not None:
            parsing.timer.cancel()
        del self._parsing[parsing.process.id]
        self._done.append(parsing)

    def _result(self, parsing: _Parsing) -> ParsedFile:
        parsed = parsing.parsed
        if parsed is not None and parsing.status == 0:
            return self._with_memory_errors(parsed)
        job = parsing.job
        error = LoadError(
            rel_path=job.rel_path,
            text=self._sentence(parsing),
            traceback=parsing.tail.decode("utf-8", "replace") or None,
        )
        return ParsedFile(rel_path=job.rel_path, file_hash=job.file_hash, errors=(error,))

    def _sentence(self, parsing: _Parsing) -> str:
        if parsing.error:
            return parsing.error
        if parsing.overdue:
            return (
                f"the file was not imported within {self._timeout:g} s: it waits for something, or works, while it is "
                "imported; move that into a task"
            )
        status = parsing.status or 0
        cause, how = describe_exit(status)
        match cause:
            case Cause.EXIT:
                return (
                    f"the file ended its process with exit status {os.WEXITSTATUS(status)} while it was imported "
                    "(os._exit?); a DAG file must come to its end"
                )
            case Cause.KILLED:
                return f"importing the file was cut short: {how}; it may have used more memory than there is"
            case _:
                return f"importing the file failed: {how}; a library that it imports may be broken"

    def _with_memory_errors(self, parsed: ParsedFile) -> ParsedFile:
        """Say what a MemoryError means here."""
        text = (
            f"importing the file takes more than {self._memory_limit // 2**20:,} MiB of memory; do such work in a task"
        )
        errors = tuple(
            msgspec.structs.replace(error, text=text) if error.text.startswith("MemoryError") else error
            for error in parsed.errors
        )
        return msgspec.structs.replace(parsed, errors=errors)
