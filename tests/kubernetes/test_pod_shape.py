"""What is wrong with a pod as people write it: a sentence for each slip, and none for what Kubernetes takes."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airloom.model.pod_shape import config_fault, namespace_fault, override_fault, pod_fault, template_fault


def base(**more: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "base", **more}]}}


@pytest.mark.parametrize(
    ("pod", "text"),
    [
        ("x", "is to be a pod, as a table with a spec, or an object of the Kubernetes client, not 'x'"),
        ({"kind": "Deployment"}, "it is of the kind Deployment, v1; expected a Pod, v1"),
        ({"apiVersion": "v2", "kind": "Pod"}, "of the kind Pod, v2"),
        ({"spce": {}}, "spce: there is no such field; did you mean spec?"),
        ({"containers": []}, "containers: there is no such field; there are apiVersion, kind, metadata, spec"),
        ({"status": {}}, "status: there is no such field"),
        ({"spec": []}, "spec is to be a table, not []"),
        ({"metadata": {"name": "mine"}}, "metadata.name cannot be given: Airloom names pods after their tries"),
        ({"metadata": {"generateName": "mine-"}}, "metadata.generateName cannot be given"),
        ({"metadata": {"namespace": "Team A"}}, "metadata.namespace: a namespace cannot be called 'Team A'"),
        ({"metadata": {"labels": {"a": 1}}}, "metadata.labels is to be texts by name"),
        ({"metadata": {"labels": {"a b": "c"}}}, "metadata.labels: 'a b' can be no key in Kubernetes"),
        ({"metadata": {"labels": {"a": "x" * 64}}}, "a label has up to 63 letters"),
        ({"metadata": {"labels": {"a": "-x"}}}, "metadata.labels: a cannot be '-x'"),
        ({"metadata": {"labels": {"airloom.dev/try": "9"}}}, "airloom.dev/try is Airloom's own"),
        ({"metadata": {"annotations": {"airloom.dev/x": "9"}}}, "airloom.dev/x is Airloom's own"),
        ({"spec": {"node_selector": {}}}, "spec.node_selector: Kubernetes writes it nodeSelector"),
        ({"spec": {"nodeSelektor": {}}}, "spec.nodeSelektor: there is no such field; did you mean nodeSelector?"),
        ({"spec": {"nodeSelector": ["a"]}}, "spec.nodeSelector is to be texts by name"),
        ({"spec": {"tolerations": {"key": "a"}}}, "spec.tolerations is to be a list of tables"),
        ({"spec": {"hostNetwork": "yes"}}, "spec.hostNetwork is to be true or false, not 'yes'"),
        ({"spec": {"priority": "high"}}, "spec.priority is to be a whole number, not 'high'"),
        ({"spec": {"priority": True}}, "spec.priority is to be a whole number, not True"),
        (
            {"spec": {"restartPolicy": "OnFailure"}},
            "spec.restartPolicy is OnFailure: it is Never",
        ),
        ({"spec": {"$patch": "replace"}}, "spec.$patch: this is no field"),
        ({"spec": {"containers": [{"image": "a"}]}}, "spec.containers[0] has no name; the container of the task is"),
        ({"spec": {"containers": [{"name": "Base"}]}}, "a container cannot be called 'Base'"),
        ({"spec": {"containers": ["base"]}}, "spec.containers is to be a list of tables"),
        ({"spec": {"volumes": [{"emptyDir": {}}]}}, "a volume cannot be called None"),
        ({"spec": {"volumes": [{"name": "airloom-work"}]}}, "names that begin with airloom- are Airloom's own"),
        (base(imagePullPolcy="Always"), "imagePullPolcy: there is no such field; did you mean imagePullPolicy?"),
        (base(image=3), "spec.containers[base].image is to be a text, not 3"),
        (base(command="airloom"), "spec.containers[base].command is to be a list of texts, not 'airloom'"),
        (base(args=["x"]), "the args of base cannot be given"),
        (base(env={"A": "1"}), "env is to be a list of tables"),
        (base(env=[{"name": "A", "value": 1}]), "env: the value of A is to be a text, '1', not 1"),
        (base(env=[{"value": "1"}]), "env: a variable cannot be called None"),
        (base(env=[{"name": "A=B", "value": "1"}]), "env: a variable cannot be called 'A=B'"),
        (base(env=[{"name": "AIRLOOM_POD", "value": "1"}]), "the variable AIRLOOM_POD is Airloom's own"),
        (base(volumeMounts=[{"name": "v"}]), "volumeMounts: each has the name of a volume and a mountPath"),
        (base(resources={"limits": {"memory": "2 GB"}}), "resources.limits: memory is '2 GB'; expected an amount"),
        (base(resources={"requests": {"cpu": True}}), "resources.requests: cpu is True"),
        (base(resources={"requests": ["cpu"]}), "resources.requests is to be amounts by name"),
    ],
)
def test_a_slip_is_told_with_its_place(pod: Any, text: str) -> None:
    assert text in pod_fault(pod)
    assert override_fault(pod).startswith("pod_override")


@pytest.mark.parametrize(
    "pod",
    [
        {},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"creationTimestamp": None},
            "spec": {"restartPolicy": "Never"},
        },
        {"spec": {"containers": [{"name": "base", "image": None}]}},
        {"spec": {"somethingOfTheYear2030": {"deep": [1]}}},
        {"spec": {"affinity": {"nodeAffinity": {}}, "nodeSelector": {"a": None}}},
        {"metadata": {"labels": {"example.com/team": "a.b_c-D", "empty": ""}}},
        base(resources={"limits": {"cpu": 2, "memory": "1.5Gi", "nvidia.com/gpu": "1", "x.com/y": "1e3"}}),
        base(
            env=[
                {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                {"name": "a.b-c", "value": ""},
            ]
        ),
        base(command=["sh", "-c", 'exec "$@"', "--"]),
        {"spec": {"initContainers": [{"name": "proxy", "image": "a", "restartPolicy": "Always", "args": ["x"]}]}},
    ],
)
def test_what_kubernetes_takes_is_taken(pod: Any) -> None:
    assert pod_fault(pod) == ""


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        *("spec", "metadata", "containers", "volumes", "name", "env", "labels", "resources", "limits"),
                        *("value", "volumeMounts", "initContainers", "kind", "namespace"),
                    ]
                )
                | st.text(max_size=4),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_is_given_is_taken_or_told_in_words(pod: Any) -> None:
    assert isinstance(override_fault(pod), str)
    assert isinstance(template_fault(pod), str)
    assert isinstance(config_fault({"pod_override": pod}), str)


def test_a_template_with_the_wrong_container_says_which_name_it_needs() -> None:
    assert template_fault({"spec": {"containers": [{"name": "main"}, {"name": "proxy"}]}}) == (
        "no container is called base, which is the one that runs the task; there is main, proxy"
    )
    assert template_fault({"spec": {"nodeSelector": {"a": "b"}}}) == ""


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"pod_overide": {}}, "there is no 'pod_overide'; did you mean 'pod_override'?"),
        ({"KubernetesExecutor": {"image": "a"}}, "'KubernetesExecutor' is not supported; there is pod_override"),
        ({"pod_template_file": "/x"}, "there is template, with the name of one of [kubernetes] templates"),
        ({"cluster": 3}, "cluster is to be a name, not 3"),
        ({"template": ""}, "template is to be a name, not ''"),
        ({"namespace": "A"}, "a namespace cannot be called 'A'"),
        ({"pod_override": None}, "pod_override is to be a pod, as a table with a spec"),
    ],
)
def test_a_slip_in_executor_config_is_told(config: dict[str, Any], text: str) -> None:
    assert text in config_fault(config)


def test_keys_that_are_like_none_of_ours_are_for_others() -> None:
    assert config_fault({"celery_hint": {"x": 1}, "queue": "x"}) == ""


@pytest.mark.parametrize("name", ["a", "team-1", "x" * 63])
def test_a_namespace_has_a_legal_name(name: str) -> None:
    assert namespace_fault(name) == ""


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a.b", "x" * 64, None])
def test_a_namespace_with_an_illegal_name_is_refused(name: Any) -> None:
    assert "a name has up to 63 small letters" in namespace_fault(name)
