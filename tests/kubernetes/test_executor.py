"""The Kubernetes executor on a real API server: why pods are not made, what becomes of them, what faults do."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from airloom.executors.kubernetes import executor as executor_module
from airloom.model.errors import SettingsError
from airloom.model.report import Cause, Ended, Outcome, Started
from airloom.model.work import Work
from tests.executors.kubernetes_rig import KubernetesRig, KubernetesWorld, served, skip_without
from tests.kubernetes.api import Object, Refused, pods
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fate import FATE, decide
from tests.kubernetes.meddler import Meddler
from tests.kubernetes.pods import make_pod
from tests.servers import PostgresServer
from tests.waiting import wait_for

MakeRig = Callable[..., KubernetesRig]


class Makes:
    """Worlds and rigs, which are closed at the end."""

    def __init__(self, folder: Path, postgres: PostgresServer, template: str) -> None:
        self._folder = folder
        self._postgres = postgres
        self._template = template
        self._opened: list[Any] = []
        self._names: list[str] = []
        self._rigs: list[KubernetesRig] = []

    def world(self, cluster: Cluster, kubeconfig: Path | None = None, **more: str) -> KubernetesWorld:
        """A world of its own."""
        skip_without(cluster)
        name = self._postgres.create(self._template)
        self._names.append(name)
        opened = served(KubernetesWorld(self._postgres.url(name), cluster, kubeconfig, **more))
        self._opened.append(opened)
        return opened.__enter__()

    def rig(self, cluster: Cluster, kubeconfig: Path | None = None, **more: str) -> KubernetesRig:
        """A rig in a world of its own, whose executor sees its cluster."""
        world = self.world(cluster, kubeconfig, **more)
        folder = self._folder / f"rig{len(self._rigs)}"
        folder.mkdir()
        rig = KubernetesRig(folder, world)
        self._rigs.append(rig)
        rig.start_kubernetes()
        rig.write("good", "return 1")
        return rig

    def close(self) -> None:
        for rig in self._rigs:
            rig.close()
        for opened in reversed(self._opened):
            opened.__exit__(None, None, None)
        for name in self._names:
            self._postgres.drop(name)


@pytest.fixture
def makes(tmp_path: Path, postgres_server: PostgresServer, migrated_postgres: str) -> Iterator[Makes]:
    with closing(Makes(tmp_path, postgres_server, migrated_postgres)) as made:
        yield made


@pytest.fixture
def rig(makes: Makes, running_cluster: Cluster) -> KubernetesRig:
    return makes.rig(running_cluster)


@pytest.fixture
def plane_rig(makes: Makes, control_plane: ControlPlane, main_nodes: Any) -> KubernetesRig:
    main_nodes.ensure()
    return makes.rig(control_plane)


def pod_of(rig: KubernetesRig, work: Work) -> Object | None:
    """The pod of a try."""
    mine = (
        pod
        for pod in rig.world.pods()
        if pod["metadata"].get("labels", {}).get("airloom.dev/ti") == str(work.key.ti_id)
    )
    return next(mine, None)


def waits(rig: KubernetesRig, work: Work, text: str) -> None:
    """Wait until the executor says this of a try that waits."""
    rig.until(lambda: text in rig.waits.get(work.key, ""), f"{text!r} as the reason")


def override(**spec: Any) -> Object:
    return {"pod_override": {"spec": spec}}


def _refuses(cluster: Cluster, namespace: str) -> bool:
    """Whether a pod is refused."""
    try:
        cluster.api.create(pods(namespace), make_pod("another"))
    except Refused:
        return True
    cluster.api.delete(pods(namespace, "another"), grace=0)
    return False


class TestPodsThatAreNotMade:
    def test_a_full_quota_is_a_reason_to_wait_and_none_to_fail(self, rig: KubernetesRig) -> None:
        cluster, namespace = rig.world.cluster, rig.world.namespace
        squatter = make_pod("squatter")
        squatter["metadata"]["annotations"] = {FATE: "unschedulable"}
        cluster.api.create(pods(namespace), squatter)
        cluster.set_quota(namespace, {"pods": "1"})
        wait_for(lambda: _refuses(cluster, namespace), "the quota to count")
        works = [rig.work("good") for _ in range(3)]
        rig.submit(*works)
        for work in works:
            waits(rig, work, "namespace quota test: pods 1/1")
        assert rig.executor.capacity() == (None, "")
        assert rig.reports == []
        cluster.lift_quota(namespace)
        assert [rig.end(work).outcome for work in works] == [Outcome.SUCCESS] * 3
        assert set(rig.waits.values()) == {""}

    def test_an_override_that_no_cluster_takes_fails_with_the_field(self, rig: KubernetesRig) -> None:
        work = rig.work("good", executor_config=override(nodeSelector={"a b": "c"}))
        (ended,) = rig.run(work)
        assert ended.cause is Cause.INVALID
        assert "nodeSelector" in (ended.detail or "")

    def test_a_namespace_that_is_not_allowed_fails_before_anything_is_sent(self, rig: KubernetesRig) -> None:
        (ended,) = rig.run(rig.work("good", executor_config={"namespace": "kube-system"}))
        assert ended.cause is Cause.INVALID
        assert "kube-system" in (ended.detail or "")

    def test_a_conf_that_no_pod_takes_fails_with_its_size(self, rig: KubernetesRig) -> None:
        work = rig.work("good")
        run = msgspec.structs.replace(work.run, conf={"text": "x" * 800_000})
        (ended,) = rig.run(msgspec.structs.replace(work, run=run))
        assert ended.cause is Cause.INVALID
        assert "KiB" in (ended.detail or "")

    def test_a_right_that_is_missing_is_waited_for(self, makes: Makes, control_plane: ControlPlane) -> None:
        rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "delete"]}]
        secrets = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "delete", "list"]}]
        world = makes.world(control_plane, control_plane.kubeconfig("alice"))
        control_plane.grant(world.namespace, control_plane.subject("alice"), rules + secrets)
        rig = makes_rig(makes, world)
        work = rig.work("good")
        rig.submit(work)
        waits(rig, work, "may not create pods")
        create = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}]
        control_plane.grant(world.namespace, control_plane.subject("alice"), create)
        assert wait_for(lambda: pod_of(rig, work), "the pod")

    def test_credentials_that_are_refused_are_no_capacity(self, makes: Makes, control_plane: ControlPlane) -> None:
        access = msgspec.structs.replace(control_plane.access(), token="nobody's")
        file = access.write(control_plane.folder / "nobody.kubeconfig")
        rig = makes_rig(makes, makes.world(control_plane, file), seen=False)
        wait_for(lambda: "401" in rig.executor.capacity()[1], "the reason")
        assert rig.executor.capacity()[0] == 0

    def test_a_kubeconfig_that_is_not_there_is_told_at_the_start(
        self, makes: Makes, control_plane: ControlPlane
    ) -> None:
        world = makes.world(control_plane, Path("/nowhere/kubeconfig"))
        with pytest.raises(SettingsError, match="/nowhere/kubeconfig"):
            makes_rig(makes, world, seen=False)


def makes_rig(makes: Makes, world: KubernetesWorld, *, seen: bool = True) -> KubernetesRig:
    """A rig in a world that is there."""
    folder = makes._folder / f"rig{len(makes._rigs)}"
    folder.mkdir()
    rig = KubernetesRig(folder, world)
    rig.write("good", "return 1")
    if seen:
        rig.start_kubernetes()
    else:
        rig.start(rig._make)
    makes._rigs.append(rig)
    return rig


class TestPodsThatDoNotStart:
    def test_an_image_that_does_not_exist_is_the_reason(
        self, makes: Makes, running_cluster: Cluster, monkeypatch: Any
    ) -> None:
        rig = makes.rig(running_cluster, AIRLOOM__KUBERNETES__START_LIMIT="5")
        image = {"name": "base", "image": "missing.test/nothing:1"}
        work = rig.work("good", executor_config=override(containers=[image]))
        rig.submit(work)
        waits(rig, work, "the image cannot be pulled (missing.test/nothing:1)")
        ended = rig.end(work)
        assert (ended.outcome, ended.cause) == (Outcome.FAILED, Cause.LAUNCH)
        assert "missing.test/nothing:1" in (ended.detail or "")
        wait_for(lambda: pod_of(rig, work) is None, "the pod to be deleted")

    def test_a_secret_that_is_missing_is_the_reason(self, makes: Makes, running_cluster: Cluster) -> None:
        rig = makes.rig(running_cluster)
        variable = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "nosuch", "key": "k"}}}
        work = rig.work("good", executor_config=override(containers=[{"name": "base", "env": [variable]}]))
        ended = rig.run(work)[0]
        assert ended.cause is Cause.LAUNCH
        assert 'secret "nosuch" not found' in (ended.detail or "")

    def test_a_node_that_refuses_the_pod_ends_the_try_at_once(self, plane_rig: KubernetesRig) -> None:
        rig = plane_rig
        work = rig.work("good", executor_config={"pod_override": {"metadata": {"annotations": {FATE: "reject"}}}})
        ended = rig.run(work)[0]
        assert ended.cause is Cause.LAUNCH
        assert "OutOfcpu" in (ended.detail or "")

    def test_one_that_is_cancelled_while_it_waits_ends_at_once(self, plane_rig: KubernetesRig) -> None:
        rig = plane_rig
        work = rig.work(
            "good",
            executor_config={"pod_override": {"metadata": {"annotations": {FATE: "unschedulable"}}}},
        )
        rig.submit(work)
        wait_for(lambda: pod_of(rig, work), "the pod")
        rig.cancel(work, "no longer wanted")
        ended = rig.end(work)
        assert (ended.cause, ended.detail) == (Cause.CANCELLED, "no longer wanted")
        wait_for(lambda: pod_of(rig, work) is None, "the pod to be deleted")


class TestPodsThatEnd:
    @pytest.fixture
    def running(self, plane_rig: KubernetesRig) -> tuple[KubernetesRig, Work, Object]:
        """A try that runs."""
        plane_rig.write("long", "(MARKS / 'up').touch()\ntime.sleep(600)")
        work = plane_rig.work("long")
        plane_rig.submit(work)
        plane_rig.started(work)
        wait_for(plane_rig.mark("up").exists, "the task")
        pod = pod_of(plane_rig, work)
        assert pod is not None
        return plane_rig, work, pod

    def test_a_container_that_is_killed_for_memory_is_told_as_that(self, running: Any) -> None:
        rig, work, pod = running
        decide(rig.world.cluster.api, rig.world.namespace, pod["metadata"]["name"], "oom")
        ended = rig.end(work)
        assert (ended.outcome, ended.cause, ended.exit_code) == (Outcome.FAILED, Cause.OOM, 137)

    def test_a_pod_that_is_evicted_is_no_fault_of_the_task_s(self, running: Any) -> None:
        rig, work, pod = running
        decide(rig.world.cluster.api, rig.world.namespace, pod["metadata"]["name"], "evict")
        assert rig.end(work).cause in (Cause.KILLED, Cause.STOPPED)

    def test_a_pod_that_is_deleted_by_hand_ends_its_try(self, running: Any) -> None:
        rig, work, pod = running
        rig.world.cluster.api.delete(pods(rig.world.namespace, pod["metadata"]["name"]))
        assert rig.end(work).cause in (Cause.KILLED, Cause.STOPPED)
        assert len(rig.told(Ended, work)) == 1

    def test_a_scheduler_that_comes_back_settles_what_ended_meanwhile(self, running: Any) -> None:
        rig, work, pod = running
        rig.executor.close(0)
        decide(rig.world.cluster.api, rig.world.namespace, pod["metadata"]["name"], "oom")
        path = pods(rig.world.namespace, pod["metadata"]["name"])
        wait_for(lambda: rig.world.cluster.api.get(path)["status"]["phase"] == "Failed", "the end of the pod")
        rig.start_kubernetes()
        assert rig.executor.adopt({work.key}) == {work.key}
        assert rig.end(work).cause is Cause.OOM


class TestTakingOver:
    def test_no_second_pod_is_made_for_a_try_that_is_submitted_again(self, plane_rig: KubernetesRig) -> None:
        rig = plane_rig
        held = {"pod_override": {"metadata": {"annotations": {FATE: "unschedulable"}}}}
        work = rig.work("good", executor_config=held)
        rig.submit(work)
        first = wait_for(lambda: pod_of(rig, work), "the pod")
        rig.executor.close(0)
        rig.start_kubernetes()
        assert rig.executor.adopt({work.key}) == set()
        rig.submit(work)
        path = pods(rig.world.namespace, first["metadata"]["name"])
        other = rig.work("good")
        assert rig.run(other)[0].outcome is Outcome.SUCCESS
        assert rig.world.cluster.api.get(path)["metadata"]["uid"] == first["metadata"]["uid"]

    def test_pods_of_tries_that_are_over_are_deleted(self, plane_rig: KubernetesRig) -> None:
        rig = plane_rig
        held = {"pod_override": {"metadata": {"annotations": {FATE: "unschedulable"}}}}
        work = rig.work("good", executor_config=held)
        rig.submit(work)
        wait_for(lambda: pod_of(rig, work), "the pod")
        rig.executor.close(0)
        rig.reports.append(Ended(key=work.key, at=time.time(), outcome=Outcome.FAILED))
        rig.enter(rig.reports[-1])
        rig.start_kubernetes()
        wait_for(lambda: pod_of(rig, work) is None, "the orphan to be deleted")

    def test_the_secret_of_a_scheduler_that_was_killed_is_deleted(
        self, makes: Makes, running_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(executor_module, "_SWEEP", 0.2)
        rig = makes.rig(running_cluster)
        labels = {"airloom.dev/executor": "kubernetes", "airloom.dev/installation": rig.installation}
        path = f"/api/v1/namespaces/{rig.world.namespace}/secrets"
        rig.world.cluster.api.create(path, {"metadata": {"name": "left", "labels": labels}})
        rig.write("long", "(MARKS / 'up').touch()\nwhile not (MARKS / 'go').exists(): time.sleep(0.1)")
        work = rig.work("long")
        rig.submit(work)
        rig.started(work)
        wait_for(lambda: rig.world.cluster.api.find(f"{path}/left") is None, "the Secret to be deleted")
        rig.mark("go").touch()
        assert rig.end(work).outcome is Outcome.SUCCESS
        wait_for(lambda: not rig.secrets(), "the Secret of the pod that has ended to be deleted")


class TestFaults:
    """Whatever goes wrong between the executor and the API server, each try runs once."""

    @pytest.fixture
    def meddler(self, control_plane: ControlPlane, main_nodes: Any) -> Iterator[Meddler]:
        main_nodes.ensure()
        with closing(Meddler(control_plane)) as made:
            yield made

    @pytest.mark.parametrize("fault", ["storm", "lost requests", "lost answers", "cut watches", "errors"])
    def test_each_try_runs_once(self, makes: Makes, control_plane: ControlPlane, meddler: Meddler, fault: str) -> None:
        rig = makes.rig(control_plane, meddler.kubeconfig())
        rig.write("once", "with open(MARKS / 'ran', 'a') as f: f.write('x')\nreturn 1")
        works = [rig.work("once") for _ in range(8)]
        match fault:
            case "storm":
                meddler.answer(429, 4)
            case "lost requests":
                meddler.lose_requests(5)
            case "lost answers":
                meddler.lose_answers(5)
            case "errors":
                meddler.answer(500, 4, lambda method, path: method == "POST")
        rig.submit(*works)
        if fault == "cut watches":
            for _ in range(5):
                wait_for(meddler.cut_watches, "a watch")
        ends = [rig.end(work) for work in works]
        assert [ended.outcome for ended in ends] == [Outcome.SUCCESS] * 8
        assert rig.mark("ran").read_text() == "x" * 8
        assert all(len(rig.told(Started, work)) == 1 for work in works)

    def test_an_api_server_that_dies_is_no_reason_to_lose_anything(
        self, makes: Makes, control_plane: ControlPlane, main_nodes: Any
    ) -> None:
        main_nodes.ensure()
        rig = makes.rig(control_plane)
        rig.write("long", "(MARKS / 'up').touch()\nwhile not (MARKS / 'go').exists(): time.sleep(0.1)")
        work, later = rig.work("long"), rig.work("good")
        rig.submit(work)
        rig.started(work)
        control_plane.kill()
        wait_for(lambda: rig.executor.capacity()[0] == 0, "the trouble")
        rig.submit(later)
        waits(rig, later, "is not reached")
        rig.mark("go").touch()
        assert rig.end(work).outcome is Outcome.SUCCESS
        control_plane.start()
        assert rig.end(later).outcome is Outcome.SUCCESS
