"""Pools, queues, workers, executors, variables, connections, import errors."""

from typing import Any, Literal

from pydantic import Field

from airloom.api.schemas.base import In, Moment, Out
from airloom.sdk.secrecy import SECRET_WORDS


class Pool(Out):
    """A pool and what it has to do."""

    name: str
    slots: int = Field(description="-1: unlimited.")
    description: str
    include_deferred: bool
    used: int | None = Field(default=None, description="Slots in use; null: no scheduler runs.")
    waiting: int | None = Field(default=None, description="Task instances in its line; null: no scheduler runs.")


class PoolMember(Out):
    """A task instance that holds slots of a pool, or waits for them."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    slots: int
    since: Moment | None = None
    place: int | None = None


class PoolDetails(Pool):
    """A pool with who holds it and who waits, at most 100 of each."""

    holders: list[PoolMember]
    waiters: list[PoolMember]


class PoolText(In):
    """A pool to be made or changed."""

    slots: int = Field(ge=-1, le=1_000_000_000)
    description: str = Field(default="", max_length=10_000)
    include_deferred: bool = False


class Queue(Out):
    """A queue of an executor: what waits in it, what runs from it, who serves it."""

    name: str
    executor: str
    queued: int
    running: int
    demand: int = Field(description="Queued and running: divided by the slots of one worker, the workers it needs.")
    workers: list[str] = Field(description="Names of the workers that serve it.")
    slots: int | None = Field(default=None, description="Of those that take work; null: no limit.")
    free: int | None = Field(default=None, description="Slots of theirs that are free; null: no limit.")
    kind: str = Field(description="What holds all that waits in it, as in explanations: no_worker, queue ...")
    trouble: str = Field(description="The same in words; empty: nothing waits, or it starts in a moment.")


class Worker(Out):
    """A runner: the process that supervises tries on a machine."""

    id: str
    name: str = Field(description="Of the worker; of the runner of a local executor its host and pid.")
    host: str
    pid: int
    version: str
    executor: str
    queues: list[str] = Field(description="Empty: the work of every queue.")
    slots: int | None = Field(default=None, description="Tries at once; null: no limit.")
    running: int
    memory: int = Field(description="Bytes; 0: not known.")
    memory_free: int = Field(description="Bytes of it that are free.")
    clock: float = Field(description="Seconds by which its clock is ahead of the server's.")
    started_at: Moment
    seen_at: Moment
    status: Literal["running", "cut_off", "drained", "stopping", "silent"]
    trouble: str = Field(description="Why no work comes to it, as the end of a sentence that begins with it.")
    remote: bool = Field(description="Whether it can be drained and stopped: a local executor's runner cannot.")
    ordered_by: str | None = Field(default=None, description="Who had it drained or stopped.")
    ordered_at: Moment | None = None


class ExecutorState(Out):
    """A configured executor."""

    name: str
    slots: int | None = Field(default=None, description="null: no limit")
    used: int
    why: str = Field(description="Why it takes nothing, if it does not.")
    seen_at: Moment


class Variable(Out):
    """A variable without its value."""

    key: str
    description: str | None = None
    updated_at: Moment


class VariableValue(Variable):
    """A variable. `value` is null where its key says that it is a secret: it can be set, and never be read here."""

    value: str | None
    secret: bool = Field(description=f"Whether its key holds one of: {', '.join(SECRET_WORDS)}; in capitals or not.")


class VariableText(In):
    """A variable to be made or changed."""

    value: str = Field(max_length=1_000_000)
    description: str | None = Field(default=None, max_length=10_000)


class Connection(Out):
    """A connection. Its password and the secret parts of `extra` never leave: they are shown as ***."""

    conn_id: str
    conn_type: str
    description: str | None = None
    host: str | None = None
    port: int | None = None
    login: str | None = None
    schema_: str | None = Field(default=None, alias="schema")
    has_password: bool = False
    extra: dict[str, Any] = Field(default={}, description="Values that have a secret's name are ***.")
    updated_at: Moment | None = None
    readable: bool = Field(default=True, description="False: it was saved with another secret key; save it anew.")


class ConnectionText(In):
    """A connection to be made or changed. A password that is left out stays, an empty one is removed; a *** in `extra`
    stays what it was."""

    conn_type: str = Field(min_length=1, max_length=250)
    description: str | None = Field(default=None, max_length=10_000)
    host: str | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    login: str | None = None
    password: str | None = None
    schema_: str | None = Field(default=None, alias="schema")
    extra: dict[str, Any] = {}


class ImportError_(Out):
    """What is wrong with a DAG file, or with one dag in it. Texts are untrusted."""

    bundle: str
    rel_path: str
    dag_id: str | None = None
    line: int | None = None
    text: str
    traceback: str | None = None
    found_at: Moment
