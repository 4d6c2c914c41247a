"""A DAG to see that the cluster works: one task on the workers of each queue."""

import logging
import socket

from airloom import dag, task

log = logging.getLogger(__name__)


@dag
def first():
    @task
    def measure() -> dict[str, object]:
        return {"machine": socket.gethostname(), "numbers": list(range(10))}

    @task(queue="heavy")
    def add_up(measured: dict) -> int:
        log.info("%s measured, %s adds up", measured["machine"], socket.gethostname())
        return sum(measured["numbers"])

    add_up(measure())


first()
