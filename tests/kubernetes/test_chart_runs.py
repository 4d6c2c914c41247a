"""The Helm chart installed on a real node, as `helm install --wait` does it: every part starts and is well with what
the chart gives it, and a DAG runs in pods that the scheduler makes with its own account.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy import charts
from tests.deploy.charts import Object, helm
from tests.kubernetes.api import Refused, pods
from tests.kubernetes.conftest import Clusters
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.images import AIRLOOM
from tests.kubernetes.pods import state_of
from tests.kubernetes.real_nodes import RealNode
from tests.servers import PostgresServer, free_port
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]

_DAG = """
import os
from airloom import dag, task

@dag
def pods():
    @task
    def count():
        return [1, 2]

    @task
    def add(number):
        print("I am", os.getuid(), "in", os.uname().nodename)
        return number + 1

    add.expand(number=count())

pods()
"""


@pytest.fixture
def network_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that containers reach."""
    server = PostgresServer("127.0.0.1")
    yield server
    server.stop()


@pytest.fixture
def chart(tmp_path: Path) -> Iterator[tuple[object, int, int]]:
    """The chart for a node that has only the network of this machine, and an image without an entrypoint; its ports."""
    web, tasks = free_port(), free_port()
    folder = shutil.copytree(charts.CHART, tmp_path / "airloom")
    for file in (folder / "templates").glob("*"):
        text = file.read_text("utf-8")
        text = text.replace("enableServiceLinks: false", "enableServiceLinks: false\nhostNetwork: true")
        text = re.sub(r"^( *)(args: \[[a-z])", r"\1command: [airloom]\n\1\2", text, flags=re.MULTILINE)
        text = text.replace("containerPort: 8080", f"containerPort: {web}").replace(
            "containerPort: 8081", f"containerPort: {tasks}"
        )
        file.write_text(text, "utf-8")
    with helm.Chart.load(folder) as chart:
        yield chart, web, tasks


@pytest.fixture
def plane(clusters: Clusters, real_node: RealNode) -> ControlPlane:
    """The control plane of the real node."""
    return clusters.get("real")


@pytest.fixture
def namespace(plane: ControlPlane) -> Iterator[str]:
    """A namespace with the claim `flows`, a folder with the DAG file. What ran there is printed."""
    name = plane.namespace("chart")
    # Not below /tmp, of which pods have one of their own.
    folder = Path(tempfile.mkdtemp(prefix="airloom-chart-", dir="/var/tmp"))
    folder.chmod(0o755)
    (folder / "pods.py").write_text(_DAG)
    plane.claim(name, "flows", folder)
    yield name
    for pod in plane.api.get(pods(name))["items"]:
        print(pod["metadata"]["name"], json.dumps(pod["status"]))
        for one in charts.containers(pod):
            with contextlib.suppress(Refused):
                print(plane.api.text(f"{pods(name, pod['metadata']['name'])}/log", container=one["name"]))
    plane.api.delete(f"/api/v1/namespaces/{name}")
    shutil.rmtree(folder)


def values_for(plane: ControlPlane, database: str, web: int, tasks: int) -> Object:
    """Values for a node that has only the network of this machine."""
    repository, _, tag = AIRLOOM.rpartition(":")
    one: Object = {"replicas": 1, "resources": None}
    # What a cluster's own network leads to.
    address = {"KUBERNETES_SERVICE_HOST": plane.host, "KUBERNETES_SERVICE_PORT": str(plane.port)}
    scheduler = {**one, "extraEnv": [{"name": name, "value": value} for name, value in address.items()]}
    # The image names no user.
    user = {"runAsNonRoot": True, "runAsUser": 10001}
    task = {"name": "base", "imagePullPolicy": "Never", "resources": {}}
    return {
        "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
        "database": {"url": database},
        "dags": {"source": "volume", "folder": "/srv/dags", "volume": {"existingClaim": "flows"}},
        "scheduler": scheduler,
        "api": one,
        "loader": one,
        "migration": {"resources": None},
        "kubernetes": {
            "server": f"http://127.0.0.1:{tasks}",
            "template": {"spec": {"hostNetwork": True, "securityContext": user, "containers": [task]}},
        },
        "settings": {
            "api": {"port": web, "task_port": tasks},
            "core": {"dags_are_paused_at_creation": False},
            "kubernetes": {"delete": "never"},
        },
    }


def test_a_dag_runs_in_an_installation_of_the_chart(
    chart: tuple[object, int, int],
    plane: ControlPlane,
    namespace: str,
    network_postgres: PostgresServer,
    tmp_path: Path,
) -> None:
    database = network_postgres.address(network_postgres.create())
    told = os.environ | {"AIRLOOM_HOME": str(tmp_path / "home"), "AIRLOOM__DATABASE__URL": database}

    def airloom(*words: str) -> Any:
        command = [Path(sys.executable).with_name("airloom"), *words, "-o", "json"]
        done = subprocess.run(command, env=told, check=True, capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout)

    def ended() -> str:
        states = {one["run_id"]: str(one["state"]) for one in airloom("runs", "list", "pods")}
        return states[run] if states[run] in ("success", "failed") else ""

    made, web, tasks = chart
    with helm.Config(kubeconfig_path=plane.kubeconfig(), namespace=namespace) as cluster:
        cluster.install(made, "demo", values_for(plane, database, web, tasks), wait="legacy", timeout=180)
        wait_for(lambda: airloom("dags", "list"), "the DAG to be loaded", 60)
        run = airloom("dags", "trigger", "pods")["run_id"]
        assert wait_for(ended, "the run to end", 100) == "success"
        assert [part for part in airloom("health") if part["status"] != "ok"] == []
        there = plane.api.get(pods(namespace))["items"]
        ran = [pod for pod in there if pod["metadata"]["labels"].get("app.kubernetes.io/component") == "task"]
        assert [state_of(pod)["exitCode"] for pod in ran] == [0, 0, 0]
        assert {pod["spec"]["serviceAccountName"] for pod in ran} == {"demo-airloom-task"}
        cluster.uninstall("demo")
