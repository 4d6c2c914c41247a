"""Verbs of runners on other machines: their credentials, registration, leases, reports, and the logs that they send."""

from typing import Any

import msgspec

from airloom.model.errors import Conflict, InvalidRequest, NotFound
from airloom.model.events import Reported
from airloom.model.processes import SILENCE, ProcessKind, ProcessRow, RunnerState
from airloom.model.report import Report, TryKey
from airloom.model.wire import PROTOCOL, Hello
from airloom.model.work import Cancel
from airloom.operations.auditing import record
from airloom.operations.credentials import TOKEN_PREFIX, Made, find_credential, make_credential
from airloom.operations.ops import Ops
from airloom.store import credentials, feed, inbox, leadership, processes, runners
from airloom.store.credentials import CredentialRow
from airloom.store.runners import Place

#: the kind of a runner's credential
RUNNER = "runner"
_LONGEST_NAME = 250
_MOST_QUEUES = 1000
#: seconds after the end of a try in which the rest of its log is still taken
LOG_GRACE = 3600.0


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Which runner has a try in hand, and until when that counts unless it is renewed."""

    runner: str
    executor: str
    until: float


# --- credentials ------------------------------------------------------------------------------------------------------
def make_runner_token(ops: Ops, name: str) -> Made:
    """Make what runners of other machines prove themselves with, until it is deleted. Raises InvalidRequest."""
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise InvalidRequest(f"a token's name has 1 to {_LONGEST_NAME} printable characters")
    with ops.db.transaction() as conn:
        made = make_credential(conn, RUNNER, ops.by, name=name, created_at=ops.now())
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
    if hello.protocol != PROTOCOL:
        older = "the runner" if hello.protocol < PROTOCOL else "the server"
        raise Conflict(
            f"the runner speaks version {hello.protocol} of the protocol and the server version {PROTOCOL}: "
            f"update {older}"
        )
    if hello.owner and hello.owner != database:
        raise Conflict("the runner has tries of another database: give it a home folder of its own")
    texts = (hello.runner, hello.host, hello.version, hello.executor, *hello.queues)
    if not hello.runner or not all(len(text) <= _LONGEST_NAME and text.isprintable() for text in texts):
        raise InvalidRequest(f"names of runners, hosts and queues have up to {_LONGEST_NAME} printable characters")
    if len(hello.queues) > _MOST_QUEUES or not (0 <= hello.pid < 2**31 and 0 <= hello.slots < 2**31):
        raise InvalidRequest("the runner's numbers make no sense")


def register(ops: Ops, hello: Hello, visitor: str, only: TryKey | None) -> None:
    """Have a runner's row tell that it is there; it has nothing leased until its first heartbeat.

    `visitor`: who it has proved to be. `only`: the one try that it may speak of; if that has ended, there is no row.
    Raises Conflict if the name is another one's.
    """
    now = ops.now()
    state = RunnerState(executor=hello.executor, queues=hello.queues, slots=hello.slots or None, credential=visitor)
    row = ProcessRow(
        id=hello.runner,
        kind=ProcessKind.RUNNER,
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
        if only is not None and not runners.live_tries(conn, [only]):
            return
        processes.renew(conn, [row])
        feed.tell(conn, "processes")


def renew(ops: Ops, runner: str, visitor: str, tries: tuple[TryKey, ...]) -> tuple[Cancel, ...]:
    """A runner has these tries in hand: lease them to it, and tell which of them it is to end. `visitor`: who it has
    proved to be. Raises NotFound for a runner that is not known any more and has to register again."""
    with ops.db.transaction() as conn:
        row = _row_of(conn, runner, visitor)
        ends = runners.ends_of(conn, tries)
        leased = tuple(key for key in tries if key not in ends)
        if row is not None:
            state = msgspec.structs.replace(_state(row), running=len(tries), tries=leased)
            processes.renew(conn, [msgspec.structs.replace(row, seen_at=ops.now(), state=msgspec.to_builtins(state))])
        elif leased or not tries:
            raise NotFound(f"the runner {runner!r} is not known any more")
    return tuple(_cancel(key, why) for key, why in ends.items())


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


def leases(ops: Ops) -> dict[TryKey, Lease]:
    """Which runner has which try in hand, for the executors of other machines: a try of theirs that is in nobody's
    lease for longer than SILENCE, and was not handed out just now, is lost."""
    with ops.db.reading() as conn:
        rows = processes.list_processes(conn, ProcessKind.RUNNER)
    found: dict[TryKey, Lease] = {}
    for row in sorted(rows, key=lambda row: row.seen_at):
        state = _state(row)
        lease = Lease(runner=row.id, executor=state.executor, until=row.seen_at + SILENCE)
        found.update(dict.fromkeys(state.tries, lease))
    return found


def _row_of(conn: Any, runner: str, visitor: str) -> ProcessRow | None:
    """The row of a runner; none where the name is another one's by now: sessions are older than rows."""
    row = processes.get_process(conn, runner)
    return row if row is not None and _state(row).credential == visitor else None


def _state(row: ProcessRow) -> RunnerState:
    if row.kind is not ProcessKind.RUNNER:
        raise Conflict(f"{row.id!r} is the name of another process")
    return msgspec.convert(row.state, RunnerState)


def _cancel(key: TryKey, why: str) -> Cancel:
    return Cancel(key=key, executor="", reason=why)


# --- reports and logs -------------------------------------------------------------------------------------------------
def keep_reports(ops: Ops, reports: list[Report]) -> None:
    """Commit reports for the leader, but for those of tries that have ended: nothing that is said of them counts."""
    with ops.db.transaction() as conn:
        live = runners.live_tries(conn, (report.key for report in reports))
        kept = tuple(report for report in reports if report.key in live)
        if kept:
            inbox.put(conn, Reported(reports=kept), None, ops.now())
    if kept:
        ops.notifier.notify()


def log_place(ops: Ops, key: TryKey) -> Place | None:
    """Whose log it is; None for a try that there is not, or that has ended so long ago that its log is closed."""
    with ops.db.reading() as conn:
        place = runners.place_of(conn, key)
    if place is None or (place.ended_at is not None and ops.now() - place.ended_at > LOG_GRACE):
        return None
    return place


def database_of(ops: Ops) -> str:
    """The id of the database that `ops` works on."""
    with ops.db.reading() as conn:
        return leadership.database_id(conn)
