"""A process that leads, for tests that stop or kill it: `python -m tests.services.leading_process URL LEASE`.

It says "leads" when it does. For each line on stdin it commits a change as a scheduler does, and says how that went.
"""

import sys
import time

from airloom.model.errors import NotLeader, StoreError
from airloom.model.plan import Plan
from airloom.model.run import PoolRow
from airloom.services.leader import Leadership
from airloom.store.database import Database, connect
from airloom.store.plans import apply_plan


def main(url: str, lease: float) -> None:
    db = connect(url)
    leadership = Leadership(db, lease, time.time)
    leadership.require()
    print("leads", flush=True)
    for line in sys.stdin:
        assert leadership.epoch is not None
        print(_commit(db, leadership.epoch, line.strip()), flush=True)


def _commit(db: Database, epoch: int, pool: str) -> str:
    while True:
        try:
            with db.transaction() as conn:
                apply_plan(conn, Plan(set_pools={pool: PoolRow(name=pool, slots=1)}), epoch, time.time())
        except NotLeader:
            return "refused"
        except StoreError:  # its connection was cut: there is another one the next time
            continue
        return "committed"


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
