"""A rehearsal of trivial tries in the fork server, so that what is forked from it has less to do.

The interpreter specialises code and fills caches while it runs. A child that does so writes to memory that it shares
with its parent, page after page is copied for it, and that is most of what a short try costs.
"""

import logging
import os
import signal
import socket

from airloom.model.report import TryKey
from airloom.model.wire import frame
from airloom.model.work import RunInfo, Work
from airloom.runtime.messages import Start
from airloom.runtime.task import TaskProcess
from airloom.sdk.dag import DAG
from airloom.sdk.operators.python import PythonOperator

#: the interpreter has specialised a function after about so many calls
_TIMES = 10


def rehearse() -> None:
    """Run trivial tries in this process, and leave no trace of them."""
    with DAG("rehearsal") as dag:
        PythonOperator(task_id="nothing", python_callable=_nothing)
    work = Work(
        key=TryKey(0, 0),
        dag_id="rehearsal",
        task_id="nothing",
        run=RunInfo(run_id="rehearsal", run_type="manual", run_after=0.0, logical_date=0.0),
        run_key=0,
        bundle="",
        rel_path="",
        version_id=0,
    )
    order = frame(Start(work, "", "", os.getcwd(), 1024, True))  # noqa: PTH109
    handlers, level = logging.root.handlers, logging.root.level
    terminate = signal.getsignal(signal.SIGTERM)
    for _ in range(_TIMES):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = TaskProcess({"rehearsal": dag})
            process.open(theirs)
            ours.sendall(order)
            process.obey()
    signal.signal(signal.SIGTERM, terminate)
    logging.root.handlers = handlers
    logging.root.setLevel(level)


def _nothing() -> None:
    return
