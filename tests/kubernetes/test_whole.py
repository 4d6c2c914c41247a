"""A whole Airloom whose tasks run in pods: from a DAG file to the end of the run, and through the scheduler's death."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.behaviour.server import Server
from tests.faults.home import Home, home_at
from tests.kubernetes.api import Object, pods
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fate import FATE
from tests.kubernetes.pods import make_pod
from tests.servers import free_port
from tests.waiting import wait_for

#: whom pods run as
_USER = 1000
_DAG = """
import time
from pathlib import Path
from airloom import DAG, task

MARKS = Path({marks!r})

with DAG("wide"):
    @task
    def numbers():
        return list(range({count}))

    @task
    def hold(number):
        with open(MARKS / f"ran-{{number}}", "a") as file:
            file.write("x")
        while not (MARKS / "go").exists():
            time.sleep(0.05)
        print("held", number)
        return number

    @task
    def total(values):
        return sum(values)

    total(hold.expand(number=numbers()))
"""


class Whole:
    """An `airloom standalone` on a cluster; `folder` is seen by pods at the same place."""

    def __init__(self, home: Home, plane: ControlPlane, namespace: str, folder: Path) -> None:
        self.home = home
        self.server = Server(home)
        self.plane = plane
        self.namespace = namespace
        self.folder = folder

    def pods(self) -> list[Object]:
        """All pods of the namespace."""
        found: list[Object] = self.plane.api.get(pods(self.namespace))["items"]
        return found

    def ran(self) -> dict[str, str]:
        """Which tasks have begun, and how often."""
        return {mark.name: mark.read_text() for mark in self.folder.glob("marks/ran-*")}

    def go(self) -> None:
        """Let the tasks end."""
        (self.folder / "marks" / "go").touch()


@pytest.fixture
def whole(control_plane: ControlPlane, main_nodes: Any) -> Iterator[Whole]:
    main_nodes.ensure()
    # Not below /tmp, of which pods have one of their own.
    folder = Path(tempfile.mkdtemp(prefix="airloom-", dir="/var/tmp"))
    folder.chmod(0o755)
    for name in ("dags", "marks"):
        (folder / name).mkdir()
        (folder / name).chmod(0o777)
    shared = {"name": "shared", "hostPath": {"path": str(folder)}}
    base = {"name": "base", "volumeMounts": [{"name": "shared", "mountPath": str(folder)}]}
    spec = {"containers": [base], "volumes": [shared], "securityContext": {"runAsUser": _USER}}
    port, namespace = free_port(), control_plane.namespace()
    with home_at(
        folder / "home",
        core__dags_folder=folder / "dags",
        core__executors="kubernetes",
        api__port=port,
        kubernetes__kubeconfig=control_plane.kubeconfig(),
        kubernetes__namespace=namespace,
        kubernetes__image=control_plane.image,
        kubernetes__server=f"http://127.0.0.1:{port}",
        kubernetes__template=yaml.safe_dump({"spec": spec}),
        kubernetes__delete="always",
    ) as home:
        home.start()
        home.ready()
        yield Whole(home, control_plane, namespace, folder)
        assert home.stop() == 0
    shutil.rmtree(folder, ignore_errors=True)


def test_a_run_goes_through_pods_and_leaves_none(whole: Whole) -> None:
    (whole.folder / "dags" / "wide.py").write_text(_DAG.format(marks=str(whole.folder / "marks"), count=3))
    whole.go()
    wait_for(lambda: whole.home.rows("SELECT 1 FROM dag WHERE dag_id = 'wide'"), "the dag")
    whole.server.trigger("wide")
    assert whole.home.ended("wide") == "success"
    assert whole.ran() == {f"ran-{number}": "x" for number in range(3)}
    wait_for(lambda: not whole.pods(), "the pods to be deleted")


def test_a_scheduler_that_is_killed_loses_no_pod_and_starts_none_twice(whole: Whole) -> None:
    count = 6
    (whole.folder / "dags" / "wide.py").write_text(_DAG.format(marks=str(whole.folder / "marks"), count=count))
    wait_for(lambda: whole.home.rows("SELECT 1 FROM dag WHERE dag_id = 'wide'"), "the dag")
    whole.server.trigger("wide")
    # As soon as the first of them runs: of the others some have a pod, some have none.
    whole.home.wait_for(whole.ran, "a task")
    whole.home.kill_server()
    whole.home.log.unlink()
    whole.home.start()
    whole.home.ready()
    whole.go()
    assert whole.home.ended("wide") == "success"
    assert whole.ran() == {f"ran-{number}": "x" for number in range(count)}
    assert whole.home.rows("SELECT max(try_number) FROM task_instance") == [(1,)]
    wait_for(lambda: not whole.pods(), "the pods to be deleted")


def test_what_a_pod_waits_for_is_told_by_explain(whole: Whole) -> None:
    (whole.folder / "dags" / "wide.py").write_text(_DAG.format(marks=str(whole.folder / "marks"), count=1))
    wait_for(lambda: whole.home.rows("SELECT 1 FROM dag WHERE dag_id = 'wide'"), "the dag")
    squatter = make_pod("squatter")
    squatter["metadata"]["annotations"] = {FATE: "unschedulable"}
    whole.plane.api.create(pods(whole.namespace), squatter)
    whole.plane.set_quota(whole.namespace, {"pods": "1"})
    run = whole.server.trigger("wide")

    def reason() -> str:
        return str(whole.server.explain("wide", run, "numbers")[0]["text"])

    whole.home.wait_for(lambda: "namespace quota test: pods 1/1" in reason(), "the reason")
    whole.plane.lift_quota(whole.namespace)
    whole.go()
    assert whole.home.ended("wide") == "success"
