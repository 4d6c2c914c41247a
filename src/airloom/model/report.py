"""What comes back from where tries run: that one started, how one ended, that one was lost or handed back.

`token` is that of the work, for the task API, which checks it and drops it.
"""

from enum import StrEnum
from typing import NamedTuple

import msgspec


class TryKey(NamedTuple):
    """Names one try of one TI, and fences it: a report from any but the live try of its TI is refused."""

    ti_id: int
    try_number: int


class Outcome(StrEnum):
    """How a try ended, as far as the try itself can tell; retries are the scheduler's business."""

    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"


class Cause(StrEnum):
    """Why a try did not succeed."""

    ERROR = "error"  # the task raised
    FAIL = "fail"  # the task asked to fail without retry
    EXIT = "exit_code"  # the process ended itself
    SIGNAL = "signal"  # the process died of a signal of its own making (SIGSEGV, SIGABRT ...)
    OOM = "out_of_memory"
    TIMEOUT = "timeout"
    RESULT = "result"  # what it returned cannot be kept: not serializable, or too large
    IMPORT = "dag_import"  # its DAG file could not be imported, or has no such task any more
    KILLED = "killed"  # SIGKILL or SIGTERM from outside
    STOPPED = "stopped"  # the scheduler or the worker was stopped in good order
    LOST = "runner_lost"  # the runner or its machine went away
    LAUNCH = "launch"  # no process could be started for it
    CANCELLED = "cancelled"  # a user or the scheduler asked for its end
    INVALID = "invalid"  # it cannot be run as it is defined, wherever: an override that no cluster takes


#: Not the task's fault: these spend the infrastructure budget, not the task's retries.
INFRASTRUCTURE = frozenset({Cause.KILLED, Cause.LOST, Cause.LAUNCH})
#: Nobody's fault, and no sign of trouble: another try is always made, and spends no budget.
FREE = frozenset({Cause.STOPPED})
#: Another try cannot help.
FINAL = frozenset({Cause.FAIL, Cause.CANCELLED, Cause.INVALID})


class SkipMode(StrEnum):
    """Which downstream tasks a branch or short circuit skips."""

    UNFOLLOWED = "unfollowed"  # direct downstream but `followed`, and whatever only they lead to
    DIRECT = "direct"  # direct downstream; the rest by their trigger rules
    ALL = "all"  # everything downstream, whatever its trigger rule


class Skip(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a branch or short-circuit task asked to skip when it succeeded. Task ids; group ids are resolved before."""

    mode: SkipMode
    followed: tuple[str, ...] = ()


class XComValue(msgspec.Struct, frozen=True, kw_only=True):
    """One XCom that a try pushed. `value` is JSON."""

    key: str
    value: bytes


class Started(msgspec.Struct, frozen=True, kw_only=True, tag="started", omit_defaults=True):
    """A try's process has begun."""

    key: TryKey
    at: float
    runner: str = ""
    host: str = ""
    pid: int = 0
    token: str = ""


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended", omit_defaults=True):
    """A try is over. `started_at` repeats the start, in case that was lost. `detail`: a readable line or a few."""

    key: TryKey
    at: float
    outcome: Outcome
    started_at: float | None = None
    cause: Cause | None = None
    detail: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    xcoms: tuple[XComValue, ...] = ()
    map_length: int | None = None
    skip: Skip | None = None
    runner: str = ""
    host: str = ""
    pid: int = 0
    token: str = ""


class HandedBack(msgspec.Struct, frozen=True, kw_only=True, tag="handed_back", omit_defaults=True):
    """A try that was never started is given back, to be submitted again (a runner that stops). lacks: because its code
    could not be had there, or its pod could not begin, as `detail` says: time may help, or another machine."""

    key: TryKey
    at: float
    detail: str
    token: str = ""
    lacks: bool = False


Report = Started | Ended | HandedBack


class Waiting(msgspec.Struct, frozen=True, kw_only=True, tag="waiting"):
    """What an executor says of a try that it has not been able to start yet: why. Empty: nothing holds it any more.
    Nothing of it is kept."""

    key: TryKey
    why: str


#: what executors tell
News = Report | Waiting
