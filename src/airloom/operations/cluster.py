"""What executors whose tries run on other machines see of their cluster, in the database."""

from collections.abc import Collection, Mapping
from functools import cached_property

import msgspec

from airloom.executors.cluster import WITHDRAWN, RunnerSeen, ServerSeen, View
from airloom.model.processes import ApiState, ProcessKind, RunnerState
from airloom.model.report import TryKey
from airloom.model.work import Work
from airloom.operations.ops import Ops
from airloom.operations.try_tokens import TryTokens, try_tokens
from airloom.store import claims
from airloom.store.processes import list_processes, remove_silent


class OpsCluster:
    """The cluster of the executor of that name."""

    def __init__(self, ops: Ops, executor: str) -> None:
        self._ops = ops
        self._executor = executor

    def seal(self, work: Work) -> Work:
        """The work with the token of its try. Raises StoreError, SettingsError."""
        return self._tokens.seal(work)

    def look(self) -> View:
        """Whose the executor's tries are, which of its runners there are, and who serves them. Raises StoreError."""
        with self._ops.db.reading() as conn:
            live = claims.claims(conn, self._executor)
            rows = [*list_processes(conn), *list_processes(conn, ProcessKind.POD)]
        runners = {}
        for row in rows:
            if row.kind not in (ProcessKind.RUNNER, ProcessKind.POD):
                continue
            state = msgspec.convert(row.state, RunnerState)
            if state.executor == self._executor:
                runners[row.id] = RunnerSeen(
                    worker=state.worker or row.id,
                    host=row.host,
                    seen_at=row.seen_at,
                    lease=state.lease,
                    tries=frozenset(state.tries),
                )
        servers = {
            row.id: ServerSeen(seen_at=row.seen_at, outage=msgspec.convert(row.state, ApiState).outage)
            for row in rows
            if row.kind is ProcessKind.API
        }
        return View(claims=live, runners=runners, servers=servers)

    def withdraw(self, keys: Collection[TryKey]) -> set[TryKey]:
        """Take back those of the tries that nobody has claimed. Raises StoreError."""
        with self._ops.db.transaction() as conn:
            return claims.withdraw(conn, keys, WITHDRAWN)

    def forget(self, servers: Mapping[str, float]) -> None:
        """Delete the rows of processes that were not renewed since. Raises StoreError."""
        with self._ops.db.transaction() as conn:
            remove_silent(conn, servers)

    @cached_property
    def _tokens(self) -> TryTokens:
        return try_tokens(self._ops)
