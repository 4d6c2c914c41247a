"""executor_config for Kubernetes in a DAG file: tables and objects of clients become plain data, slips are told."""

from pathlib import Path
from typing import Any, ClassVar

import pytest

from airloom import DAG, EmptyOperator, task
from airloom.sdk.spec_of import spec_of
from tests.sdk.trying import parse


class Model:
    """Like the objects of Kubernetes' own clients, whose generator gives them this table, and all fields to None."""

    attribute_map: ClassVar[dict[str, str]] = {}

    def __init__(self, **given: Any) -> None:
        for name in self.attribute_map:
            setattr(self, name, given.pop(name, None))
        assert not given


class Pod(Model):
    attribute_map: ClassVar = {"api_version": "apiVersion", "metadata": "metadata", "spec": "spec", "status": "status"}


class Spec(Model):
    attribute_map: ClassVar = {"containers": "containers", "node_selector": "nodeSelector", "volumes": "volumes"}


class Container(Model):
    attribute_map: ClassVar = {"name": "name", "env_from": "envFrom", "resources": "resources"}


class Volume(Model):
    attribute_map: ClassVar = {"name": "name", "empty_dir": "emptyDir"}


class EmptyDir(Model):
    attribute_map: ClassVar = {"medium": "medium"}


class Resources:
    """Like those of a client that only says how to be a table."""

    def to_dict(self) -> dict[str, Any]:
        return {"limits": {"memory": "1Gi"}, "requests": None}


def config_of(config: dict[str, Any]) -> dict[str, Any]:
    with DAG("d") as dag:
        EmptyOperator(task_id="a", executor_config=config)
    return spec_of(dag).tasks[0].executor_config


def test_objects_of_a_client_become_what_kubernetes_has() -> None:
    container = Container(name="base", resources=Resources(), env_from=[{"secretRef": {"name": "s"}}])
    volume = Volume(name="v", empty_dir=EmptyDir())
    pod = Pod(spec=Spec(containers=[container], node_selector={"a_b": "c"}, volumes=(volume,)))
    assert config_of({"pod_override": pod}) == {
        "pod_override": {
            "spec": {
                "containers": [
                    {
                        "name": "base",
                        "envFrom": [{"secretRef": {"name": "s"}}],
                        "resources": {"limits": {"memory": "1Gi"}},
                    }
                ],
                "nodeSelector": {"a_b": "c"},
                "volumes": [{"name": "v", "emptyDir": {}}],
            }
        }
    }


def test_a_table_may_have_objects_in_it_and_none_to_take_away() -> None:
    pod = {"spec": {"containers": [Container(name="base")], "nodeSelector": {"pool": None}, "tolerations": None}}
    assert config_of({"pod_override": pod})["pod_override"]["spec"] == {
        "containers": [{"name": "base"}],
        "nodeSelector": {"pool": None},
        "tolerations": None,
    }


def test_the_official_client_s_own_objects_are_taken() -> None:
    client = pytest.importorskip("kubernetes.client")
    container = client.V1Container(name="base", resources=client.V1ResourceRequirements(limits={"cpu": "1"}))
    pod = client.V1Pod(spec=client.V1PodSpec(containers=[container], service_account_name="loader"))
    assert config_of({"pod_override": pod}) == {
        "pod_override": {
            "spec": {
                "containers": [{"name": "base", "resources": {"limits": {"cpu": "1"}}}],
                "serviceAccountName": "loader",
            }
        }
    }


def test_the_rest_of_the_config_is_left_as_it_is() -> None:
    config = {"cluster": "eu", "namespace": "gpu", "template": "big", "mine": [1, {"x": None}]}
    assert config_of(config) == config


def test_decorated_and_mapped_tasks_have_it_too() -> None:
    with DAG("d") as dag:

        @task(executor_config={"pod_override": Pod(spec=Spec(containers=[Container(name="base")]))})
        def fit(n: int) -> None: ...

        fit.expand(n=[1, 2])
    assert spec_of(dag).tasks[0].executor_config == {"pod_override": {"spec": {"containers": [{"name": "base"}]}}}


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ("{'pod_override': {'spec': {'node_selector': {}}}}", "pod_override: spec.node_selector: Kubernetes writes it"),
        ("{'pod_override': {'metadata': {'name': 'x'}}}", "metadata.name cannot be given"),
        ("{'pod_override': 'big'}", "pod_override is to be a pod, as a table with a spec, or an object"),
        ("{'pod_override': object()}", "pod_override is to be a pod, as a table with a spec, or an object"),
        ("{'pod_overide': {}}", "there is no 'pod_overide'; did you mean 'pod_override'?"),
        ("{'KubernetesExecutor': {}}", "'KubernetesExecutor' is not supported"),
        ("{'namespace': 'Team A'}", "a namespace cannot be called 'Team A'"),
        (
            "{'pod_override': {'spec': {'containers': [{'name': 'base', 'resources': {'limits': {'cpu': '2x'}}}]}}}",
            "resources.limits: cpu is '2x'; expected an amount such as 500m or 2Gi",
        ),
    ],
)
def test_a_slip_is_told_with_its_line_when_the_file_is_parsed(tmp_path: Path, config: str, text: str) -> None:
    head = "from airloom import DAG, EmptyOperator\nwith DAG('d'):\n"
    (error,) = parse(tmp_path, f"{head} EmptyOperator(task_id='a', executor_config={config})").errors
    assert error.text.startswith("task 'a': executor_config: ")
    assert text in error.text
    assert error.line == 3
    assert error.traceback is None
