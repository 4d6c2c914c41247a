"""A real `airloom standalone` with DAGs that run, fail, wait and log, for a browser to look at."""

import re
from pathlib import Path

from tests.faults.home import Home
from tests.waiting import wait_for

#: `hold` is a file: the task goes on when the test makes it
DAGS = """
import os
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from airloom import DAG, EmptyOperator, BashOperator, TaskGroup, dag, task

HOME = Path(os.environ["AIRLOOM_HOME"])


def hold(name):
    while not (HOME / name).exists():
        time.sleep(0.02)


@dag(
    schedule="0 6 * * *",
    start_date=datetime(2024, 1, 1),
    catchup=False,
    tags=["finance", "daily"],
    params={"region": "north", "limit": 10},
    doc_md="# Sales of a day\\n\\nReads the *orders*, makes the **report**.\\n\\n<script>window.broken = true</script>",
    description="Orders of all shops, summed up",
)
def sales():
    with TaskGroup("extract"):

        @task
        def orders():
            print("reading orders")
            return [3, 1, 2]

        @task
        def customers():
            print("<script>window.broken = true</script> <img src=x onerror='window.broken = true'>")
            print("\\x1b[31mred\\x1b[0m and \\x1b[32mgreen\\x1b[0m")
            return {"ann": 1, "<b>bob</b>": "<script>window.broken = true</script>"}

        rows, people = orders(), customers()

    @task
    def price(number):
        print("pricing", number)
        return number * 100

    @task
    def total(prices, people):
        print("the total is", sum(prices))
        return sum(prices)

    report = BashOperator(task_id="report", bash_command="echo region {{ params.region }} on {{ ds }}")
    total(price.expand(number=rows), people) >> report


sales()


@dag(schedule=None, tags=["demo"])
def slow():
    @task
    def watch():
        for number in range(20):
            print(f"line {number} of the beginning")
        hold("go")
        print("the end is reached")

    @task
    def after():
        pass

    watch() >> after()


slow()


@dag(schedule=None, tags=["demo"])
def broken():
    @task(retries=1, retry_delay=timedelta(seconds=0))
    def divide():
        print("about to divide", file=sys.stderr)
        return 1 / 0

    @task
    def never():
        pass

    never() << divide()


broken()


@dag(schedule=None)
def crowded():
    @task(pool="one_slot")
    def first():
        hold("go_crowd")

    @task(pool="one_slot")
    def second():
        pass

    first()
    second()


crowded()


@dag(
    schedule="@hourly",
    start_date=datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0) - timedelta(hours=36),
    catchup=True,
    max_active_runs=2,
    tags=["port", "hourly"],
    description="Ships, their cargo and what the harbour earns by them",
)
def harbour():
    with TaskGroup("sea"):

        @task
        def ships():
            print("\x1b[32m4 ships\x1b[0m at the pier, 2 in the roads")
            return ["Alma", "Borea", "Cygnus", "Dora"]

        @task
        def tides():
            print("high water at 04:12 and 16:40")

        fleet, water = ships(), tides()

    with TaskGroup("cargo"):

        @task
        def unload(ship):
            print("unloading", ship)
            return 40

        @task
        def weigh(tons, logical_date=None):
            print("the scale shows", sum(tons), "tons")
            if logical_date.hour % 9 == 4:
                raise ValueError("the scale is out of order: 0 tons cannot be")

        weighed = weigh(unload.expand(ship=fleet))

    @task.branch
    def customs(logical_date=None):
        return "invoice" if logical_date.hour % 5 else "inspect"

    @task
    def inspect():
        print("containers were opened: 12")

    @task
    def invoice():
        print("12 invoices are written")

    @task(trigger_rule="none_failed_min_one_success")
    def ledger():
        print("the books are balanced")

    asked = customs()
    water >> asked
    weighed >> asked >> [inspect(), invoice()] >> ledger()


harbour()
"""
BAD_FILE = "from airloom import dag\nimport nothing_of_that_name\n"


class Site:
    """A server that is ready, its address, and a link that logs in."""

    def __init__(self, home: Home) -> None:
        self.home = home
        home.write("shop.py", DAGS)
        home.write("bad.py", BAD_FILE)
        home.start()
        home.ready()
        found = re.search(r"(http://\S+?)/login#code=\S+", home.log.read_text())
        assert found is not None, home.log.read_text()
        self.link = found.group()
        self.address = found.group(1)
        wait_for(lambda: "sales" in self.airloom("dags", "list", "-o", "plain"), "the DAGs to be loaded")
        self.airloom("pools", "set", "one_slot", "1", "tasks that must not meet")

    def airloom(self, *args: str, status: int = 0) -> str:
        """What a command says."""
        done = self.home.airloom(*args)
        assert done.returncode == status, done.stderr
        return done.stdout

    def run(self, dag_id: str, run_id: str, status: int = 0) -> None:
        """A run, to its end."""
        self.airloom("dags", "trigger", dag_id, "--run-id", run_id, "--wait", status=status)

    def release(self, name: str) -> None:
        """Let a task that holds go on."""
        (Path(self.home.env["AIRLOOM_HOME"]) / name).touch()
