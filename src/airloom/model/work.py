"""Work: everything that is needed to run one try, wherever it runs."""

from hashlib import sha256
from typing import Any

import msgspec

from airloom.model.report import TryKey
from airloom.model.spec import Isolation

#: executors whose workers take the work of the queues that they are started for, and of no other
SERVED_BY_QUEUE = frozenset({"celery"})
#: the steps of priority that a message can have
PRIORITIES = 10


def priority_step(weight: int) -> int:
    """The step of a priority, 0 to 9, the last goes first: weights have no end, and each step is twice the weight of
    the one before."""
    return min(PRIORITIES - 1, max(1, weight).bit_length() - 1)


class RunInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The run, as a task's context shows it."""

    run_id: str
    run_type: str
    run_after: float
    logical_date: float | None = None
    data_interval_start: float | None = None
    data_interval_end: float | None = None
    started_at: float | None = None
    conf: dict[str, Any] = {}
    triggered_by: str | None = None


class Work(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One try to run. It holds no secret but its token. The key fences it: only the live try is reported on."""

    key: TryKey
    dag_id: str
    task_id: str
    run: RunInfo
    #: the run's number in the store, for XCom look-ups
    run_key: int
    bundle: str
    rel_path: str
    version_id: int
    file_hash: str = ""
    bundle_version: str | None = None
    map_index: int = -1
    #: how many TIs the mapped task has, or None
    map_size: int | None = None
    #: the lengths of its `expand` inputs, in their order
    map_lengths: tuple[int, ...] = ()
    #: how many TIs each mapped upstream task has
    upstream_sizes: dict[str, int] = {}
    max_tries: int = 0
    queue: str = "default"
    executor: str = ""
    priority: int = 1
    execution_timeout: float | None = None
    memory_limit: int | None = None
    isolation: Isolation | None = None
    executor_config: dict[str, Any] = {}
    #: proves to the task API that who speaks of this try was given it; none is needed on the scheduler's machine
    token: str = ""


#: what tokens of tries begin with, so that people and scanners know them
TRY_PREFIX = "alt_"
_encode = msgspec.msgpack.Encoder().encode


def content(work: Work) -> bytes:
    """The work as bytes, without its token: what the token may be bound to."""
    return _encode(msgspec.structs.replace(work, token=""))


def digest(data: bytes) -> str:
    """What names a content: 128 bits, as hexadecimal digits."""
    return sha256(data).hexdigest()[:32]


def is_changed(data: bytes, token: str) -> bool:
    """Whether this is not the content that the token is bound to. One that is bound to none fits all."""
    parts = token.removeprefix(TRY_PREFIX).split("_")
    return len(parts) == 4 and parts[2] != digest(data)


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """A try that must end. `grace`: seconds between SIGTERM and SIGKILL; None = the executor's default."""

    key: TryKey
    executor: str
    reason: str
    grace: float | None = None
