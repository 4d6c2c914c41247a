"""A try in a pod of a real node: Kubernetes' own kubelet, containerd and runc."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airloom.executors import pod_terms
from airloom.model.report import Cause, Outcome
from airloom.model.work import Work
from tests.executors.kubernetes_rig import KubernetesRig, KubernetesWorld, served
from tests.kubernetes.api import Object, pods
from tests.kubernetes.conftest import Clusters
from tests.kubernetes.images import AIRLOOM
from tests.kubernetes.pods import over, state_of, wait_for_pod
from tests.kubernetes.real_nodes import RealNode
from tests.servers import PostgresServer
from tests.waiting import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def rig(
    tmp_path: Path, postgres_server: PostgresServer, migrated_postgres: str, clusters: Clusters, real_node: RealNode
) -> Iterator[KubernetesRig]:
    name = postgres_server.create(migrated_postgres)
    settings = {"AIRLOOM__KUBERNETES__IMAGE": AIRLOOM, "AIRLOOM__KUBERNETES__DELETE": "never"}
    with served(KubernetesWorld(postgres_server.url(name), clusters.get("real"), **settings)) as world:
        rig = KubernetesRig(tmp_path, world)
        rig.start_kubernetes()
        yield rig
        rig.close()
    postgres_server.drop(name)


def locked(**spec: Any) -> dict[str, Any]:
    """An executor_config: with the node's network, which is all that it has, and nothing to write to."""
    base = {"name": "base", "securityContext": {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False}}
    return {"pod_override": {"spec": {"hostNetwork": True, "containers": [base], **spec}}}


def end_of(rig: KubernetesRig, work: Work) -> tuple[Object, str]:
    """How the container of a try ended, and what `kubectl logs` shows of it."""
    world = rig.world
    names = {pod["metadata"]["labels"]["airloom.dev/ti"]: pod["metadata"]["name"] for pod in world.pods()}
    name = names[str(work.key.ti_id)]
    pod = wait_for_pod(world.cluster.api, world.namespace, name, over)
    return state_of(pod), world.cluster.api.text(f"{pods(world.namespace, name)}/log")


def test_a_try_runs_with_its_log_at_both_places(rig: KubernetesRig) -> None:
    rig.write("d", "import os\nprint('I am', os.getuid())", "raise ValueError('no such city')")
    good = rig.work("d", executor_config=locked())
    bad = rig.work("d", "t1", executor_config=locked())
    assert [ended.outcome for ended in rig.run(good, bad)] == [Outcome.SUCCESS, Outcome.FAILED]
    assert "I am 1000" in rig.log_text(good)
    ended, printed = end_of(rig, good)
    assert (ended["exitCode"], printed) == (pod_terms.DONE, "I am 1000\n")
    ended, printed = end_of(rig, bad)
    assert ended["exitCode"] == pod_terms.FAILED
    assert "no such city" in ended["message"]
    assert "no such city" in printed


def test_a_pod_that_is_deleted_ends_its_task_with_its_log_sent(rig: KubernetesRig) -> None:
    up, cleaned = rig.mark("up"), rig.mark("cleaned")
    rig.write(
        "d",
        f"""import pathlib, signal, sys, time
def end(*_):
    print('cleaned up')
    pathlib.Path({str(cleaned)!r}).touch()
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
print('begun')
pathlib.Path({str(up)!r}).touch()
time.sleep(1000)""",
    )
    work = rig.work("d", executor_config=locked())
    rig.submit(work)
    wait_for(up.exists, "the task")
    (pod,) = rig.world.pods()
    rig.world.cluster.api.delete(pods(rig.world.namespace, pod["metadata"]["name"]))
    ended = rig.end(work)
    assert ended.cause is Cause.KILLED, ended
    assert cleaned.exists()
    assert {"begun", "cleaned up"} <= {line.text for line in rig.log(work)}
