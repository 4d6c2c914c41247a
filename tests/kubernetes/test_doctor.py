"""`doctor` and `cleanup` on a real API server."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from airloom.cli.main import app
from airloom.executors.kubernetes import names
from airloom.executors.kubernetes.client.api import Api
from airloom.executors.kubernetes.creators import SECRET
from airloom.executors.kubernetes.settings import KubernetesSettings
from airloom.model.report import TryKey
from airloom.operations import runs
from airloom.operations.kubernetes import Leftover, clean_up, connected
from airloom.operations.kubernetes_doctor import Finding, Verdict, examine
from airloom.operations.ops import Ops, open_ops
from airloom.operations.tasks import get_tis
from airloom.sections import Settings
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.nodes import LocalNodes
from tests.kubernetes.pod_bed import OWNER, Object, cluster_of, settings_of
from tests.kubernetes.pods import make_pod
from tests.operations.leading import FLIGHTS, leading, make_home, never_end, save_dags, started
from tests.waiting import wait_for


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """Something that answers on this machine, as the API would."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()
        thread.join()


@pytest.fixture
def plane(control_plane: ControlPlane, main_nodes: LocalNodes) -> ControlPlane:
    """A cluster whose pods run on this machine, and can reach it."""
    main_nodes.ensure()
    return control_plane


def settings_at(kubeconfig: Path, namespace: str, **values: Any) -> KubernetesSettings:
    return settings_of(cluster_of(kubeconfig=str(kubeconfig), namespace=namespace, image="airloom:test", **values))


def found(settings: KubernetesSettings, patience: float = 0.0) -> list[Finding]:
    with connected(settings) as apis:
        return list(examine(settings, apis, None, patience))


def texts(findings: list[Finding], check: str, *verdicts: Verdict) -> list[str]:
    return [one.text for one in findings if one.check == check and (not verdicts or one.verdict in verdicts)]


def test_all_is_well_where_a_pod_starts_and_reaches_the_server(plane: ControlPlane, server: str) -> None:
    namespace = plane.namespace()
    seen = found(settings_at(plane.kubeconfig(), namespace, server=f"http://127.0.0.1:1,{server}"), 60.0)
    assert [one for one in seen if one.verdict is Verdict.WRONG] == []
    assert "reached" in texts(seen, "trial", Verdict.OK)[0]
    assert texts(seen, "rights", Verdict.OK) == ["pods and secrets can be made, watched and deleted"]
    wait_for(lambda: not plane.api.get(f"/api/v1/namespaces/{namespace}/pods")["items"], "the trial to be deleted")


def test_a_pod_that_does_not_reach_the_server_says_why(plane: ControlPlane) -> None:
    seen = found(settings_at(plane.kubeconfig(), plane.namespace(), server="http://127.0.0.1:1"), 60.0)
    (text,) = texts(seen, "trial", Verdict.WRONG)
    assert "does not reach the API: http://127.0.0.1:1: " in text
    assert "refused" in text


def test_an_image_that_does_not_exist_is_named(plane: ControlPlane) -> None:
    settings = settings_of(
        cluster_of(kubeconfig=str(plane.kubeconfig()), namespace=plane.namespace(), image="missing.test/flows:1")
    )
    (text,) = texts(found(settings, 4.0), "trial", Verdict.WRONG)
    assert "the image cannot be pulled (missing.test/flows:1)" in text
    assert "not found" in text


def test_rights_that_are_missing_are_listed(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    kubeconfig = control_plane.service_account(namespace, "loom")
    seen = found(settings_at(kubeconfig, namespace))
    assert "we may not create pods: a Role has to allow it" in texts(seen, "rights", Verdict.WRONG)
    assert any("we may not list events" in text for text in texts(seen, "rights", Verdict.WARNING))
    assert "may not create pods in the namespace" in texts(seen, "pod")[0]


def test_a_full_quota_is_a_warning(control_plane: ControlPlane) -> None:
    namespace = control_plane.namespace()
    control_plane.set_quota(namespace, {"pods": "0"})
    seen = found(settings_at(control_plane.kubeconfig(), namespace))
    assert texts(seen, "quota", Verdict.WARNING)[0].endswith(": pods 0/0")


def test_a_namespace_that_is_not_there_is_wrong(cluster: Cluster) -> None:
    seen = found(settings_at(cluster.kubeconfig(), "nowhere"))
    assert "there is no namespace nowhere in the cluster" in texts(seen, "pod", Verdict.WRONG)


def test_a_pod_that_the_cluster_finds_wrong_is_told_of(cluster: Cluster, namespace: str) -> None:
    template: Object = {"spec": {"tolerations": [{"key": "a", "operator": "Sometimes"}]}}
    seen = found(settings_at(cluster.kubeconfig(), namespace, template=template))
    assert any("spec.tolerations[0].operator" in text for text in texts(seen, "pod", Verdict.WRONG))


def test_a_cluster_that_is_not_reached_is_told_of(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\n"
        "contexts: [{name: a, context: {cluster: a, user: a}}]\nusers: [{name: a, user: {token: t}}]\n"
        "clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}]\n"
    )
    (only,) = found(settings_at(kubeconfig, "flows"))
    assert (only.check, only.verdict) == ("server", Verdict.WRONG)
    assert "127.0.0.1:1" in only.text


def test_the_command_shows_all_and_its_status_says_whether_something_is_wrong(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    make_home(home)
    monkeypatch.setenv("AIRLOOM_HOME", str(home))
    values = {"SERVER": "http://127.0.0.1:1", "KUBECONFIG": str(control_plane.kubeconfig()), "NAMESPACE": "nowhere"}
    for key, value in values.items():
        monkeypatch.setenv(f"AIRLOOM__KUBERNETES__{key}", value)
    no_image = CliRunner().invoke(app, ["kubernetes", "doctor", "-o", "json"])
    assert no_image.exit_code == 1
    assert "no image is named for tasks: set [kubernetes] image" in no_image.stdout
    monkeypatch.setenv("AIRLOOM__KUBERNETES__IMAGE", "airloom:test")
    monkeypatch.setenv("AIRLOOM__KUBERNETES__NAMESPACE", control_plane.namespace())
    well = CliRunner().invoke(app, ["kubernetes", "doctor", "--no-pod", "-o", "json"])
    assert well.exit_code == 0
    assert "the cluster takes a pod like those of tasks" in well.stdout
    assert CliRunner().invoke(app, ["kubernetes", "cleanup", "-o", "json"]).stdout == "[]\n"


# --- cleanup -----------------------------------------------------------------------------------------------------
@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[Ops, TryKey]]:
    """A database where one try of the executor lives."""
    settings: Settings = make_home(tmp_path / "home")
    save_dags(settings, FLIGHTS)
    with ExitStack() as stack:
        ops = stack.enter_context(open_ops(settings))
        with leading(settings, never_end, executor="kubernetes"):
            run_id = runs.trigger(ops, "flights")
            started(ops, "flights", run_id, "load")
        ti = get_tis(ops, "flights", run_id, "load")[1][0]
        yield ops, TryKey(ti.id, 1)


def _pod(name: str, key: TryKey, secret: str, owner: str = OWNER) -> Object:
    pod = make_pod(name, nodeName="nowhere")
    pod["metadata"]["labels"] = {
        **{names.INSTALLATION: owner, names.EXECUTOR: "kubernetes", SECRET: secret},
        **{names.TI: str(key.ti_id), names.TRY: str(key.try_number)},
    }
    return pod


def _secret(name: str) -> Object:
    labels = {names.INSTALLATION: OWNER, names.EXECUTOR: "kubernetes"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": labels}}


def test_only_what_no_live_try_needs_is_deleted(
    cluster: Cluster, namespace: str, live: tuple[Ops, TryKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    ops, key = live
    settings = settings_at(cluster.kubeconfig(), namespace)
    with connected(settings) as apis:
        api: Api = apis["default"]
        api.create_pod(namespace, _pod("lives", key, "used"))
        api.create_pod(namespace, _pod("over", TryKey(key.ti_id, 7), "unused"))
        api.create_pod(namespace, _pod("foreign", TryKey(key.ti_id, 7), "unused", owner="another"))
        for name in ("used", "unused"):
            api.create_secret(namespace, _secret(name))
        # Secrets that were just made may be about to be used.
        assert [one.name for one in clean_up(ops, settings, apis, dry_run=True)] == ["over"]
        later = ops.now() + 3600.0
        ops_later = Ops(db=ops.db, notifier=ops.notifier, secrets=ops.secrets, now=lambda: later)
        gone = clean_up(ops_later, settings, apis, dry_run=False)
        assert gone == [
            Leftover(cluster="default", namespace=namespace, kind="pod", name="over", why="its try is over"),
            Leftover(
                cluster="default",
                namespace=namespace,
                kind="secret",
                name="unused",
                why="no pod of a live try has its work from it",
            ),
        ]
        assert api.get_pod(namespace, "lives") and api.get_pod(namespace, "foreign")
        left = {one.name for one in api.list_secrets(namespace, names.selector(OWNER, "kubernetes"))}
        assert left == {"used"}
