"""Tries in pods while everything around them fails at random: nothing is lost, nothing runs twice, nothing is left."""

import os
import random
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from airloom.model.report import Cause, Ended, HandedBack, Outcome
from airloom.model.work import Work
from tests.executors.kubernetes_rig import KubernetesRig, KubernetesWorld, served
from tests.kubernetes.api import Refused, pods
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.meddler import Meddler, watches
from tests.kubernetes.nodes import LocalNodes
from tests.servers import PostgresServer
from tests.waiting import wait_for

_TRIES = 24
#: of these, how often a fault comes between two tries
_FAULTS = 12
#: a task that tells whether it is alone, and lasts a moment
_TASK = """
me = MARKS / f"live-{os.environ['HOSTNAME'].rsplit('-', 2)[-2] if 'HOSTNAME' in os.environ else os.uname().nodename}"
try:
    os.close(os.open(me, os.O_CREAT | os.O_EXCL))
except FileExistsError:
    (MARKS / f"twice-{me.name}").touch()
time.sleep(0.5)
me.unlink(missing_ok=True)
return 1
"""
#: how a try may end to which something was done: the scheduler makes another one
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
        self.plane.lift_quota_if_any(self.rig.world.namespace)
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
        if self.plane.has_quota(namespace):
            self.plane.lift_quota(namespace)
        else:
            self.plane.set_quota(namespace, {"pods": str(max(1, len(self.rig.world.pods())))})

    def kill_scheduler(self) -> None:
        """Another one takes over, as services/scheduler.py does."""
        self.rig.executor.close(0)
        self.rig.start(self.rig._make)
        live = {work.key: work for work in self.open()}
        adopted = self.rig.executor.adopt(live.keys())
        self.rig.submit(*(work for key, work in live.items() if key not in adopted))
