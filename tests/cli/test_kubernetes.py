"""`airloom kubernetes`, as far as it needs no cluster."""

import sys
from pathlib import Path

import pytest
import yaml

from airloom.model.spec import DagSpec, TaskSpec
from airloom.operations import runs
from airloom.operations.ops import open_ops
from airloom.sections import Settings
from tests.cli.conftest import Airloom
from tests.operations.leading import leading, never_end, save_dags, started

LONG = "x." * 125
TRAINING = DagSpec(
    dag_id="training",
    tasks=(
        TaskSpec(
            task_id="fit",
            executor_config={
                "pod_override": {
                    "spec": {"containers": [{"name": "base", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]}
                }
            },
        ),
        TaskSpec(task_id="elsewhere", executor_config={"namespace": "payroll"}),
        TaskSpec(task_id=LONG),
    ),
    is_paused_upon_creation=False,
)


@pytest.fixture(autouse=True)
def training(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A dag whose tasks have a pod_override, and the settings of a cluster."""
    for key, value in {"SERVER": "http://airloom:8080", "IMAGE": "team/flows:1", "NAMESPACE": "flows"}.items():
        monkeypatch.setenv(f"AIRLOOM__KUBERNETES__{key}", value)
    save_dags(settings, TRAINING)
    return settings


def test_the_pod_of_a_task_is_shown_as_yaml(airloom: Airloom) -> None:
    done = airloom("kubernetes", "pod-spec", "training", "fit")
    pod = yaml.safe_load(done.stdout)
    assert pod["metadata"]["namespace"] == "flows"
    assert pod["spec"]["containers"][0]["resources"] == {"limits": {"nvidia.com/gpu": "1"}}
    assert pod["metadata"]["annotations"]["airloom.dev/task-id"] == "fit"
    assert yaml.safe_load(airloom("kubernetes", "pod-spec", "training", "fit", "-o", "json").stdout) == pod


def test_the_pod_of_a_run_s_task_has_its_name(airloom: Airloom, training: Settings) -> None:
    with open_ops(training) as ops, leading(training, never_end, executor="kubernetes"):
        run_id = runs.trigger(ops, "training")
        started(ops, "training", run_id, "fit")
    shown = airloom("kubernetes", "pod-spec", "training", "fit", "--run", "latest", "-o", "json")
    pod = yaml.safe_load(shown.stdout)
    assert pod["metadata"]["annotations"]["airloom.dev/run-id"] == run_id
    assert pod["metadata"]["labels"]["airloom.dev/try"] == "1"
    assert pod["metadata"]["labels"]["airloom.dev/ti"] != "0"


def test_a_task_of_250_odd_characters_has_a_pod(airloom: Airloom) -> None:
    pod = yaml.safe_load(airloom("kubernetes", "pod-spec", "training", LONG).stdout)
    assert len(pod["metadata"]["name"]) <= 63


@pytest.mark.parametrize(
    ("arguments", "text", "status"),
    [
        (("training", "fitt"), "dag training has no task 'fitt'; did you mean fit?", 3),
        (("trainin", "fit"), "there is no dag 'trainin'; did you mean training?", 3),
        (("training", "fit", "--run", "latest"), "dag training has no runs yet", 3),
        (("training", "elsewhere"), "pods may not be made in the namespace 'payroll'", 1),
    ],
)
def test_what_cannot_be_shown_is_told(airloom: Airloom, arguments: tuple[str, ...], text: str, status: int) -> None:
    done = airloom("kubernetes", "pod-spec", *arguments)
    assert text in done.stderr
    assert done.status == status


def test_the_mutation_hook_has_its_say(airloom: Airloom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "our_pods.py").write_text("def mutate(pod):\n pod['spec']['priorityClassName'] = 'low'\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("AIRLOOM__KUBERNETES__MUTATION_HOOK", "our_pods:mutate")
    pod = yaml.safe_load(airloom("kubernetes", "pod-spec", "training", "fit").stdout)
    assert pod["spec"]["priorityClassName"] == "low"


def test_without_a_server_for_pods_it_says_what_to_set(airloom: Airloom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRLOOM__KUBERNETES__SERVER")
    done = airloom("kubernetes", "pod-spec", "training", "fit")
    assert done.status == 5
    assert "[kubernetes]: server is missing" in done.stderr


def test_without_what_the_extra_brings_it_says_what_to_install(
    airloom: Airloom, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("airloom.") and name.endswith("kubernetes.settings")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("airloom.operations.kubernetes", "airloom.wiring.kubernetes"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "yaml", None)  # type: ignore[arg-type]
    done = airloom("kubernetes", "pod-spec", "training", "fit")
    assert done.status == 5
    assert "airloom kubernetes needs more packages, yaml is missing: pip install 'airloom[kubernetes]'" in done.stderr


def test_without_a_cluster_the_doctor_says_so(
    airloom: Airloom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    done = airloom("kubernetes", "doctor")
    assert done.status == 5
    assert "no Kubernetes cluster is named" in done.stderr
