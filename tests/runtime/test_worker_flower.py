"""Flower on our Celery application, with a real worker and a broker that has a password."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airloom.executors.celery.messages import encode
from tests.brokers import RedisServer
from tests.runtime.worker_rig import TOKEN, Post, Runner, WorkerProcess, work_of
from tests.servers import free_port
from tests.waiting import DEADLINE, wait_for

PASSWORD = "pa55w0rd-of-the-broker"
PAGES = ("/", "/workers", "/tasks", "/broker", "/worker/airloom@one", "/task/1-1", "/metrics")


class FlowerProcess:
    """`airloom flower`."""

    def __init__(self, home: Path, url: str, *arguments: str, **variables: str) -> None:
        self.port = free_port()
        self._said = home / "flower"
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("AIRLOOM_", "FLOWER_"))
        }
        environment |= {"AIRLOOM_HOME": str(home), "AIRLOOM__CELERY__BROKER": url, **variables}
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "airloom", "flower", "--port", str(self.port), *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=home,
            )

    @property
    def said(self) -> str:
        return self._said.read_text(errors="replace")

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=DEADLINE) as answer:
            return str(answer.read().decode())

    def serves(self) -> bool:
        assert self.process.poll() is None, self.said
        try:
            return self.get("/healthcheck") == "OK"
        except urllib.error.URLError:
            return False


@contextmanager
def flower(*arguments: Any, **variables: str) -> Iterator[FlowerProcess]:
    process = FlowerProcess(*arguments, **variables)
    try:
        yield process
    finally:
        process.process.kill()
        process.process.wait()


def test_flower_shows_workers_and_tasks_and_no_secret(tmp_path: Path, redis_server: RedisServer) -> None:
    assert redis_server.running  # skipped where there are to be no brokers
    broker = RedisServer(password=PASSWORD)
    runner = Runner(tmp_path)
    worker = WorkerProcess(tmp_path, broker.url(), "--name", "one")
    try:
        runner.connected(worker)
        with flower(tmp_path, broker.url(), FLOWER_UNAUTHENTICATED_API="true") as shown:
            wait_for(shown.serves, "Flower to serve")
            wait_for(lambda: "airloom@one" in shown.get("/api/workers?refresh=1"), "the worker")
            post = Post(broker.url())
            # Flower asks for events every few seconds; what went before that it does not show.
            wait_for(lambda: post.app.control.enable_events(reply=True, timeout=1.0), "the worker to tell events")
            post.send(work_of(1))
            runner.grant(*runner.handed(1))
            wait_for(lambda: state_of(shown) == "STARTED", "the task to be shown as started")
            runner.end(*runner.keys)
            wait_for(lambda: state_of(shown) == "SUCCESS", "the task to be shown as done")
            (message, _), _ = encode(work_of(1))
            texts = [shown.get(page) for page in PAGES] + [shown.get("/api/tasks"), shown.said, worker.said]
            for text in texts:
                assert TOKEN not in text
                assert message not in text
                assert PASSWORD not in text
            assert "etl.task1" in shown.get("/task/1-1")
            shown.process.send_signal(signal.SIGINT)
            assert shown.process.wait(DEADLINE) == 0
    finally:
        worker.close()
        runner.close()
        broker.close()


def state_of(shown: FlowerProcess) -> str:
    tasks = json.loads(shown.get("/api/tasks"))
    return str(tasks["1-1"]["state"]) if "1-1" in tasks else ""


def test_flower_is_not_open_to_everybody(tmp_path: Path, redis_url: str) -> None:
    with flower(tmp_path, redis_url, "--address", "0.0.0.0") as refused:
        assert refused.process.wait(DEADLINE) == 5
        assert "FLOWER_BASIC_AUTH" in refused.said


def test_flower_asks_for_the_password_in_a_file(tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "password").write_text("ada:lovelace\n")
    variables = {"FLOWER_BASIC_AUTH_FILE": str(tmp_path / "password"), "FLOWER_ADDRESS": "0.0.0.0"}
    with flower(tmp_path, redis_url, **variables) as shown:
        wait_for(shown.serves, "Flower to serve")
        try:
            shown.get("/workers")
        except urllib.error.HTTPError as error:
            assert error.code == 401
        else:
            raise AssertionError("it asked for nothing")
        assert "lovelace" not in shown.said


def test_an_option_that_flower_does_not_know_is_refused(tmp_path: Path, redis_url: str) -> None:
    with flower(tmp_path, redis_url, "--no-such-option=1") as refused:
        assert refused.process.wait(DEADLINE) == 5
        assert "Flower knows no option --no-such-option=1" in refused.said
