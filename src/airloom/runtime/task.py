"""The task process: waits for the order to run a try (or to parse a DAG file), does so, and tells the result."""

import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import msgspec

from airloom.model.errors import AirloomError
from airloom.model.report import Cause, Outcome, XComValue
from airloom.model.wire import MAX_FRAME, MAX_PAYLOAD, TaskRequest
from airloom.model.work import Work
from airloom.runtime.channel import Channel, Closed
from airloom.runtime.messages import (
    LONGEST_DETAIL,
    LONGEST_RECORD,
    Mask,
    Parse,
    Parsed,
    Push,
    Ready,
    Record,
    Rendered,
    Request,
    Result,
    Start,
    Told,
    ToTask,
)
from airloom.runtime.process import flush_stdio, thread_count
from airloom.runtime.source import describe_failure, enter_bundle, import_file, imported_from
from airloom.sdk.client import set_client
from airloom.sdk.execution import execute
from airloom.sdk.loading import parse_file

log = logging.getLogger("airloom.task")


class Terminated(KeyboardInterrupt):
    """Raised in the task when it was asked to end."""


class Conversation:
    """The task's end of the channel to the runner; this is the sdk's TaskClient. Any thread may use it."""

    def __init__(self) -> None:
        self.pid = 0
        self.xcom_room = 0
        self._channel: Channel[ToTask]
        self._inbox: list[ToTask] = []
        self._next_id = 0
        self._sending = threading.RLock()
        self._asking = threading.RLock()

    def open(self, sock: socket.socket) -> None:
        """Begin, in this process."""
        self.pid = os.getpid()
        self._channel = Channel(sock, ToTask)

    def send(self, message: Any, limit: int = MAX_FRAME) -> None:
        """Tell the runner something; waits while the runner is busy. Ends the process if the runner is gone.

        Raises FrameError if the message has more than `limit` bytes.
        """
        with self._sending:
            try:
                self._channel.send(message, limit=limit)
            except Closed:
                os._exit(1)

    def next(self) -> ToTask:
        """Wait for the runner's next message."""
        while not self._inbox:
            try:
                self._inbox = self._channel.receive()
            except Closed:
                os._exit(0)
        return self._inbox.pop(0)

    def ask(self, request: TaskRequest) -> Any:
        """What the server answers. Raises AirloomError with its words when it refuses, or when the request is too
        large."""
        return self._call(Request, request)

    def mask(self, secret: str) -> None:
        """From now on, this text is never written to the log."""
        self._call(Mask, secret)

    def show_rendered(self, fields: dict[str, str]) -> None:
        """Have the log keep the template fields of the try."""
        self.send(Rendered(time.time(), fields))

    def push_xcom(self, value: XComValue) -> None:
        """Keep an XCom, whatever becomes of the try. Raises AirloomError if it is too large."""
        if len(value.value) > self.xcom_room:
            raise AirloomError(too_large(value, self.xcom_room))
        self.xcom_room -= len(value.value)
        self.send(Push(value))

    def _call(self, kind: type[Request] | type[Mask], what: Any) -> Any:
        if os.getpid() != self.pid:
            raise AirloomError(
                "a process that the task started cannot ask the scheduler: ask in the task, and hand on the value"
            )
        with self._asking:
            self._next_id += 1
            number = self._next_id
            self.send(kind(number, what), MAX_PAYLOAD)
            while True:
                answer = self.next()
                if isinstance(answer, Told) and answer.id == number:
                    break
        if answer.error is not None:
            raise AirloomError(answer.error)
        return answer.value


class RecordHandler(logging.Handler):
    """Sends the records of the task's logging to the runner; those of its child processes go to stderr."""

    def __init__(self, conversation: Conversation) -> None:
        super().__init__()
        self._conversation = conversation

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
            if os.getpid() != self._conversation.pid:
                print(text, file=sys.stderr)  # noqa: T201 -- the pipe of stderr leads to the same log
                return
            self._conversation.send(Record(record.created, record.levelname, record.name, text[:LONGEST_RECORD]))
        except Exception:
            self.handleError(record)


class TaskProcess:
    """One process that runs tries. `dags`: the imported file's, or None if it is to import the file itself.

    It is made before the process is forked: each page of memory that a child touches is copied for it, and costs.
    """

    def __init__(self, dags: dict[str, Any] | None) -> None:
        self._conversation = Conversation()
        self._handler = RecordHandler(self._conversation)
        self._dags = dags
        self._operator: Any = None
        self._terminated = False
        if dags is not None:
            self._take_log()

    def serve(self, sock: socket.socket) -> NoReturn:
        """In the new process: take orders from the other end of `sock` until there are no more."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        self.open(sock)
        while self.obey():
            continue
        self._exit()

    def open(self, sock: socket.socket) -> None:
        """Listen to the other end of `sock`."""
        self._conversation.open(sock)

    def obey(self) -> bool:
        """Wait for an order and carry it out; False if that was the last one."""
        order = self._conversation.next()
        if isinstance(order, Parse):
            self._parse(order)
            return False
        if isinstance(order, Start):
            self._run(order)
            return order.reuse
        return True

    def _run(self, start: Start) -> None:
        before = (dict(os.environ), Path.cwd()) if start.reuse else None
        self._terminated = False
        try:
            signal.signal(signal.SIGTERM, self._on_sigterm)
            result = self._result(start)
            signal.signal(signal.SIGTERM, signal.SIG_IGN if not start.reuse else signal.SIG_DFL)
        except Terminated:
            flush_stdio()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(1)
        if os.getpid() != self._conversation.pid:  # the task forked, and its child came out of it as well
            self._exit()
        flush_stdio()
        self._conversation.send(result)
        if before is not None:
            environment, folder = before
            os.chdir(folder)
            if dict(os.environ) != environment:
                os.environ.clear()
                os.environ.update(environment)

    def _result(self, start: Start) -> Result:
        """Run the try; whatever happens in it becomes a Result, but for the order to end it."""
        work, conversation = start.work, self._conversation
        conversation.xcom_room = start.xcom_limit
        self._take_log()
        try:
            if self._dags is None:
                before = set_client(conversation)
                self._dags, _files = import_file(start.path, start.source, start.root)
                set_client(before)
                conversation.send(Ready())
            os.chdir(start.root)
        except Terminated:
            raise
        except BaseException as error:
            log.exception("%s could not be imported", start.path)
            return _failed(Cause.IMPORT, describe_failure(error, start.path, start.root))
        for name, text in context_environment(work).items():
            os.environ[name] = text
        try:
            dag = self._dags.get(work.dag_id)
            self._operator = None if dag is None else dag.task_dict.get(work.task_id)
            if self._operator is None:
                missing = f"a task {work.task_id!r} in dag {work.dag_id!r}" if dag else f"a dag {work.dag_id!r}"
                return _failed(Cause.IMPORT, f"{start.path} has no longer {missing}")
            done = execute(self._operator, work, conversation, log, start.xcom_limit)
        except Terminated:
            raise
        except BaseException as error:
            log.exception("the task failed")
            return _failed(Cause.ERROR, traceback.format_exception_only(error)[-1].strip())
        finally:
            self._operator = None
        for value in done.xcoms:
            if len(value.value) > conversation.xcom_room:
                return _failed(Cause.RESULT, too_large(value, conversation.xcom_room))
            conversation.xcom_room -= len(value.value)
        detail = done.detail and done.detail[:LONGEST_DETAIL]
        return Result(os.getpid(), done.outcome, done.cause, detail, tuple(done.xcoms), done.map_length, done.skip)

    def _take_log(self) -> None:
        """Have all logging come here, whatever the DAG file or a former try has set."""
        if logging.root.handlers != [self._handler]:
            logging.root.handlers = [self._handler]
        if logging.root.level != logging.INFO:
            logging.root.setLevel(logging.INFO)

    def _on_sigterm(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._conversation.pid:  # a process that the task forked
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if self._terminated:
            return
        self._terminated = True
        if self._operator is not None:
            try:
                self._operator.on_kill()
            except Exception:
                log.exception("on_kill failed")
        raise Terminated

    def _parse(self, order: Parse) -> None:
        if order.memory_limit:
            resource.setrlimit(resource.RLIMIT_DATA, (order.memory_limit, order.memory_limit))
        enter_bundle(order.root)
        parsed = parse_file(order.path, order.rel_path, order.file_hash)
        modules = tuple(os.path.relpath(name, order.root) for name in imported_from(order.root, order.path))
        parsed = msgspec.structs.replace(parsed, modules=modules)
        if os.getpid() == self._conversation.pid:
            if thread_count() > 1:
                parsed = msgspec.structs.replace(parsed, threads=True)
            self._conversation.send(Parsed(parsed))

    def _exit(self) -> NoReturn:
        flush_stdio()
        os._exit(0)


def context_environment(work: Work) -> dict[str, str]:
    """What a task's subprocesses can learn of their try, as environment variables."""
    variables = {
        "AIRLOOM_CTX_DAG_ID": work.dag_id,
        "AIRLOOM_CTX_TASK_ID": work.task_id,
        "AIRLOOM_CTX_DAG_RUN_ID": work.run.run_id,
        "AIRLOOM_CTX_TRY_NUMBER": str(work.key.try_number),
        "AIRLOOM_CTX_MAP_INDEX": str(work.map_index),
    }
    if work.run.logical_date is not None:
        date = datetime.fromtimestamp(work.run.logical_date, UTC)
        variables["AIRLOOM_CTX_LOGICAL_DATE"] = date.isoformat()
    return variables


def too_large(value: XComValue, room: int) -> str:
    """The sentence for an XCom that is over the limit."""
    return (
        f"the XCom {value.key!r} is {len(value.value):,} bytes, and this try may keep only {room:,} more: "
        "store large data in a file or an object store, and return where it is"
    )


def _failed(cause: Cause, detail: str) -> Result:
    return Result(os.getpid(), Outcome.FAILED, cause, detail[:LONGEST_DETAIL])
