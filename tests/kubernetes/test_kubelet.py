"""The test kubelet: pods run, end, fail and are lost there as they are on a kubelet of Kubernetes."""

import contextlib
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.api import Object, Refused, pods
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fate import FATE, VERDICTS, decide, preempt
from tests.kubernetes.nodes import LocalNode, LocalNodes
from tests.kubernetes.pods import (
    make_pod,
    over,
    phase,
    state_of,
    wait_for_pod,
    wait_for_text,
    wait_until_gone,
    waiting,
)
from tests.waiting import DEADLINE, wait_for, wait_for_end

_SLEEP = ["sh", "-c", "echo begun; sleep 1000"]
#: as process 1 of its namespace a shell is deaf to SIGTERM unless it says otherwise
_POLITE = ["sh", "-c", "trap 'echo bye; exit 5' TERM; echo begun; while :; do sleep 0.01; done"]
#: nothing else on this machine sleeps for just so long
_SECONDS = f"1000.{os.getpid()}"


class Bench:
    """A namespace where pods run."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.api = cluster.api
        self.namespace = cluster.namespace()

    def create(self, pod: Object, **annotations: str) -> str:
        """Make a pod; returns its path."""
        pod["metadata"]["annotations"] = annotations
        self.api.create(pods(self.namespace), pod)
        return pods(self.namespace, pod["metadata"]["name"])

    def run(self, pod: Object, until: Any = over) -> Object:
        """Make a pod; returns it when it has ended, or is as wanted."""
        self.create(pod)
        return self.wait(pod["metadata"]["name"], until)

    def wait(self, name: str, until: Any = over) -> Object:
        """The pod, when it is as wanted."""
        return wait_for_pod(self.api, self.namespace, name, until)

    def log(self, name: str, **query: object) -> str:
        """What a pod said."""
        return self.api.text(f"{pods(self.namespace, name)}/log", **query)

    def begin(self, pod: Object) -> str:
        """Make a pod; returns its path when it has said `begun`."""
        path = self.create(pod)
        wait_for_text(self.api, self.namespace, pod["metadata"]["name"], "begun")
        return path


@pytest.fixture
def bench(running_cluster: Cluster) -> Bench:
    return Bench(running_cluster)


@pytest.fixture
def own(node: LocalNode, forgetful_plane: ControlPlane) -> Bench:
    """With a node of the test alone."""
    return Bench(forgetful_plane)


def test_a_pod_runs_to_success_and_its_log_can_be_read(bench: Bench) -> None:
    pod = bench.run(make_pod("p", ["sh", "-c", "echo one; echo two >&2; hostname"]))
    assert pod["status"]["phase"] == "Succeeded"
    assert state_of(pod)["exitCode"] == 0
    assert sorted(bench.log("p").splitlines()) == ["one", "p", "two"]
    assert bench.log("p", tailLines=1) in ("p\n", "two\n")


def test_a_failing_container_is_reported_with_its_code_and_its_last_words(bench: Bench) -> None:
    pod = bench.run(make_pod("p", ["sh", "-c", "echo no disk > /dev/termination-log; exit 3"]))
    assert pod["status"]["phase"] == "Failed"
    ended = state_of(pod)
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "no disk\n")


def test_airloom_is_the_command_of_its_image(bench: Bench) -> None:
    pod = make_pod("p", [], "airloom:test")
    pod["spec"]["containers"][0]["args"] = ["--help"]
    assert bench.run(pod)["status"]["phase"] == "Succeeded"
    assert "Run and watch DAGs of tasks" in bench.log("p")


def test_a_command_that_is_not_there_is_a_start_error(bench: Bench) -> None:
    ended = state_of(bench.run(make_pod("p", ["nonsense"])))
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")


def test_a_log_is_followed_to_its_end(bench: Bench, tmp_path: Path) -> None:
    pod = make_pod("p", ["sh", "-c", "echo begun; while [ ! -e /h/on ]; do sleep 0.01; done; echo ended"])
    bench.begin(_with_folder(pod, tmp_path))
    connection, answer = bench.api.open(f"{pods(bench.namespace, 'p')}/log", {"follow": "true"}, DEADLINE)
    assert answer.readline() == b"begun\n"
    (tmp_path / "on").touch()
    assert answer.read() == b"ended\n"
    connection.close()


def test_a_deleted_pod_may_say_goodbye(bench: Bench) -> None:
    path = bench.begin(make_pod("p", _POLITE))
    version = bench.api.get(path)["metadata"]["resourceVersion"]
    bench.api.delete(path)
    assert 5 in [state_of(pod).get("exitCode") for pod in _until_deleted(bench, version)]


def test_a_pod_that_is_deaf_to_sigterm_is_killed_after_its_grace_period(bench: Bench) -> None:
    path = bench.begin(make_pod("p", _SLEEP))
    version = bench.api.get(path)["metadata"]["resourceVersion"]
    bench.api.delete(path, grace=1)
    assert 137 in [state_of(pod).get("exitCode") for pod in _until_deleted(bench, version)]


def test_a_pod_that_is_deleted_while_its_image_comes_never_starts(bench: Bench) -> None:
    bench.run(make_pod("p", _SLEEP, "slow-100.test/x"), waiting("ContainerCreating"))
    bench.api.delete(pods(bench.namespace, "p"))
    wait_until_gone(bench.api, bench.namespace, "p")


def test_init_containers_run_one_by_one_before_the_others(bench: Bench) -> None:
    shared = [{"name": "v", "mountPath": "/shared"}]
    init = [
        {"name": name, "image": "x", "command": ["sh", "-c", f"echo {name} >> /shared/f"], "volumeMounts": shared}
        for name in ("one", "two")
    ]
    pod = make_pod("p", ["cat", "/shared/f"], initContainers=init, volumes=[{"name": "v", "emptyDir": {}}])
    pod["spec"]["containers"][0]["volumeMounts"] = shared
    ended = bench.run(pod)
    assert bench.log("p") == "one\ntwo\n"
    assert [one["ready"] for one in ended["status"]["initContainerStatuses"]] == [True, True]


def test_a_failing_init_container_fails_the_pod_and_nothing_else_starts(bench: Bench) -> None:
    init = [{"name": "init", "image": "x", "command": ["sh", "-c", "exit 7"]}]
    pod = bench.run(make_pod("p", ["true"], initContainers=init))
    assert pod["status"]["phase"] == "Failed"
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 7
    assert state_of(pod) == {"reason": "PodInitializing"}


def test_volumes_and_variables_are_where_the_pod_says(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("from the host\n")
    collection = f"/api/v1/namespaces/{bench.namespace}"
    bench.api.create(f"{collection}/secrets", {"metadata": {"name": "s"}, "stringData": {"key": "hidden"}})
    bench.api.create(f"{collection}/configmaps", {"metadata": {"name": "c"}, "data": {"file": "configured\n"}})
    bench.api.create(f"{collection}/serviceaccounts", {"metadata": {"name": "me"}})
    token = {"serviceAccountToken": {"path": "token"}}
    label = {"downwardAPI": {"items": [{"path": "app", "fieldRef": {"fieldPath": "metadata.labels['app']"}}]}}
    volumes = [
        {"name": "host", "hostPath": {"path": str(tmp_path)}},
        {"name": "config", "configMap": {"name": "c"}},
        {"name": "secret", "secret": {"secretName": "s", "items": [{"key": "key", "path": "deep/key"}]}},
        {"name": "all", "projected": {"sources": [token, label]}},
    ]
    pod = make_pod(
        "p", ["sh", "-c", "cat /h/f /opt/c/file /s/deep/key /p/app; wc -c < /p/token; echo $A $B $C $D; pwd"],
        volumes=volumes, serviceAccountName="me", automountServiceAccountToken=False,
    )  # fmt: skip
    pod["metadata"]["labels"] = {"app": "loom"}
    places = {"host": "/h", "config": "/opt/c", "secret": "/s", "all": "/p"}
    pod["spec"]["containers"][0] |= {
        "workingDir": "/work/here",
        "volumeMounts": [{"name": name, "mountPath": place} for name, place in places.items()],
        "env": [
            {"name": "A", "value": "a"},
            {"name": "B", "value": "$(A)b"},
            {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
            {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
    }
    bench.run(pod)
    lines = bench.log("p").splitlines()
    assert lines[:2] == ["from the host", "configured"]
    assert lines[2].startswith("hiddenloom")
    assert int(lines[2].removeprefix("hiddenloom")) > 100
    assert lines[3:] == ["a ab hidden p", "/work/here"]


def test_a_claimed_volume_is_the_folder_that_it_stands_for(bench: Bench, tmp_path: Path) -> None:
    bench.cluster.claim(bench.namespace, "dags", tmp_path)
    pod = make_pod("p", ["sh", "-c", "echo kept > /h/f"])
    pod["spec"]["volumes"] = [{"name": "h", "persistentVolumeClaim": {"claimName": "dags"}}]
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "h", "mountPath": "/h"}]
    bench.run(pod)
    assert (tmp_path / "f").read_text() == "kept\n"


def test_a_container_cannot_change_this_machine(bench: Bench, tmp_path: Path) -> None:
    bench.run(make_pod("p", ["sh", "-c", f"echo there > {tmp_path}/f; cat {tmp_path}/f"]))
    assert bench.log("p") == "there\n"
    assert list(tmp_path.iterdir()) == []


def test_a_container_may_run_as_somebody_on_a_root_that_is_read_only(bench: Bench) -> None:
    pod = make_pod("p", ["python", "-c", "import os; print(os.getuid()); open('/f', 'w')"])
    pod["spec"]["containers"][0]["securityContext"] = {"runAsUser": 1000, "readOnlyRootFilesystem": True}
    bench.run(pod)
    lines = bench.log("p").splitlines()
    assert "1000" in lines
    assert "OSError: [Errno 30] Read-only file system: '/f'" in lines


def test_a_missing_secret_holds_a_container_until_it_is_there(bench: Bench) -> None:
    pod = make_pod("p", ["sh", "-c", "echo $A"])
    reference = {"secretKeyRef": {"name": "later", "key": "key"}}
    pod["spec"]["containers"][0]["env"] = [{"name": "A", "valueFrom": reference}]
    held = bench.run(pod, waiting("CreateContainerConfigError"))
    assert state_of(held)["message"] == 'secret "later" not found'
    secret = {"metadata": {"name": "later"}, "stringData": {"key": "there"}}
    bench.api.create(f"/api/v1/namespaces/{bench.namespace}/secrets", secret)
    bench.wait("p")
    assert bench.log("p") == "there\n"


def test_a_missing_volume_is_told_as_an_event(bench: Bench) -> None:
    bench.create(make_pod("p", ["true"], volumes=[{"name": "v", "secret": {"secretName": "none"}}]))
    events = f"/api/v1/namespaces/{bench.namespace}/events"

    def told() -> list[str]:
        return [one["message"] for one in bench.api.get(events)["items"] if one["reason"] == "FailedMount"]

    assert 'secret "none" not found' in wait_for(told, "the event")[0]


@pytest.mark.parametrize(
    ("image", "policy", "reason"),
    [
        ("missing.test/x", "Always", "ErrImagePull"),
        ("missing.test/x", "Always", "ImagePullBackOff"),
        ("missing.test/x", "Never", "ErrImageNeverPull"),
        ("Not:A:Name", "Always", "InvalidImageName"),
    ],
)
def test_an_image_that_cannot_be_had_is_said_so(bench: Bench, image: str, policy: str, reason: str) -> None:
    pod = make_pod("p", ["true"], image)
    pod["spec"]["containers"][0]["imagePullPolicy"] = policy
    assert image in state_of(bench.run(pod, waiting(reason)))["message"]


@pytest.mark.parametrize("fate", VERDICTS)
def test_a_kubelet_may_end_a_pod_for_its_own_reasons(bench: Bench, fate: str) -> None:
    bench.begin(make_pod("p", _SLEEP))
    decide(bench.api, bench.namespace, "p", fate)
    status = bench.wait("p")["status"]
    assert (status["phase"], status["reason"], status["message"]) == VERDICTS[fate]


def test_a_pod_that_makes_room_for_another_says_so_to_its_end(bench: Bench) -> None:
    path = bench.begin(make_pod("p", _POLITE))
    begun = bench.api.get(path)["metadata"]["resourceVersion"]
    preempt(bench.api, bench.namespace, "p")
    last = list(_until_deleted(bench, begun))[-1]
    reasons = {one["type"]: one.get("reason") for one in last["status"]["conditions"]}
    assert reasons["DisruptionTarget"] == "PreemptionByScheduler"


def test_a_pod_that_a_node_rejects_never_starts(bench: Bench) -> None:
    bench.create(make_pod("p", ["true"]), **{FATE: "reject"})
    pod = bench.wait("p")
    assert pod["status"]["reason"] == "OutOfcpu"
    assert "waiting" in pod["status"]["containerStatuses"][0]["state"]


def test_a_container_is_killed_for_want_of_memory_when_told_so(bench: Bench) -> None:
    bench.begin(make_pod("p", _SLEEP))
    decide(bench.api, bench.namespace, "p", "oom")
    ended = state_of(bench.wait("p"))
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


def test_a_pod_past_its_deadline_fails(bench: Bench) -> None:
    status = bench.run(make_pod("p", _POLITE, activeDeadlineSeconds=1))["status"]
    assert status["reason"] == "DeadlineExceeded"


def test_a_container_that_is_always_started_again_backs_off(bench: Bench) -> None:
    pod = bench.run(make_pod("p", ["false"], restartPolicy="Always"), waiting("CrashLoopBackOff"))
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 1
    bench.wait("p", lambda pod: pod["status"]["containerStatuses"][0]["restartCount"] >= 2)


def test_a_hollow_pod_runs_nothing_and_ends_as_told(bench: Bench) -> None:
    for name in ("a", "b"):
        bench.run(make_pod(name, image="hollow.test/x"), phase("Running"))
    decide(bench.api, bench.namespace, "a", "exit-4")
    assert state_of(bench.wait("a"))["exitCode"] == 4
    bench.api.delete(pods(bench.namespace, "b"))
    wait_until_gone(bench.api, bench.namespace, "b")


def test_a_pod_that_fits_no_node_says_why_and_starts_when_one_comes(own: Bench, nodes: LocalNodes) -> None:
    pod = own.run(make_pod("p", ["true"], nodeSelector={"disk": "fast"}), _unschedulable)
    assert _unschedulable(pod) == "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity."
    nodes.add("node-b", labels={"disk": "fast"})
    assert own.wait("p")["spec"]["nodeName"] == "node-b"


def test_a_pod_waits_for_processors_that_others_have(nodes: LocalNodes) -> None:
    nodes.add("small", cpu="1")
    bench = Bench(nodes.plane)
    for name in ("a", "b"):
        pod = make_pod(name, _SLEEP)
        pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "600m"}}
        bench.create(pod)
        if name == "a":
            bench.wait(name, phase("Running"))
    assert "1 Insufficient cpu" in _unschedulable(bench.wait("b", _unschedulable))
    bench.api.delete(pods(bench.namespace, "a"), grace=0)
    bench.wait("b", phase("Running"))


def test_on_a_lost_node_containers_go_on_until_it_is_back(own: Bench, node: LocalNode, tmp_path: Path) -> None:
    beating = ["sh", "-c", "while :; do date +%N > /h/beat; sleep 0.01; done"]
    pod = make_pod("p", beating, terminationGracePeriodSeconds=1)
    own.run(_with_folder(pod, tmp_path), phase("Running"))
    node.daemon.freeze()
    node.declare_lost()
    assert own.wait("p", lambda pod: "deletionTimestamp" in pod["metadata"])["status"]["phase"] == "Running"
    before = (tmp_path / "beat").read_text()
    wait_for(lambda: (tmp_path / "beat").read_text() not in (before, ""), "a beat of the lost pod")
    node.daemon.thaw()
    wait_until_gone(own.api, own.namespace, "p")


def test_with_a_node_that_loses_power_its_containers_die(own: Bench, node: LocalNode) -> None:
    own.begin(make_pod("p", ["sh", "-c", f"echo begun; exec sleep {_SECONDS}"]))
    pids = wait_for(_sleepers, "the container's process")
    node.kill()
    wait_for_end(*pids)
    assert own.api.get(pods(own.namespace, "p"))["status"]["phase"] == "Running"
    node.start()
    assert state_of(own.wait("p"))["reason"] == "ContainerStatusUnknown"


def test_a_pod_that_had_not_started_when_its_node_lost_power_starts_when_it_is_back(
    own: Bench, node: LocalNode
) -> None:
    own.create(make_pod("p", ["true"]), **{FATE: "stuck"})
    own.wait("p", waiting("ContainerCreating"))
    node.kill()
    decide(own.api, own.namespace, "p", "none")
    node.start()
    assert own.wait("p")["status"]["phase"] == "Succeeded"


def test_a_drained_node_gives_its_pods_away(own: Bench, nodes: LocalNodes, node: LocalNode) -> None:
    own.begin(make_pod("p", _POLITE))
    node.drain()
    wait_until_gone(own.api, own.namespace, "p")
    own.create(make_pod("q", ["true"]))
    own.wait("q", _unschedulable)
    node.uncordon()
    assert own.wait("q")["status"]["phase"] == "Succeeded"


def test_what_ends_while_the_api_server_is_away_is_reported_after_it(own: Bench, forgetful_plane: ControlPlane) -> None:
    own.begin(make_pod("p", ["sh", "-c", f"echo begun; exec sleep {_SECONDS}"]))
    forgetful_plane.kill()
    for pid in wait_for(_sleepers, "the container's process"):
        os.kill(pid, signal.SIGKILL)
    forgetful_plane.start()
    assert state_of(own.wait("p"))["exitCode"] == 137


@pytest.mark.slow
def test_nothing_is_left_of_pods_whatever_happens_to_them_and_to_the_server(own: Bench, nodes: LocalNodes) -> None:
    nodes.add("node-b")
    draw = random.Random(5)
    names = [f"p{number}" for number in range(6)]
    faults = [nodes.plane.compact, nodes.plane.restart, nodes.plane.compact, nodes.plane.restart]
    for step in range(160):
        command = draw.choice([["false"], ["true"], ["sleep", _SECONDS]])
        name, grace = draw.choice(names), draw.choice([0, 0, 1])
        with contextlib.suppress(Refused):
            own.create(make_pod(name, command))
        with contextlib.suppress(Refused):
            own.api.delete(pods(own.namespace, draw.choice(names)), grace=grace)
        if step % 40 == 20:
            faults.pop()()
    for name in names:
        with contextlib.suppress(Refused):
            own.api.delete(pods(own.namespace, name), grace=0)
    wait_for(lambda: not _sleepers(), "the end of all containers")
    for name in names:
        own.create(make_pod(name, ["true"]))
    assert {own.wait(name)["status"]["phase"] for name in names} == {"Succeeded"}


def _with_folder(pod: Object, folder: Path) -> Object:
    """The pod, with a folder of this machine at /h."""
    pod["spec"]["volumes"] = [{"name": "h", "hostPath": {"path": str(folder)}}]
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "h", "mountPath": "/h"}]
    return pod


def _unschedulable(pod: Object) -> str:
    """Why no node takes a pod; empty: nobody says that."""
    for one in pod["status"].get("conditions", []):
        if one["type"] == "PodScheduled" and one["status"] == "False":
            return str(one["message"])
    return ""


def _until_deleted(bench: Bench, version: str) -> Iterator[Object]:
    """The pod, as it was from that version on to its deletion."""
    for kind, pod in bench.api.watch(pods(bench.namespace), version, timeoutSeconds=int(DEADLINE)):
        yield pod
        if kind == "DELETED":
            return
    pytest.fail("the pod was not deleted")


def _sleepers() -> list[int]:
    """The processes that sleep for _SECONDS."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cmdline").read_bytes() == f"sleep\0{_SECONDS}\0".encode():
                found.append(int(entry.name))
    return found
