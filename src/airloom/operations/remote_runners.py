"""Verbs of runners on other machines: their credentials, registration, leases and reports."""

import logging
import re
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from airloom.model.errors import Conflict, InvalidRequest, NotFound
from airloom.model.events import Reported
from airloom.model.processes import ProcessKind, ProcessRow, RunnerState, WorkerOrder
from airloom.model.report import Report, TryKey
from airloom.model.wire import (
    OLDEST_PROTOCOL,
    PROTOCOL,
    Claimed,
    Heartbeat,
    Hello,
    LogChunk,
    Refusal,
    Wanted,
    understood,
)
from airloom.model.work import Cancel
from airloom.operations.auditing import record
from airloom.operations.credentials import TOKEN_PREFIX, Made, find_credential, make_credential
from airloom.operations.ops import Ops
from airloom.operations.try_logs import pieces_of
from airloom.store import (
    credentials,
    dags,
    feed,
    inbox,
    leadership,
    log_chunks,
    processes,
    runners,
    worker_orders,
)
from airloom.store.credentials import CredentialRow

log = logging.getLogger("airloom.api")

#: the kind of a runner's credential
RUNNER = "runner"
_TOKEN = re.compile(TOKEN_PREFIX + "[0-9a-f]{16}_[0-9a-f]{48}")
_LONGEST_NAME = 250
_LONGEST_TROUBLE = 1000
_MOST_QUEUES = 1000
#: what a clock may show: the year 9999
_LATEST = 253_402_300_800.0


# --- credentials ------------------------------------------------------------------------------------------------------
def make_runner_token(ops: Ops, name: str, text: str = "") -> Made:
    """Make what runners of other machines prove themselves with, until it is deleted. `text`: a token that was made
    elsewhere, which counts from now on; that it does already is no error. Raises InvalidRequest, Conflict."""
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise InvalidRequest(f"a token's name has 1 to {_LONGEST_NAME} printable characters")
    if text and not _TOKEN.fullmatch(text):
        raise InvalidRequest(
            f"that is no token of a runner: such a one is {TOKEN_PREFIX} with 16 and, after a _, 48 hexadecimal digits "
            "that nobody can guess"
        )
    pair = text.removeprefix(TOKEN_PREFIX)
    with ops.db.transaction() as conn:
        if pair and (there := credentials.get_credential(conn, RUNNER, pair.partition("_")[0])) is not None:
            if find_credential(conn, RUNNER, pair, ops.now()) is None:
                raise Conflict(f"there is another runner's token {there.id}: make a new one")
            return Made(row=there, text=text)
        made = make_credential(conn, RUNNER, ops.by, pair, name=name, created_at=ops.now())
        record(conn, ops, "runner_token.add", subject=name, detail=made.row.id)
    return Made(row=made.row, text=TOKEN_PREFIX + made.text)


def list_runner_tokens(ops: Ops) -> list[CredentialRow]:
    """The credentials of runners, by name."""
    with ops.db.reading() as conn:
        rows = credentials.list_credentials(conn, RUNNER)
    return sorted(rows, key=lambda row: (row.name, row.created_at))


def delete_runner_token(ops: Ops, token_id: str) -> None:
    """Delete a runner's credential: those who use it are refused within seconds. Raises NotFound."""
    with ops.db.transaction() as conn:
        if not credentials.delete_credential(conn, RUNNER, token_id):
            raise NotFound(f"there is no runner's token {token_id!r}")
        record(conn, ops, "runner_token.delete", detail=token_id)


def find_runner_token(ops: Ops, text: str) -> CredentialRow | None:
    """The credential that a token proves, if it is good."""
    if not text.startswith(TOKEN_PREFIX):
        return None
    with ops.db.reading() as conn:
        return find_credential(conn, RUNNER, text.removeprefix(TOKEN_PREFIX), ops.now())


# --- registration and leases ------------------------------------------------------------------------------------------
def check_hello(hello: Hello, database: str) -> None:
    """Raise Conflict, InvalidRequest unless a runner that says this can work for the database of that id."""
    if not understood(hello):
        older = "the runner" if hello.protocol < OLDEST_PROTOCOL else "the server"
        raise Conflict(
            f"the runner speaks versions {hello.oldest or hello.protocol} to {hello.protocol} of the protocol and the "
            f"server {OLDEST_PROTOCOL} to {PROTOCOL}: update {older}"
        )
    if hello.owner and hello.owner != database:
        raise Conflict("the runner has tries of another database: give it a home folder of its own")
    texts = (hello.runner, hello.host, hello.version, hello.executor, hello.worker, hello.home, *hello.queues)
    if not hello.runner or not all(len(text) <= _LONGEST_NAME and text.isprintable() for text in texts):
        raise InvalidRequest(f"names of runners, hosts and queues have up to {_LONGEST_NAME} printable characters")
    numbers = (hello.pid, hello.slots, hello.lease)
    sound = all(0 <= number < 2**31 for number in numbers) and 0 <= hello.clock < _LATEST
    if len(hello.queues) > _MOST_QUEUES or not sound:
        raise InvalidRequest("the runner's numbers make no sense")


def register(ops: Ops, hello: Hello, visitor: str, only: TryKey | None) -> None:
    """Have a runner's row tell that it is there; it has nothing leased until its first heartbeat.

    `visitor`: who it has proved to be. `only`: the one try that it may speak of; if that has ended, there is no row.
    Raises Conflict if the name, or its worker's, is another one's.
    """
    now = ops.now()
    state = RunnerState(
        executor=hello.executor,
        queues=hello.queues,
        slots=hello.slots or None,
        credential=visitor,
        worker=hello.worker,
        home=hello.home,
        lease=hello.lease,
        clock=round(hello.clock - now, 3) if hello.clock else 0.0,
    )
    row = ProcessRow(
        id=hello.runner,
        kind=ProcessKind.RUNNER if only is None else ProcessKind.POD,
        host=hello.host,
        pid=hello.pid,
        version=hello.version,
        started_at=now,
        seen_at=now,
        state=msgspec.to_builtins(state),
    )
    with ops.db.transaction() as conn:
        before = processes.get_process(conn, hello.runner)
        if before is not None:
            known = _state(before)
            if known.credential != visitor:
                raise Conflict(f"{hello.runner!r} is the name of another process")
            again = msgspec.to_builtins(msgspec.structs.replace(state, tries=known.tries, running=len(known.tries)))
            row = msgspec.structs.replace(row, started_at=before.started_at, state=again)
        if hello.worker:
            _check_worker(conn, hello, now)
        if only is not None and not runners.live_tries(conn, [only]):
            return
        processes.renew(conn, [row])
        if only is None:
            feed.tell(conn, "processes")


def renew(
    ops: Ops, runner: str, visitor: str, only: TryKey | None, beat: Heartbeat, tries: tuple[TryKey, ...]
) -> tuple[tuple[Cancel, ...], Wanted]:
    """A runner has these tries in hand: lease them to it, and tell which of them it is to end, and what people want of
    its worker. One that leaves has no row any more. `visitor`, `only`: as in `register`. Raises NotFound for a runner
    that is not known any more and has to register again."""
    with ops.db.transaction() as conn:
        row = _row_of(conn, runner, visitor)
        ends = runners.ends_of(conn, tries)
        # A pod whose try has ended has no row, and is to hear of that when it asks for the try.
        late = only is not None and not tries and processes.get_process(conn, runner) is None
        leased = tuple(key for key in tries if key not in ends)
        wanted = Wanted()
        if beat.leaving and not tries:
            if row is not None:
                processes.remove(conn, [runner])
                if only is None:
                    feed.tell(conn, "processes")
            return (), Wanted(stop=True)
        if row is not None:
            state = _state(row)
            wanted = _wanted(worker_orders.order_of(conn, state.worker) if state.worker else None, runner)
            trouble = beat.trouble[:_LONGEST_TROUBLE]
            if trouble != state.trouble:
                feed.tell(conn, "processes")
            state = msgspec.structs.replace(
                state,
                running=len(tries),
                tries=tries,
                slots=beat.slots or None,
                memory_free=beat.memory_free,
                memory=beat.memory,
                drained=wanted.drain,
                trouble=trouble,
            )
            processes.renew(conn, [msgspec.structs.replace(row, seen_at=ops.now(), state=msgspec.to_builtins(state))])
        elif leased or not (tries or late):
            raise NotFound(f"the runner {runner!r} is not known any more")
    return tuple(_cancel(key, why) for key, why in ends.items()), wanted


def claim(ops: Ops, runner: str, keys: tuple[TryKey, ...]) -> Claimed:
    """Give a runner those of the tries that it may start: each is given to one runner only, whoever asks again."""
    with ops.db.transaction() as conn:
        granted = runners.claim(conn, runner, keys)
        others = [key for key in keys if key not in granted]
        reasons = runners.why_not(conn, runner, others) if others else {}
    return Claimed(
        granted=tuple(key for key in keys if key in granted),
        refused=tuple(Refusal(key, why) for key, why in reasons.items()),
    )


def refuse_own(ops: Ops, runner: str, unproved: Collection[TryKey]) -> None:
    """Raise Conflict if one of these tries, whose tokens are wrong here, was given to the runner that shows them, and
    is live: the key was changed. So it keeps what it has to say of it, and turns to another server; if there is none,
    it ends the try before that is run again."""
    with ops.db.reading() as conn:
        own = runners.claimed_by(conn, runner, unproved)
    if own:
        text = (
            f"the tokens of {len(own)} of its tries were made with another secret key: if it was replaced, let the old "
            "one follow the new one in [core] secret_key, after a comma; every server needs the same"
        )
        log.error("the runner %s: %s", runner, text)
        raise Conflict(text)


def source_of(ops: Ops, key: TryKey, file_hash: str) -> bytes | None:
    """The text of the DAG file of a live try's dag; None if the try has ended, or if that file has no such text."""
    with ops.db.reading() as conn:
        return dags.source_for(conn, key.ti_id, file_hash) if runners.live_tries(conn, [key]) else None


def touch(ops: Ops, runner: str, visitor: str) -> None:
    """A runner is alive, and has what it had."""
    with ops.db.transaction() as conn:
        row = _row_of(conn, runner, visitor)
        if row is not None:
            processes.renew(conn, [msgspec.structs.replace(row, seen_at=ops.now())])


def unwanted(ops: Ops, names: set[str]) -> dict[str, list[Cancel]]:
    """By the names of runners, which of the tries that they have started they are to end."""
    found: dict[str, list[Cancel]] = {}
    with ops.db.reading() as conn:
        for runner, key, why in runners.ends_at(conn, names):
            found.setdefault(runner, []).append(_cancel(key, why))
    return found


def worker_of(ops: Ops, runner: str) -> str:
    """The name of the worker that a runner is a part of; empty: none, or the runner is not known."""
    with ops.db.reading() as conn:
        row = processes.get_process(conn, runner)
    return "" if row is None else _state(row).worker


def wanted_of(ops: Ops, workers: dict[str, str]) -> dict[str, Wanted]:
    """What people want of runners, by their names; `workers`: the worker that each is a part of."""
    if not workers:
        return {}
    with ops.db.reading() as conn:
        found = {order.worker: order for order in worker_orders.orders(conn, set(workers.values()))}
    return {runner: _wanted(found.get(worker), runner) for runner, worker in workers.items()}


def _row_of(conn: Any, runner: str, visitor: str) -> ProcessRow | None:
    """The row of a runner; none where the name is another one's by now: sessions are older than rows."""
    row = processes.get_process(conn, runner)
    return row if row is not None and _state(row).credential == visitor else None


def _check_worker(conn: Any, hello: Hello, now: float) -> None:
    """Raise Conflict if the worker's name is that of another one, which lives: of another home folder. Of two that come
    at once the second waits for what becomes of the first."""
    processes.reserve_worker(conn, hello.worker)
    for row in processes.list_processes(conn, ProcessKind.RUNNER):
        state = _state(row)
        if state.worker == hello.worker and state.home != hello.home and row.alive(now):
            raise Conflict(
                f"a worker on {row.host} (process {row.pid}) is called {hello.worker!r} already: give one of the two "
                "another name, [worker] name"
            )


def _wanted(order: WorkerOrder | None, runner: str) -> Wanted:
    """What an order means to a runner: one to stop is for the runner that it names."""
    return Wanted() if order is None else Wanted(drain=order.drains(), stop=order.stops(runner))


def _state(row: ProcessRow) -> RunnerState:
    if row.kind not in (ProcessKind.RUNNER, ProcessKind.POD):
        raise Conflict(f"{row.id!r} is the name of another process")
    return msgspec.convert(row.state, RunnerState)


def _cancel(key: TryKey, why: str) -> Cancel:
    return Cancel(key=key, executor="", reason=why)


# --- reports ----------------------------------------------------------------------------------------------------------
def keep_reports(
    ops: Ops, log_limit: int, reports: Sequence[Report], chunks: Sequence[LogChunk] = ()
) -> list[int | None]:
    """Commit reports for the leader, but for those of tries that have ended: nothing that is said of them counts. With
    them pieces of logs, of which each may have `log_limit` bytes; for each how far its log goes then."""
    pieces, terms = pieces_of(ops, chunks, log_limit)
    with ops.db.transaction() as conn:
        places = log_chunks.append(conn, pieces, terms, ops.now()) if pieces else []
        live = runners.live_tries(conn, (report.key for report in reports))
        kept = tuple(report for report in reports if report.key in live)
        if kept:
            inbox.put(conn, Reported(reports=kept), None, ops.now())
        hinted = not kept or ops.notifier.join(conn)
    if not hinted:
        ops.notifier.notify()
    return places


def database_of(ops: Ops) -> str:
    """The id of the database that `ops` works on."""
    with ops.db.reading() as conn:
        return leadership.database_id(conn)
