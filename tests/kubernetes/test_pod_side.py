"""What runs in the pods of the Kubernetes executor, on a cluster: rights, logs, ends, and each way to the DAG code."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from airloom.executors import pod_terms
from airloom.model.processes import ProcessKind, ProcessRow
from airloom.model.report import Cause, Outcome
from airloom.model.work import Work
from airloom.store import processes
from tests.bundles.repositories import Remote
from tests.bundles.smart_http import TOKEN, smart_http
from tests.executors.kubernetes_rig import KubernetesRig, KubernetesWorld, served, skip_without
from tests.kubernetes.api import Object, pods
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.pods import state_of, wait_for_pod
from tests.servers import PostgresServer
from tests.waiting import wait_for

MakeRig = Callable[..., KubernetesRig]

DAG = """
from airloom import dag, task
from words import WORD


@dag
def says():
    @task
    def t0():
        print("the word is", WORD)
    t0()


says()
"""


@pytest.fixture
def make_rig(
    tmp_path: Path, postgres_server: PostgresServer, migrated_postgres: str, running_cluster: Cluster
) -> Iterator[MakeRig]:
    """Makes an executor of a world with these settings."""
    skip_without(running_cluster)
    with ExitStack() as stack:

        def make(**settings: str) -> KubernetesRig:
            name = postgres_server.create(migrated_postgres)
            stack.callback(postgres_server.drop, name)
            world = KubernetesWorld(postgres_server.url(name), running_cluster, **settings)
            stack.enter_context(served(world))
            rig = KubernetesRig(tmp_path, world)
            rig.start_kubernetes()
            stack.callback(rig.close)
            return rig

        yield make


def kept(rig: KubernetesRig, work: Work) -> Object:
    """The pod of a try that has ended."""
    label = str(work.key.ti_id)
    (name,) = (
        pod["metadata"]["name"] for pod in rig.world.pods() if pod["metadata"]["labels"]["airloom.dev/ti"] == label
    )
    over = lambda pod: "exitCode" in state_of(pod)  # noqa: E731
    return wait_for_pod(rig.world.cluster.api, rig.world.namespace, name, over)


def printed(rig: KubernetesRig, pod: Object) -> str:
    """What `kubectl logs` shows."""
    path = pods(rig.world.namespace, pod["metadata"]["name"])
    return rig.world.cluster.api.text(f"{path}/log", container="base")


KEEP = {"AIRLOOM__KUBERNETES__DELETE": "never"}


def test_a_pod_with_a_read_only_root_and_no_rights_runs_its_try(make_rig: MakeRig):
    rig = make_rig(**KEEP)
    rig.write("d", "import os, tempfile\nprint(os.getuid(), tempfile.mkdtemp())\nprint('last')")
    security = {"readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False, "runAsNonRoot": True}
    override = {"spec": {"containers": [{"name": "base", "securityContext": security}]}}
    work = rig.work("d", executor_config={"pod_override": override})
    assert rig.run(work)[0].outcome is Outcome.SUCCESS
    pod = kept(rig, work)
    assert state_of(pod)["exitCode"] == pod_terms.DONE
    lines = [line.text for line in rig.log(work)]
    assert [line for line in lines if line in printed(rig, pod).splitlines()] == lines
    assert lines[-1] == "last"


def test_why_a_try_failed_is_in_the_status_of_its_pod(make_rig: MakeRig):
    rig = make_rig(**KEEP)
    rig.write("d", "raise ValueError('no such city')")
    work = rig.work("d")
    assert rig.run(work)[0].cause is Cause.ERROR
    ended = state_of(kept(rig, work))
    assert ended["exitCode"] == pod_terms.FAILED
    assert "ValueError: no such city" in ended["message"]


def test_a_pod_that_is_deleted_ends_its_try_and_the_log_is_whole(make_rig: MakeRig):
    rig = make_rig()
    up = rig.mark("up")
    rig.write("d", f"import pathlib, time\nprint('before')\npathlib.Path({str(up)!r}).touch()\ntime.sleep(1000)")
    work = rig.work("d")
    rig.submit(work)
    wait_for(up.exists, "the task")
    (pod,) = rig.world.pods()
    rig.world.cluster.api.delete(pods(rig.world.namespace, pod["metadata"]["name"]))
    ended = rig.end(work)
    assert ended.cause is Cause.KILLED
    assert "deleted" in str(ended.detail)
    assert any(line.text == "before" for line in rig.log(work))


def test_a_pod_that_reaches_its_deadline_costs_the_task_one_of_its_retries(make_rig: MakeRig):
    rig = make_rig()
    rig.write("d", "import time\ntime.sleep(1000)")
    work = rig.work("d", executor_config={"pod_override": {"spec": {"activeDeadlineSeconds": 4}}})
    rig.submit(work)
    rig.started(work)
    assert rig.end(work).cause is Cause.TIMEOUT


def test_the_row_of_a_pod_goes_with_it(make_rig: MakeRig):
    rig = make_rig()
    rig.write("d", "print(1)")
    rig.run(rig.work("d"))

    def rows() -> list[ProcessRow]:
        with rig.world.db.reading() as conn:
            return processes.list_processes(conn, ProcessKind.POD)

    wait_for(lambda: not rows(), "the row to go")


# --- where its code is from -------------------------------------------------------------------------------------------
def said(rig: KubernetesRig, **fields: Any) -> list[str]:
    """What a try of `says` says when it has ended well."""
    work = rig.work("says", **fields)
    ended = rig.run(work)[0]
    assert ended.outcome is Outcome.SUCCESS, (ended, rig.world.worker_says())
    return [line.text for line in rig.log(work)]


def test_code_comes_from_a_volume(make_rig: MakeRig, running_cluster: Cluster):
    rig = make_rig(AIRLOOM__KUBERNETES__DAGS_CLAIM="flows", AIRLOOM__KUBERNETES__DAGS_FOLDER="/mnt/flows")
    shelf = rig.world.folder / "shelf"
    shelf.mkdir()
    (shelf / "words.py").write_text("WORD = 'of the volume'\n")
    for folder in (shelf / rig.dags.name, rig.dags):
        folder.mkdir(exist_ok=True)
        (folder / "says.py").write_text(DAG)
    running_cluster.claim(rig.world.namespace, "flows", shelf)
    assert "the word is of the volume" in said(rig)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """A repository that asks for a token: its address, the commit, and what was asked for."""
    flows = Remote(tmp_path / "flows.git")
    commit = flows.commit(dags__says=DAG, dags__words="WORD = 'of the commit'")
    flows.commit(dags__words="WORD = 'newer'")
    with smart_http(flows.folder) as (url, asked):
        yield url, commit, asked


def test_an_init_container_fetches_the_commit_of_the_run_with_a_token_that_the_task_cannot_read(
    make_rig: MakeRig, repository: tuple[str, str, list[str]]
):
    url, commit, _ = repository
    bundle = {"kind": "git", "url": url, "subfolder": "dags", "token_file": "/nowhere/here"}
    bundles = {"AIRLOOM__BUNDLES": json.dumps({"flows": bundle})}
    rig = make_rig(**bundles, **KEEP, AIRLOOM__KUBERNETES__GIT_SECRET="repositories")
    secret = {"metadata": {"name": "repositories"}, "stringData": {"password": TOKEN}}
    rig.world.cluster.api.create(f"/api/v1/namespaces/{rig.world.namespace}/secrets", secret)
    (rig.dags / "says.py").write_text(DAG)
    where = {"bundle": "flows", "bundle_version": commit, "rel_path": "says.py"}
    assert "the word is of the commit" in said(rig, **where)
    (pod,) = rig.world.pods()
    (base,) = (one for one in pod["spec"]["containers"] if one["name"] == "base")
    (volume,) = (
        one["name"] for one in pod["spec"]["volumes"] if one.get("secret", {}).get("secretName") == "repositories"
    )
    assert volume not in {mount["name"] for mount in base["volumeMounts"]}


def test_code_that_cannot_be_fetched_is_a_try_handed_back_with_the_reason(
    make_rig: MakeRig, repository: tuple[str, str, list[str]]
):
    url, _, _ = repository
    bundles = {"AIRLOOM__BUNDLES": json.dumps({"flows": {"kind": "git", "url": url, "subfolder": "dags"}})}
    rig = make_rig(**bundles, **KEEP, AIRLOOM__RUNNER__ORPHAN_TIMEOUT="0.1")
    (rig.dags / "says.py").write_text(DAG)
    work = rig.work("says", bundle="flows", bundle_version="0" * 40, rel_path="says.py")
    rig.submit(work)
    back = rig.handed_back(work)
    assert back.lacks
    assert "commit 000000000000 of the bundle flows cannot be had" in back.detail
