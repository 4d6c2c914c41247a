"""A day of a worker in the browser: missed, started, full, drained, resumed and stopped, each seen without a reload."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.faults.home import COMMAND, Home, home_at
from tests.ui.conftest import Open, log_in, opening
from tests.ui.test_pages import check_accessibility, settle
from tests.waiting import DEADLINE, wait_for

DAGS = """
import time
from pathlib import Path

from airloom import dag, task

HOLD = Path(HOME) / "go"


@dag(schedule=None)
def train():
    @task(queue="gpu")
    def fit(number):
        while not HOLD.exists():
            time.sleep(0.05)

    fit.expand(number=[1, 2, 3])


train()
"""


class Cluster:
    """A server whose tasks go to a broker, and workers that are started for it."""

    def __init__(self, home: Home, folder: Path, broker: str) -> None:
        self.home = home
        self._folder = folder
        self._broker = broker
        self._workers: list[subprocess.Popen[bytes]] = []
        home.write("train.py", f"HOME = {str(folder)!r}\n{DAGS}")
        home.start()
        home.ready()
        link = re.search(r"(http://\S+?)/login#code=\S+", home.log.read_text())
        assert link is not None, home.log.read_text()
        self.link, self.address = link.group(), link.group(1)
        self.token = folder / "token"
        self.token.write_text(self.airloom("tokens", "add-runner", "workers"))
        wait_for(lambda: "train" in self.airloom("dags", "list", "-o", "plain"), "the DAG to be loaded")

    def airloom(self, *args: str) -> str:
        """What a command says."""
        done = self.home.airloom(*args)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def worker(self, name: str) -> "subprocess.Popen[bytes]":
        """A worker of one slot at the queue gpu, in a home of its own."""
        home = self._folder / name
        home.mkdir()
        settings = {
            "CORE__DAGS_FOLDER": str(self.home.dags),
            "WORKER__NAME": name,
            "WORKER__SERVER": self.address,
            "WORKER__TOKEN_FILE": str(self.token),
            "CELERY__BROKER": self._broker,
        }
        env = {**self.home.env, "AIRLOOM_HOME": str(home)} | {f"AIRLOOM__{key}": text for key, text in settings.items()}
        with (home / "log").open("w") as log:
            command = [*COMMAND, "worker", "-q", "gpu", "-c", "1"]
            self._workers.append(subprocess.Popen(command, env=env, stdout=log, stderr=log))
        return self._workers[-1]

    def release(self) -> None:
        """Let the tasks go on."""
        (self._folder / "go").touch()

    def close(self) -> None:
        """Stop the workers that are left."""
        self.release()
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.wait(DEADLINE)


@pytest.fixture
def cluster(tmp_path: Path, redis_url: str) -> Iterator[Cluster]:
    """A server with the Celery executor, and no worker yet."""
    with home_at(tmp_path / "home", core__executors="celery", celery__broker=redis_url) as home:
        cluster = Cluster(home, tmp_path, redis_url)
        yield cluster
        cluster.close()


@pytest.fixture
def open_cluster(cluster: Cluster, browser: Browser) -> Iterator[Open]:
    """Opens pages of the cluster as its administrator."""
    with opening(browser, cluster.address, log_in(browser, cluster.link)) as open_it:
        yield open_it


def row(page: Page, name: str) -> Locator:
    """The row of a table that begins with this."""
    return page.get_by_role("main").get_by_role("row", name=re.compile(rf"^{name}\s"))


def shows(place: Locator, text: str) -> None:
    """It comes to show this, as its processes tell of it."""
    expect(place).to_contain_text(text, timeout=DEADLINE * 1000)


def order(page: Page, verb: str, name: str) -> None:
    """Do it, as an operator does: the button, and then the one of the dialog."""
    page.get_by_role("button", name=f"{verb} the worker {name}").click()
    page.get_by_role("dialog").get_by_role("button", name=verb, exact=True).click()


def test_a_worker_is_missed_started_full_drained_resumed_and_stopped(
    cluster: Cluster, open_cluster: Open, pictures: Path
) -> None:
    page = open_cluster("/workers")
    main = page.get_by_role("main")
    shows(main, "There are no workers")
    shows(main, "airloom worker -q default")
    cluster.airloom("dags", "trigger", "train", "--run-id", "r")
    shows(row(page, "gpu"), "no worker serves queue gpu")
    waits = open_cluster("/dags/train/runs/r/tasks/fit?map_index=0")
    shows(waits.get_by_role("main"), "no worker serves queue gpu")

    worker = cluster.worker("gpu-1")
    shows(row(page, "gpu-1"), "1 of 1 slots in use")
    shows(row(page, "gpu"), "no free slot on queue gpu: 1 of 1 in use at its worker gpu-1")
    shows(waits.get_by_role("main"), "gpu-1")
    later = open_cluster("/dags/train/runs/r/tasks/fit?map_index=1", "dark")
    shows(later.get_by_role("main"), "no free slot on queue gpu")
    shows(later.get_by_role("main"), "Next in line")

    order(page, "Drain", "gpu-1")
    shows(row(page, "gpu-1"), "drained")
    shows(row(page, "gpu"), "every worker of queue gpu is drained or stopping (gpu-1)")
    for theme in ("light", "dark"):
        seen = open_cluster("/workers", theme)
        shows(row(seen, "gpu-1"), "drained")
        settle(seen)
        seen.screenshot(path=pictures / f"cluster-workers-{theme}.png")
        check_accessibility(seen)

    order(page, "Resume", "gpu-1")
    shows(row(page, "gpu-1"), "running")
    cluster.release()
    shows(row(page, "gpu-1"), "0 of 1 slots in use")
    order(page, "Stop", "gpu-1")
    assert worker.wait(DEADLINE) == 0
    shows(main, "There are no workers")
