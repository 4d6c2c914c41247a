"""Tries in pods while everything around them fails at random: nothing is lost, nothing runs twice, nothing is left."""

import os
import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from airloom.executors.kubernetes import executor
from airloom.model.report import Cause, Ended, HandedBack, Outcome
from airloom.model.work import Work
from tests.executors.kubernetes_rig import KubernetesRig, KubernetesWorld, served
from tests.kubernetes.api import Object, Refused, pods
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.meddler import Meddler, watches
from tests.kubernetes.nodes import LocalNode
from tests.servers import PostgresServer
from tests.waiting import wait_for

_TRIES = 24
#: of these, how often a fault comes between two tries
_FAULTS = 12
_TASK = """
from airloom import get_current_context
with open(MARKS / get_current_context()["run_id"], "a") as file:
    file.write("x")
time.sleep(0.3)
"""
#: how a try may end whose pod was deleted
_NOT_ITS_FAULT = (Cause.KILLED, Cause.STOPPED, Cause.LOST, Cause.LAUNCH)


class Seed:
    """One history: a rig whose executor reaches its cluster through a meddler."""

    def __init__(self, rig: KubernetesRig, plane: ControlPlane, meddler: Meddler, seed: int) -> None:
        self.rig = rig
        self.plane = plane
        self.meddler = meddler
        self.random = random.Random(seed)
        self.works: list[Work] = []
        self.done: list[str] = []
        self._faults: list[Callable[[], None]] = [
            self.cut_watches, self.storm, self.errors, self.lost_answers, self.lost_requests, self.forget_history,
            self.restart_server, self.delete_a_pod, self.fill_quota, self.kill_scheduler,
        ]  # fmt: skip

    def run(self) -> None:
        """Submit tries, with faults between; then wait until all have ended."""
        faults = sorted(self.random.choices(range(_TRIES), k=_FAULTS))
        for number in range(_TRIES):
            work = self.rig.work("alone")
            self.works.append(work)
            self.rig.submit(work)
            self.rig.reports += self.rig.poll()
            for _ in range(faults.count(number)):
                fault = self.random.choice(self._faults)
                self.done.append(fault.__name__)
                fault()
        if self._quota() is not None:
            self.plane.lift_quota(self.rig.world.namespace)
        self.rig.until(lambda: not self.open(), f"all ends after {self.done}; open: {[w.key for w in self.open()]}")

    def open(self) -> list[Work]:
        """The tries that have not ended."""
        over = {report.key for report in self.rig.reports if isinstance(report, Ended | HandedBack)}
        return [work for work in self.works if work.key not in over]

    # --- the faults ---------------------------------------------------------------------------------------------------
    def cut_watches(self) -> None:
        self.meddler.cut_watches()

    def storm(self) -> None:
        self.meddler.answer(429, self.random.randint(1, 3), lambda method, path: True)

    def errors(self) -> None:
        self.meddler.answer(500, self.random.randint(1, 3), lambda method, path: method != "GET")

    def lost_answers(self) -> None:
        self.meddler.lose_answers(self.random.randint(1, 4), lambda method, path: method == "POST")

    def lost_requests(self) -> None:
        self.meddler.lose_requests(self.random.randint(1, 4), lambda method, path: True)

    def forget_history(self) -> None:
        self.meddler.answer(500, 1, watches)
        self.meddler.cut_watches()
        self.plane.compact()

    def restart_server(self) -> None:
        self.plane.restart()

    def delete_a_pod(self) -> None:
        there = self.rig.world.pods()
        if there:
            name = self.random.choice(there)["metadata"]["name"]
            try:
                self.plane.api.delete(pods(self.rig.world.namespace, name))
            except Refused as refused:
                assert refused.code == 404

    def fill_quota(self) -> None:
        namespace = self.rig.world.namespace
        if self._quota() is not None:
            self.plane.lift_quota(namespace)
        else:
            self.plane.set_quota(namespace, {"pods": str(max(1, len(self.rig.world.pods())))})

    def _quota(self) -> Object | None:
        return self.plane.api.find(f"/api/v1/namespaces/{self.rig.world.namespace}/resourcequotas/test")

    def kill_scheduler(self) -> None:
        """Another one takes over, as services/scheduler.py does."""
        self.rig.executor.close(0)
        self.rig.start(self.rig._make)
        live = {work.key: work for work in self.open()}
        adopted = self.rig.executor.adopt(live.keys())
        self.rig.submit(*(work for key, work in live.items() if key not in adopted))


@pytest.mark.timeout(280)
@pytest.mark.parametrize("seed", range(int(os.environ.get("AIRLOOM_KUBERNETES_SEEDS", "2"))))
def test_nothing_is_lost_runs_twice_or_is_left(
    seed: int,
    tmp_path: Path,
    postgres_server: PostgresServer,
    migrated_postgres: str,
    forgetful_plane: ControlPlane,
    node: LocalNode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(executor, "_SWEEP", 1.0)
    name = postgres_server.create(migrated_postgres)
    with closing(Meddler(forgetful_plane)) as meddler:
        url, deleting = postgres_server.url(name), {"AIRLOOM__KUBERNETES__DELETE": "always"}
        with served(KubernetesWorld(url, forgetful_plane, meddler.kubeconfig(), **deleting)) as world:
            rig = KubernetesRig(tmp_path, world)
            rig.start_kubernetes()
            rig.write("alone", _TASK)
            history = Seed(rig, forgetful_plane, meddler, seed)
            history.run()
            check(history)
            rig.close()
    postgres_server.drop(name)


def check(history: Seed) -> None:
    """What must hold after any history."""
    rig = history.rig
    ends = {work.key: [*rig.told(Ended, work), *rig.told(HandedBack, work)] for work in history.works}
    assert all(len(told) == 1 for told in ends.values()), f"each end is told once: {ends}"
    ran = {mark.name: mark.read_text() for mark in rig.marks.iterdir()}
    assert set(ran.values()) <= {"x"}, f"a try runs once: {ran}"
    failed = [told[0] for told in ends.values() if getattr(told[0], "outcome", None) is not Outcome.SUCCESS]
    assert all(isinstance(end, HandedBack) or end.cause in _NOT_ITS_FAULT for end in failed), failed
    assert len(failed) <= history.done.count("delete_a_pod"), (history.done, failed)
    assert all(
        ran.get(work.run.run_id) for work in history.works if rig.told(Ended, work)[0].outcome is Outcome.SUCCESS
    )
    wait_for(lambda: not rig.world.pods(), "all pods to be deleted")
    wait_for(lambda: not rig.secrets(), "all Secrets to be deleted")
