"""A small world for tests of the Kubernetes executor: a database, the task API in a thread, a cluster with a node."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from sqlalchemy import delete, select

from airloom.executors.base import AnswerTask, Executor
from airloom.model.events import Reported
from airloom.model.report import Ended, Report, TryKey, Waiting
from airloom.model.states import TIState
from airloom.store import inbox, tables
from airloom.store.leadership import database_id
from airloom.wiring import parts
from tests.executors.celery_rig import CeleryRig, CeleryWorld, enter, patched
from tests.kubernetes.api import Object, pods
from tests.kubernetes.cluster import Cluster
from tests.waiting import wait_for

#: whom pods run as
_USER = 1000


class KubernetesWorld(CeleryWorld):
    """What the tests of a class share. folder: seen by tests and pods at the same place."""

    def __init__(self, database: str, cluster: Cluster, kubeconfig: Path | None = None, **more: str) -> None:
        # Not below /tmp, of which pods have one of their own.
        self.folder = Path(tempfile.mkdtemp(prefix="airloom-", dir="/var/tmp"))
        self.folder.chmod(0o777)
        self.cluster = cluster
        self.namespace = cluster.namespace()
        volume = {"name": "shared", "hostPath": {"path": str(self.folder)}}
        base = {"name": "base", "volumeMounts": [{"name": "shared", "mountPath": str(self.folder)}]}
        spec = {"containers": [base], "volumes": [volume], "securityContext": {"runAsUser": _USER}}
        self.kubernetes = {
            "AIRLOOM__CORE__EXECUTORS": "kubernetes",
            "AIRLOOM__KUBERNETES__KUBECONFIG": str(kubeconfig or cluster.kubeconfig()),
            "AIRLOOM__KUBERNETES__NAMESPACE": self.namespace,
            "AIRLOOM__KUBERNETES__IMAGE": cluster.image,
            "AIRLOOM__KUBERNETES__SERVER": "http://127.0.0.1:1",
            "AIRLOOM__KUBERNETES__TEMPLATE": yaml.safe_dump({"spec": spec}),
            "AIRLOOM__LOCAL__GRACE": "0.3",
            **more,
        }
        super().__init__(self.folder, database, self.kubernetes)

    def serve(self) -> None:
        """Tell pods where the task API is, which listens now."""
        self.kubernetes["AIRLOOM__KUBERNETES__SERVER"] = self.api.url
        self.configure()

    def pods(self) -> list[Object]:
        """Those of the namespace."""
        found: list[Object] = self.cluster.api.get(pods(self.namespace))["items"]
        return found

    def worker_says(self) -> str:
        """What became of the pods, and what they said."""
        said = []
        for pod in self.pods():
            name, status = pod["metadata"]["name"], pod["status"]
            try:
                log = self.cluster.api.text(f"{pods(self.namespace, name)}/log", container="base")
            except Exception as error:
                log = repr(error)
            said.append(f"{name}: {status}\n{log}")
        return "\n".join(said)

    def runner_says(self) -> str:
        return ""

    def close(self) -> None:
        super().close()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def served(world: KubernetesWorld) -> Iterator[KubernetesWorld]:
    """The task API serves."""
    with patched(world):
        world.serve()
        yield world


class KubernetesRig(CeleryRig):
    """Makes the rows of its works, as the scheduler does, and takes what the task API left in the inbox."""

    name = "kubernetes"
    world: KubernetesWorld

    def __init__(self, folder: Path, world: KubernetesWorld) -> None:
        super().__init__(folder, world)
        # Where pods see it.
        self.marks = world.folder / f"marks-{self._under}"
        self.marks.mkdir()
        self.marks.chmod(0o777)
        self.waits: dict[TryKey, str] = {}

    def start_kubernetes(self) -> None:
        """Use a new executor from now on, when it sees its pods."""
        self.start(self._make)
        self.world.answer = self._answer
        wait_for(lambda: self.executor.capacity()[0] != 0, "the cluster to be seen")

    def _make(self, _answer: AnswerTask, wake: Callable[[], None]) -> Executor:
        world = self.world
        local = parts.local_settings(world.settings, world.db, world.home, world.settings.bundles)
        made = parts.make_executors(("kubernetes",), local, world.ops, wake, None, world.settings)["kubernetes"]
        world.executors.append(made)
        return made

    def poll(self) -> list[Report]:
        """As the scheduler takes it: a runner's own word comes before what the executor makes of its pod."""
        guesses: list[Report] = []
        for news in self.executor.poll():
            if isinstance(news, Waiting):
                self.waits[news.key] = news.why
            else:
                guesses.append(news)
        with self.world.db.transaction() as conn:
            reports: list[Report] = []
            for number, command in inbox.take(conn, 1000):
                assert isinstance(command, Reported)
                reports += command.reports
                conn.execute(delete(tables.inbox).where(tables.inbox.c.id == number))
            over = {report.key for report in [*self.reports, *reports] if isinstance(report, Ended)}
            reports += [report for report in guesses if report.key not in over]
            for report in reports:
                enter(conn, report)
        return reports

    def enter(self, report: Report) -> None:
        """Have a report in the database, as if the scheduler had taken it."""
        with self.world.db.transaction() as conn:
            enter(conn, report)

    @property
    def installation(self) -> str:
        """The label of this world's pods and Secrets."""
        with self.world.db.reading() as conn:
            return database_id(conn)

    def secrets(self) -> list[str]:
        """The names of the executor's Secrets."""
        path = f"/api/v1/namespaces/{self.world.namespace}/secrets"
        found = self.world.cluster.api.get(path, labelSelector="airloom.dev/executor=kubernetes")["items"]
        return [secret["metadata"]["name"] for secret in found]

    def close(self) -> None:
        """Nothing of this test's is wanted any more; waits until no pod of it is left that has not ended."""
        table = tables.task_try
        with self.world.db.transaction() as conn:
            rows = conn.execute(select(table).where(table.c.ended_at.is_(None)))
            live = {TryKey(row.ti_id, row.try_number) for row in rows}
        left = sorted(set(self.works) & live)
        self._set_state(left, TIState.RESTARTING)
        for key in left:
            self.cancel(self.works[key], "the test is over")
        wait_for(lambda: self.poll() is not None and not self._unfinished(), "the pods of the test to end")
        self.executor.close(0)

    def _unfinished(self) -> list[str]:
        mine = {str(key.ti_id) for key in self.works}
        return [
            pod["metadata"]["name"]
            for pod in self.world.pods()
            if pod["metadata"].get("labels", {}).get("airloom.dev/ti") in mine
            and pod["status"].get("phase") not in ("Succeeded", "Failed")
        ]


def skip_without(cluster: Cluster) -> None:
    """Pods of a cluster that is not this machine cannot reach the task API of a test."""
    if not hasattr(cluster, "compact"):
        pytest.skip("the task API of the test is not reached from a foreign cluster")
