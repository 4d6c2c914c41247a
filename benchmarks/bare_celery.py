"""The floor of the Celery cluster: bare Celery on the same broker, with as many workers and slots, without results.

Its own counter at Redis tells when all is done. What is sent is sent as fast as one process can.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from celery import Celery

from benchmarks.bed import PATIENCE, wait_for

_COUNTER = "bare:done"
_PROGRAM = f'''
import os
import redis
from celery import Celery

app = Celery("bare", broker=os.environ["BROKER"])
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=4, task_acks_late=True)
done = redis.Redis.from_url(os.environ["BROKER"])


@app.task(name="bare.noop")
def noop():
    done.incr("{_COUNTER}")


@app.task(name="bare.forked")
def forked():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    done.incr("{_COUNTER}")
'''


@contextmanager
def bare_workers(folder: Path, broker: str, workers: int, slots: int) -> Iterator[None]:
    """Bare Celery's workers, ready."""
    (folder / "bare.py").write_text(_PROGRAM)
    env = {**os.environ, "BROKER": broker, "C_FORCE_ROOT": "1", "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "celery", "-A", "bare:app", "worker", "--concurrency", str(slots), "-l", "ERROR"]
    started = [
        subprocess.Popen(
            [*command, "--hostname", f"bare{number}@%h", "--without-gossip", "--without-mingle"],
            env=env,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number in range(workers)
    ]
    try:
        rate(broker, "noop", 10 * workers * slots)
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


def rate(broker: str, task: str, count: int) -> float:
    """Tasks a second, from the first that is sent to the last that is done."""
    app = Celery("bare", broker=broker)
    client = redis.Redis.from_url(broker)
    client.set(_COUNTER, 0)
    began = time.perf_counter()
    for _ in range(count):
        app.send_task(f"bare.{task}")
    wait_for(lambda: int(client.get(_COUNTER) or 0) >= count, lambda: time.perf_counter() - began < PATIENCE)
    return count / (time.perf_counter() - began)
