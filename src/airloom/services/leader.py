"""Which of several schedulers leads.

The lease is in the database, with an epoch that fences every commit; a lock that dies with its process lets a spare
take over at once.
"""

import logging
import os
import socket
from collections.abc import Callable
from uuid import uuid4

from airloom.model.errors import Conflict
from airloom.store import leadership
from airloom.store.database import Database

log = logging.getLogger("airloom.leader")

#: How many leases more than its own a leader that still holds its lock may be silent for.
_PATIENCE = 5.0


class Leadership:
    """One scheduler's claim to lead. `epoch` is None while it does not."""

    def __init__(self, db: Database, lease: float, now: Callable[[], float]) -> None:
        self._db = db
        self._lease = lease
        self._now = now
        self._lock = leadership.LeaderLock(db)
        self.holder = f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:8]}"
        self.epoch: int | None = None
        self._renew_at = 0.0
        self._stands_by = False

    def lead(self) -> bool:
        """Become the leader or stay it, if that is possible now. Raises StoreError."""
        now = self._now()
        if self.epoch is None:
            if not self._try(now):
                self._stand_by()
            return self.epoch is not None
        # Also when the clock was set back.
        if self._renew_at - self._lease / 3 <= now < self._renew_at:
            return True
        with self._db.transaction() as conn:
            kept = leadership.renew(conn, self.holder, self.epoch, now, self._lease)
        if not kept:
            self.step_down()
            return False
        # A connection that broke has lost the lock; it is taken again as soon as it is free.
        self._lock.acquire()
        self._renew_at = now + self._lease / 3
        return True

    def _stand_by(self) -> None:
        if not self._stands_by:
            self._stands_by = True
            log.info("another scheduler leads; this one stands by")

    def _try(self, now: float) -> bool:
        locked = self._lock.acquire()
        if not locked and (self._db.path is not None):
            return False
        # Whoever has the lock knows that the former leader's process is gone. Without it, a leader that is only slow,
        # or whose clock differs, is given more time than its lease.
        respected_until = now if locked else now - _PATIENCE * self._lease
        with self._db.transaction() as conn:
            row = leadership.current(conn)
            if not locked and row is not None and row.expires_at > respected_until:
                return False
            place = (socket.gethostname(), os.getpid(), "")
            epoch = leadership.acquire(conn, self.holder, now, self._lease, locked, place)
        # Only now: an epoch whose commit failed may be given to another one.
        self.epoch = epoch
        if self.epoch is not None:
            self._renew_at = now + self._lease / 3
            self._stands_by = False
            log.info("this scheduler leads now (epoch %d)", self.epoch)
        return self.epoch is not None

    def require(self) -> None:
        """Lead now or raise Conflict: for databases that only one scheduler may use."""
        if not self.lead():
            with self._db.reading() as conn:
                row = leadership.current(conn)
            where = "another process" if row is None else f"process {row.pid} on {row.host}"
            raise Conflict(
                f"another scheduler uses {self._db.address} already: {where}. SQLite allows one; stop that one first, "
                "or use PostgreSQL to let a second one stand by"
            )

    @property
    def next_renewal(self) -> float:
        """When the lease has to be renewed, or, for a spare, when to look again."""
        return self._renew_at if self.epoch is not None else self._now() + min(1.0, self._lease / 5)

    def step_down(self) -> None:
        """Another one leads: stop believing that this one does."""
        if self.epoch is not None:
            log.warning("this scheduler leads no more: another one has taken over, or its lease was lost")
        self.epoch = None
        self._lock.release()

    def resign(self) -> None:
        """Give the lead back in good order. Raises StoreError."""
        if self.epoch is not None:
            with self._db.transaction() as conn:
                leadership.release(conn, self.holder, self.epoch)
        self.epoch = None
        self._lock.release()
