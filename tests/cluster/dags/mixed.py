"""The DAGs of the cluster test. Each try writes by itself into a journal of its machine when it was alive."""

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airloom import DAG, get_current_context, task

#: seconds between two signs of life
BEAT = 0.02
WIDTH = 10


@contextmanager
def marked(pool: str = "") -> Iterator[None]:
    """Write a mark of this try: what it is, since when it is alive, until when it was, and whether it came to its end.
    Each of its numbered lines goes to the log."""
    ti = get_current_context()["ti"]
    lines = random.randint(3, 30)
    name = f"{ti.dag_id}~{ti.run_id}~{ti.task_id}~{ti.map_index}~{ti.try_number}"
    mark = Path(os.environ["CLUSTER_JOURNAL"], f"{name}~{os.getpid()}~{lines}~{pool}")
    ended = threading.Event()
    file = os.open(mark, os.O_WRONLY | os.O_CREAT, 0o600)

    def write(word: str) -> None:
        # In one call and in place: whatever kills this process, the mark is whole.
        os.pwrite(file, f"{start:.3f} {time.monotonic():.3f} {word:<6}\n".encode(), 0)

    def beat() -> None:
        while not ended.wait(BEAT):
            write("alive")

    start = time.monotonic()
    write("alive")
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        for number in range(1, lines + 1):
            print(f"line {number} of {lines}")
        yield
    finally:
        ended.set()
        thread.join()
        write("done")


def work_a_little() -> None:
    """Be alive for a random short time."""
    time.sleep(random.choice((0.0, 0.02, 0.1, 0.4)))


with DAG("mapped", max_active_runs=1000, max_active_tasks=1000):

    @task(queue="default", retries=1, retry_delay=0.2)
    def numbers() -> list[int]:
        with marked():
            return list(range(WIDTH))

    @task(queue="default", retries=1, retry_delay=0.2)
    def work(number: int) -> int:
        with marked():
            work_a_little()
            if number % 4 == 0 and get_current_context()["ti"].try_number == 1:
                raise ValueError("this is how it is meant to be")
            return number * number

    @task(queue="gpu", pool="narrow", retries=1, retry_delay=0.2)
    def narrow(square: int) -> int:
        with marked("narrow"):
            work_a_little()
            return square + 1

    @task(queue="late shift", retries=1, retry_delay=0.2)
    def total(values: list[int]) -> int:
        with marked():
            assert sorted(values) == sorted(n * n + 1 for n in range(WIDTH)), values
            return sum(values)

    total(narrow.expand(square=work.expand(number=numbers())))


with DAG("chain", max_active_runs=1000, max_active_tasks=1000):
    before = None
    for step in range(8):
        queue = ("default", "gpu", "late shift", "default")[step % 4]

        @task(task_id=f"step{step}", queue=queue, retries=1, retry_delay=0.2)
        def one_more(count: int | None) -> int:
            with marked():
                work_a_little()
                return (count or 0) + 1

        before = one_more(before)
