"""A DAG to see that the cluster works: one task on the workers of each queue."""

import socket

from airloom import dag, task


@dag
def first():
    @task
    def measure() -> dict[str, object]:
        return {"machine": socket.gethostname(), "numbers": list(range(10))}

    @task(queue="heavy")
    def add_up(measured: dict) -> int:
        print(f"{measured['machine']} measured, {socket.gethostname()} adds up")
        return sum(measured["numbers"])

    add_up(measure())


first()
