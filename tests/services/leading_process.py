"""A process that leads, for tests that stop or kill it: `python -m tests.services.leading_process URL LEASE`.

It says "leads" when it does. For each line on stdin it commits a change as a scheduler does, and says how that went.
"""

import sys
import time

from airloom.model.errors import NotLeader
from airloom.model.plan import Plan
from airloom.model.run import PoolRow
from airloom.services.leader import Leadership
from airloom.store.database import connect
from airloom.store.plans import apply_plan


def main(url: str, lease: float) -> None:
    db = connect(url)
    leadership = Leadership(db, lease, time.time)
    leadership.require()
    print("leads", flush=True)
    for line in sys.stdin:
        assert leadership.epoch is not None
        try:
            with db.transaction() as conn:
                pool = PoolRow(name=line.strip(), slots=1)
                apply_plan(conn, Plan(set_pools={pool.name: pool}), leadership.epoch, time.time())
        except NotLeader:
            print("refused", flush=True)
        else:
            print("committed", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
