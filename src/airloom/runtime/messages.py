"""The messages between the runner, its zygotes and the task processes, all on one machine.

They are of the same build at both ends (one forked the other), so they carry no version.
"""

from typing import Any

import msgspec

from airloom.model.loading import ParsedFile
from airloom.model.report import Cause, Outcome, Skip, XComValue
from airloom.model.wire import TaskRequest
from airloom.model.work import Work

#: characters of a log record, and of the words on how a try ended; both are cut before they are sent
LONGEST_RECORD = 1024 * 1024
LONGEST_DETAIL = 16 * 1024


# --- runner -> zygote -------------------------------------------------------------------------------------------------
class Fork(msgspec.Struct, frozen=True, tag="fork", array_like=True):
    """Fork a task process. Comes with three descriptors: its control socket, its stdout, its stderr."""

    id: int


class Grow(msgspec.Struct, frozen=True, tag="grow", array_like=True):
    """Fork a zygote that imports `path` from `source`, with `root` on its import path.

    Comes with two descriptors: the new zygote's socket, and what it prints on.
    """

    id: int
    path: str
    source: str
    root: str


class Signal(msgspec.Struct, frozen=True, tag="signal", array_like=True):
    """Send a signal to a child, or to its whole process group. The zygote knows whether its number is still its own."""

    id: int
    number: int
    group: bool


ToZygote = Fork | Grow | Signal


# --- zygote -> runner -------------------------------------------------------------------------------------------------
class Forked(msgspec.Struct, frozen=True, tag="forked", array_like=True):
    """The child `id` exists. pid None: it could not be forked, `error` says why."""

    id: int
    pid: int | None
    error: str = ""


class Exited(msgspec.Struct, frozen=True, tag="exited", array_like=True):
    """The child `id` is gone, with everything left in its process group. `status` as waitpid gives it."""

    id: int
    status: int


class FileState(msgspec.Struct, frozen=True, array_like=True):
    """What a source file was like when it was imported; another state means that it has been edited since."""

    path: str
    mtime_ns: int
    size: int


class Imported(msgspec.Struct, frozen=True, tag="imported", array_like=True):
    """The DAG file is imported. `files`: the sources that came from its bundle. `threads`: it left threads running, so
    nothing may be forked from after it; this zygote is about to exit."""

    files: tuple[FileState, ...]
    threads: bool


class ImportFailed(msgspec.Struct, frozen=True, tag="import_failed", array_like=True):
    """The DAG file cannot be imported; this zygote is about to exit."""

    detail: str
    traceback: str


FromZygote = Forked | Exited | Imported | ImportFailed


# --- runner -> task process -------------------------------------------------------------------------------------------
class Start(msgspec.Struct, frozen=True, tag="start", array_like=True):
    """Run this try. `path`: the DAG file; `source`: where its text is, as the try's version has it; `root`: its
    bundle's folder; `xcom_limit`: bytes that it may return.

    `reuse`: wait for another Start afterwards, instead of exiting.
    """

    work: Work
    path: str
    source: str
    root: str
    xcom_limit: int
    reuse: bool


class Parse(msgspec.Struct, frozen=True, tag="parse", array_like=True):
    """Parse this DAG file. `memory_limit`: bytes of memory of its own that it may take; 0 = any."""

    path: str
    rel_path: str
    file_hash: str
    root: str
    memory_limit: int


class Told(msgspec.Struct, frozen=True, tag="told", array_like=True):
    """The answer to Request or Mask `id`. `error`: why there is none."""

    id: int
    value: Any = None
    error: str | None = None


ToTask = Start | Parse | Told


# --- task process -> runner -------------------------------------------------------------------------------------------
class Request(msgspec.Struct, frozen=True, tag="request", array_like=True):
    """The task wants to know something; it waits for Told `id`."""

    id: int
    request: TaskRequest


class Mask(msgspec.Struct, frozen=True, tag="mask", array_like=True):
    """Never write this text to a log. The task waits for Told `id`, so that what it prints next is masked."""

    id: int
    secret: str


class Push(msgspec.Struct, frozen=True, tag="push", array_like=True):
    """An XCom that counts even if the task fails later."""

    value: XComValue


class Record(msgspec.Struct, frozen=True, tag="record", array_like=True):
    """A record of the task's logging."""

    at: float
    level: str
    logger: str
    text: str


class Rendered(msgspec.Struct, frozen=True, tag="rendered", array_like=True):
    """The template fields of the try as they were filled in, each as text."""

    at: float
    fields: dict[str, str]


class Ready(msgspec.Struct, frozen=True, tag="ready", array_like=True):
    """A task process that had to import its DAG file itself has done so."""


class Result(msgspec.Struct, frozen=True, tag="result", array_like=True):
    """How the task ended, as the task tells it. It counts only if the process then exits with status 0, or waits for
    its next try."""

    #: a child that is used again may be heard before its zygote has told its number
    pid: int
    outcome: Outcome
    cause: Cause | None = None
    detail: str | None = None
    xcoms: tuple[XComValue, ...] = ()
    map_length: int | None = None
    skip: Skip | None = None


class Parsed(msgspec.Struct, frozen=True, tag="parsed", array_like=True):
    """What parsing a DAG file gave."""

    file: ParsedFile


FromTask = Request | Mask | Push | Record | Rendered | Ready | Result | Parsed
