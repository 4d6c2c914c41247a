"""What pods on nodes really show, judged: on test kubelets, and on a real kubelet with containerd."""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import pytest

from airloom.executors.kubernetes.client.api import Api
from airloom.executors.kubernetes.client.kubeconfig import find_access
from airloom.executors.kubernetes.client.objects import Pod
from airloom.executors.kubernetes.judge import Ending, Phase, Stand, judge, judge_gone
from airloom.executors.pod_terms import UNABLE
from airloom.model.report import Cause
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import Clusters
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.fate import FATE, decide
from tests.kubernetes.images import AIRLOOM
from tests.kubernetes.nodes import LocalNodes
from tests.kubernetes.pod_bed import Object
from tests.waiting import wait_for

#: a shell that ends at once when it is asked to
_POLITE = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"]


class Bed(NamedTuple):
    """A namespace where pods run. image: one with a shell and Python; real: its kubelet is Kubernetes' own."""

    api: Api
    namespace: str
    image: str
    real: bool

    def make(self, *containers: Object, annotations: Object | None = None, **spec: Any) -> Pod:
        """A new pod; its containers have the image, unless they say another."""
        named = [{"image": self.image, **one} for one in containers]
        inner = {"restartPolicy": "Never", "hostNetwork": self.real, "containers": named, **spec}
        metadata: Object = {"name": "p", "annotations": annotations or {}}
        return self.api.create_pod(self.namespace, {"metadata": metadata, "spec": inner})

    def until(self, wanted: Callable[[Stand], bool]) -> Stand:
        """What the pod's state means, as soon as it is that."""
        stand: Stand | None = None

        def look() -> Stand | None:
            nonlocal stand
            pod = self.api.get_pod(self.namespace, "p")
            assert pod is not None
            stand = judge(pod, stand)
            return stand if wanted(stand) else None

        return wait_for(look, "the pod to be as wanted")

    def ended(self) -> Ending:
        """How the pod's try has ended."""
        ending = self.until(lambda stand: stand.phase is Phase.ENDED).ending
        assert ending is not None
        return ending

    def deleted(self, pod: Pod) -> Ending:
        """Delete it; how its try has ended, by its last state."""
        version = self.api.list_pods(self.namespace, "").version
        self.api.delete_pod(self.namespace, "p", pod.metadata.uid)
        with closing(self.api.watch_pods(self.namespace, "", version, 60)) as watch:
            last = next(seen.pod for seen in watch if seen.kind == "DELETED")
        assert last is not None
        return judge_gone(last)


def _account_is_there(cluster: Cluster, namespace: str) -> None:
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    wait_for(lambda: (cluster.api.find(account) or {}).get("secrets"), "the service account")


@pytest.fixture
def told(control_plane: ControlPlane, main_nodes: LocalNodes) -> Iterator[Bed]:
    """A namespace whose nodes can be told what to do to pods."""
    main_nodes.ensure()
    with closing(Api(find_access(str(control_plane.kubeconfig())))) as api:
        yield Bed(api, control_plane.namespace(), "airloom:test", False)


@pytest.fixture(params=["kubelet for tests", pytest.param("kubelet", marks=pytest.mark.slow)])
def bed(request: pytest.FixtureRequest) -> Iterator[Bed]:
    """A namespace of a cluster with nodes."""
    if request.param != "kubelet":
        yield request.getfixturevalue("told")
        return
    request.getfixturevalue("real_node")
    clusters: Clusters = request.getfixturevalue("clusters")
    cluster = clusters.get("real")
    namespace = cluster.namespace()
    _account_is_there(cluster, namespace)
    with closing(Api(find_access(str(cluster.kubeconfig())))) as api:
        yield Bed(api, namespace, AIRLOOM, True)


def base(*script: str, **more: Any) -> Object:
    return {"name": "base", "command": ["sh", "-c", *script], **more}


def test_one_that_ends_well(bed: Bed) -> None:
    bed.make(base("true"))
    stand = bed.until(lambda stand: stand.phase is Phase.ENDED)
    assert stand.succeeded and stand.ending is not None
    assert stand.ending.cause is Cause.LOST


def test_one_that_ends_with_a_code(bed: Bed) -> None:
    bed.make(base("echo no disk > /dev/termination-log; exit 3"))
    ending = bed.ended()
    assert (ending.cause, ending.exit_code) == (Cause.EXIT, 3)
    assert ending.detail.endswith("told nobody about its try: no disk")


def test_one_that_could_not_run_its_try_has_its_last_words(bed: Bed) -> None:
    bed.make(base(f"echo 'the server is not reached' > /dev/termination-log; exit {UNABLE}"))
    ending = bed.ended()
    assert ending.cause is Cause.LOST
    assert ending.detail.endswith(": the server is not reached")


def test_one_that_runs_out_of_memory(bed: Bed) -> None:
    if bed.real:
        hungry = ["python", "-c", "print(len(bytearray(200 << 20)))"]
        bed.make({"name": "base", "command": hungry, "resources": {"limits": {"memory": "64Mi"}}})
    else:
        bed.make(base("sleep 1000"), annotations={FATE: "oom"})
    assert bed.ended().cause is Cause.OOM


def test_one_whose_image_cannot_be_had(bed: Bed) -> None:
    if bed.real:
        bed.make(base("true", image="localhost/nowhere:1", imagePullPolicy="Never"))
        stand = bed.until(lambda stand: stand.patience == 0.0)
        assert "may not be pulled" in stand.reason
    else:
        bed.make(base("true", image="missing.test/flows:1"))
        stand = bed.until(lambda stand: stand.patience is not None)
        assert stand.reason.startswith("the image cannot be pulled (missing.test/flows:1): ")
        again = bed.until(lambda later: later is not stand)
        assert "not found" in again.reason
    assert stand.phase is Phase.WAITING


def test_one_whose_image_s_name_is_none(bed: Bed) -> None:
    bed.make(base("true", image="Not//an:image"))
    stand = bed.until(lambda stand: stand.patience is not None)
    assert stand.patience == 0.0
    assert stand.reason.startswith("the image's name is none: ")


def test_one_that_wants_a_variable_of_a_missing_secret(bed: Bed) -> None:
    variable = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "nosuch", "key": "k"}}}
    bed.make(base("true", env=[variable]))
    stand = bed.until(lambda stand: stand.patience is not None)
    assert 'secret "nosuch" not found' in stand.reason


def test_one_that_mounts_a_missing_secret_waits_for_reasons_that_only_events_tell(bed: Bed) -> None:
    volume = {"name": "v", "secret": {"secretName": "nosuch"}}
    pod = bed.make(base("true", volumeMounts=[{"name": "v", "mountPath": "/v"}]), volumes=[volume])
    bed.until(lambda stand: stand.obscure)
    told = wait_for(
        lambda: [one for one in bed.api.events_of(bed.namespace, pod.metadata.uid) if "nosuch" in one.message],
        "an event about the secret",
    )
    assert told[-1].type == "Warning"


def test_one_whose_command_is_not_there(bed: Bed) -> None:
    bed.make({"name": "base", "command": ["/no/such/program"]})
    ending = bed.ended()
    assert ending.cause is Cause.LAUNCH
    assert "/no/such/program" in ending.detail


def test_one_whose_init_container_fails(bed: Bed) -> None:
    command = ["sh", "-c", "echo no key > /dev/termination-log; exit 2"]
    bed.make(base("true"), initContainers=[{"name": "airloom-code", "image": bed.image, "command": command}])
    ending = bed.ended()
    assert (ending.cause, ending.detail) == (
        Cause.LAUNCH,
        "the init container airloom-code ended with exit code 2: no key",
    )


def test_one_that_reaches_its_deadline_is_over_when_its_container_is(bed: Bed) -> None:
    # As process 1 of its container a shell is deaf to SIGTERM.
    pod = bed.make(base("while :; do sleep 0.05; done"), activeDeadlineSeconds=1, terminationGracePeriodSeconds=1)
    stand = bed.until(lambda stand: stand.doomed or stand.phase is Phase.ENDED)
    # Old kubelets never say more of its container than that it runs: only deleting the pod makes sure of its end.
    ending = stand.ending or bed.deleted(pod)
    assert ending.cause is Cause.TIMEOUT
    assert ending.detail == "the pod reached its activeDeadlineSeconds of 1 s while the task ran"


def test_one_with_a_sidecar_that_never_ends(bed: Bed) -> None:
    bed.make(base("exit 0"), {"name": "proxy", "command": _POLITE})
    assert bed.until(lambda stand: stand.phase is Phase.ENDED).succeeded


def test_one_that_somebody_deletes(bed: Bed) -> None:
    pod = bed.make(base("trap 'exit 143' TERM; while :; do sleep 0.05; done"))
    bed.until(lambda stand: stand.phase is Phase.RUNNING)
    ending = bed.deleted(pod)
    assert (ending.cause, ending.detail) == (Cause.KILLED, "somebody deleted the pod while the task ran")


def test_one_that_no_node_has_room_for(bed: Bed) -> None:
    if not bed.real:
        pytest.skip("the binder of tests knows no resources")
    bed.make(base("true", resources={"requests": {"cpu": "1000"}}))
    stand = bed.until(lambda stand: stand.reason.startswith("no node can take the pod"))
    assert "Insufficient cpu" in stand.reason


def test_one_that_its_node_refuses(told: Bed) -> None:
    told.make(base("sleep 1000"), annotations={FATE: "reject"})
    ending = told.ended()
    assert ending.cause is Cause.LAUNCH
    assert "OutOfcpu" in ending.detail


@pytest.mark.parametrize(
    ("fate", "text"), [("evict", "evicted it"), ("preempt", "critical pod"), ("shutdown", "shutting down")]
)
def test_one_that_its_node_ends(told: Bed, control_plane: ControlPlane, fate: str, text: str) -> None:
    told.make(base("while :; do sleep 0.05; done"), terminationGracePeriodSeconds=1)
    told.until(lambda stand: stand.phase is Phase.RUNNING)
    decide(control_plane.api, told.namespace, "p", fate)
    ending = told.ended()
    assert ending.cause is Cause.KILLED
    assert text in ending.detail
