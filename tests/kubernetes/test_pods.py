"""The pod of a try: what Airloom needs, a template under it, and what tasks change of it."""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airloom.executors import pod_terms
from airloom.executors.kubernetes.pods import Place, PodFault, ca_data, manifest_of, place_of, secret_key
from airloom.executors.kubernetes.whole_pods import whole_fault
from airloom.executors.settings import LocalSettings
from airloom.model.bundles import GitBundle
from airloom.model.pod_shape import shape_fault, template_fault
from tests.kubernetes.pod_bed import OWNER, Object, cluster_of, override, settings_of, work_of


def made(config: Object | None = None, **cluster: Any) -> Object:
    return manifest_of(work_of(config), settings_of(cluster_of(**cluster)), "works-1")


def base_of(pod: Object) -> Object:
    return next(one for one in pod["spec"]["containers"] if one["name"] == "base")


def named(things: list[Object], name: str) -> Object:
    return next(one for one in things if one["name"] == name)


def fault(config: Object | None = None, **cluster: Any) -> str:
    with pytest.raises(PodFault) as refused:
        made(config, **cluster)
    return str(refused.value)


# --- what every pod has --------------------------------------------------------------------------------------------
def test_a_pod_without_a_template_runs_the_try_in_the_image_of_the_settings() -> None:
    pod = made()
    assert (pod["apiVersion"], pod["kind"]) == ("v1", "Pod")
    assert pod["metadata"]["namespace"] == "flows"
    assert pod["spec"]["restartPolicy"] == "Never"
    assert [one["name"] for one in pod["spec"]["containers"]] == ["base"]
    assert base_of(pod)["image"] == "team/flows:1"
    assert base_of(pod)["command"] == list(pod_terms.RUN)
    assert "args" not in base_of(pod)


def test_as_little_as_possible_is_allowed_to_it() -> None:
    spec = made()["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert base_of({"spec": spec})["securityContext"]["allowPrivilegeEscalation"] is False


def test_the_work_is_mounted_from_its_own_key_of_the_secret() -> None:
    pod = made()
    secret = named(pod["spec"]["volumes"], "airloom-work")["secret"]
    assert secret["secretName"] == "works-1"
    assert secret["items"] == [{"key": "12-1", "path": "work"}]
    mount = named(base_of(pod)["volumeMounts"], "airloom-work")
    assert mount["readOnly"] and f"{mount['mountPath']}/work" == pod_terms.WORK_FILE
    assert secret_key(work_of()) == "12-1"


def test_no_token_is_in_the_pod_itself() -> None:
    assert b"alt_secret" not in msgspec.json.encode(made())


def test_the_runner_is_told_how_it_reaches_the_server() -> None:
    text = named(base_of(made(dags_folder="/dags"))["env"], pod_terms.SETTINGS)["value"]
    told = msgspec.json.decode(text, type=LocalSettings)
    assert (told.server, told.home, told.owner, told.parallelism) == ("http://airloom:8080", "/airloom", OWNER, 1)
    assert told.bundles == {"dags": "/dags", "more": "/srv/more"}
    assert (told.lease, told.heartbeat, told.name) == (300.0, 30.0, "kubernetes")


def test_what_looks_like_a_variable_of_kubernetes_is_left_as_it_is() -> None:
    text = named(base_of(made(dags_folder="/$(HOME)"))["env"], pod_terms.SETTINGS)["value"]
    assert "/$$(HOME)" in text


def test_the_certificates_of_the_server_come_with_the_works() -> None:
    cluster = cluster_of(ca="PEM")
    pod = manifest_of(work_of(), settings_of(cluster), "works-1")
    items = named(pod["spec"]["volumes"], "airloom-work")["secret"]["items"]
    assert {"key": "ca.crt", "path": "ca.crt"} in items
    told = msgspec.json.decode(named(base_of(pod)["env"], pod_terms.SETTINGS)["value"], type=LocalSettings)
    assert told.ca_file == f"{pod_terms.WORK_FOLDER}/ca.crt"
    assert ca_data(cluster) == {"ca.crt": b"PEM"}
    assert ca_data(cluster_of()) == {}


def test_the_whole_ids_are_in_annotations() -> None:
    work = work_of(dag_id="d" * 250, task_id="t" * 250)
    annotations = manifest_of(work, settings_of(), "s")["metadata"]["annotations"]
    assert annotations["airloom.dev/dag-id"] == "d" * 250
    assert annotations["airloom.dev/task-id"] == "t" * 250
    assert annotations["airloom.dev/run-id"] == "manual__2026-01-01T00:00:00+00:00"


def test_the_pod_s_grace_leaves_time_for_the_task_s_own_and_the_last_reports() -> None:
    assert made()["spec"]["terminationGracePeriodSeconds"] == pod_terms.grace_period(5.0)


def test_the_root_of_the_container_may_be_read_only() -> None:
    config = override({"name": "base", "securityContext": {"readOnlyRootFilesystem": True}})
    paths = {mount["mountPath"] for mount in base_of(made(config))["volumeMounts"] if not mount.get("readOnly")}
    assert paths == {"/airloom", "/tmp"}


def test_a_volume_of_the_task_s_at_tmp_takes_the_place_of_ours() -> None:
    config = override(
        {"name": "base", "volumeMounts": [{"name": "big", "mountPath": "/tmp/"}]},
        volumes=[{"name": "big", "emptyDir": {"sizeLimit": "50Gi"}}],
    )
    pod = made(config)
    assert "airloom-tmp" not in {volume["name"] for volume in pod["spec"]["volumes"]}


@settings(deadline=None)
@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_a_pod_can_be_made_for_whatever_a_dag_and_a_task_are_called(dag: str, task: str) -> None:
    pod = manifest_of(work_of(dag_id=dag, task_id=task), settings_of(), "s")
    assert (shape_fault(pod), whole_fault(pod)) == ("", "")


# --- how code gets there --------------------------------------------------------------------------------------------
def test_dag_files_can_be_on_a_claim() -> None:
    pod = made(dags_claim="flows-dags", dags_path="team/flows", dags_folder="/dags")
    claim = named(pod["spec"]["volumes"], "airloom-dags")["persistentVolumeClaim"]
    assert claim == {"claimName": "flows-dags", "readOnly": True}
    mount = named(base_of(pod)["volumeMounts"], "airloom-dags")
    assert mount == {"name": "airloom-dags", "mountPath": "/dags", "readOnly": True, "subPath": "team/flows"}


def test_a_claim_without_a_folder_says_what_to_set() -> None:
    settings = settings_of(cluster_of(dags_claim="flows-dags"))
    runner = msgspec.structs.replace(settings.runner, bundles={})
    with pytest.raises(PodFault, match="dags_claim is set, but no dags_folder"):
        manifest_of(work_of(), msgspec.structs.replace(settings, runner=runner), "s")


GIT = {"flows": GitBundle(url="git@host:team/flows.git", ssh_key_file="/keys/id", known_hosts_file="/keys/hosts")}


def test_code_from_git_is_fetched_before_the_task_with_a_key_that_the_task_does_not_see() -> None:
    settings = settings_of(cluster_of(git_secret="deploy-key"), repositories=GIT)
    pod = manifest_of(work_of(bundle="flows"), settings, "s")
    (fetch,) = pod["spec"]["initContainers"]
    assert (fetch["name"], fetch["image"], fetch["command"]) == (
        "airloom-code",
        "team/flows:1",
        list(pod_terms.FETCH),
    )
    secret = named(pod["spec"]["volumes"], "airloom-git")["secret"]
    assert secret["secretName"] == "deploy-key"
    assert {item["key"] for item in secret["items"]} == {"ssh-privatekey", "known_hosts"}
    folder = named(fetch["volumeMounts"], "airloom-git")["mountPath"]
    assert "airloom-git" not in {mount["name"] for mount in base_of(pod)["volumeMounts"]}
    told = msgspec.json.decode(named(fetch["env"], pod_terms.SETTINGS)["value"], type=LocalSettings)
    assert told.repositories["flows"].ssh_key_file == f"{folder}/ssh-privatekey"
    assert told.repositories["flows"].known_hosts_file == f"{folder}/known_hosts"


def test_what_fetches_is_like_the_container_of_the_task_and_can_be_changed_like_any_other() -> None:
    config = override(
        {"name": "base", "image": "gpu:1", "env": [{"name": "HTTPS_PROXY", "value": "http://p"}]},
        initContainers=[{"name": "airloom-code", "resources": {"limits": {"memory": "64Mi"}}}],
    )
    pod = manifest_of(work_of(config, bundle="flows"), settings_of(cluster_of(git_secret="k"), repositories=GIT), "s")
    (fetch,) = pod["spec"]["initContainers"]
    assert fetch["image"] == "gpu:1"
    assert named(fetch["env"], "HTTPS_PROXY")["value"] == "http://p"
    assert fetch["resources"] == {"limits": {"memory": "64Mi"}}


def test_an_open_repository_needs_no_secret() -> None:
    settings = settings_of(repositories={"flows": GitBundle(url="https://host/flows.git")})
    pod = manifest_of(work_of(bundle="flows"), settings, "s")
    assert "airloom-git" not in {volume["name"] for volume in pod["spec"]["volumes"]}


def test_a_repository_with_a_key_and_no_secret_for_pods_says_what_to_set() -> None:
    with pytest.raises(PodFault, match=r"bundle flows .* from a Secret: name it as \[kubernetes\] git_secret"):
        manifest_of(work_of(bundle="flows"), settings_of(repositories=GIT), "s")


def test_code_from_elsewhere_needs_no_container_that_fetches() -> None:
    pod = manifest_of(work_of(), settings_of(repositories=GIT), "s")
    assert "initContainers" not in pod["spec"]


# --- templates and overrides ------------------------------------------------------------------------------------------
TEMPLATE: Object = {
    "metadata": {"labels": {"team": "data", "tier": "low"}},
    "spec": {
        "serviceAccountName": "loader",
        "nodeSelector": {"pool": "tasks"},
        "tolerations": [{"key": "tasks", "operator": "Exists"}],
        "containers": [
            {
                "name": "base",
                "image": "template:1",
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}],
                "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
            },
            {"name": "proxy", "image": "proxy:1"},
        ],
        "volumes": [{"name": "data", "emptyDir": {}}],
    },
}


def test_a_template_wins_over_the_settings_and_an_override_over_the_template() -> None:
    assert base_of(made(template=TEMPLATE))["image"] == "template:1"
    assert base_of(made(override({"name": "base", "image": "own:1"}), template=TEMPLATE))["image"] == "own:1"


def test_containers_variables_volumes_and_tolerations_are_merged_by_name() -> None:
    config = override(
        {"name": "base", "env": [{"name": "B", "value": "2"}, {"name": "C", "value": "2"}]},
        {"name": "proxy", "image": "proxy:2"},
        {"name": "mail", "image": "mail:1"},
        metadata={"labels": {"tier": "high"}, "annotations": {"note": "x"}},
        tolerations=[{"key": "tasks", "operator": "Exists"}, {"key": "gpu"}],
        volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "d"}}, {"name": "more", "emptyDir": {}}],
        nodeSelector={"gpu": "true"},
    )
    pod = made(config, template=TEMPLATE)
    values = {one["name"]: one["value"] for one in base_of(pod)["env"] if one["name"] in "ABC"}
    assert values == {"A": "1", "B": "2", "C": "2"}
    assert {one["name"]: one["image"] for one in pod["spec"]["containers"]} == {
        "base": "template:1",
        "proxy": "proxy:2",
        "mail": "mail:1",
    }
    assert pod["spec"]["tolerations"] == [{"key": "tasks", "operator": "Exists"}, {"key": "gpu"}]
    assert named(pod["spec"]["volumes"], "data") == {"name": "data", "persistentVolumeClaim": {"claimName": "d"}}
    assert pod["spec"]["nodeSelector"] == {"pool": "tasks", "gpu": "true"}
    assert pod["metadata"]["labels"].items() >= {"team": "data", "tier": "high"}.items()
    assert pod["metadata"]["annotations"]["note"] == "x"


def test_resources_are_replaced_as_a_whole_so_that_no_request_is_above_a_new_limit() -> None:
    config = override({"name": "base", "resources": {"limits": {"memory": "512Mi"}}})
    assert base_of(made(config, template=TEMPLATE))["resources"] == {"limits": {"memory": "512Mi"}}


def test_a_security_context_of_the_task_s_own_takes_the_place_of_ours() -> None:
    pod = made(override(securityContext={"runAsUser": 0}))
    assert pod["spec"]["securityContext"] == {"runAsUser": 0}


def test_none_takes_away_what_the_template_has() -> None:
    config = override({"name": "base", "resources": None}, nodeSelector={"pool": None}, serviceAccountName=None)
    pod = made(config, template=TEMPLATE)
    assert "resources" not in base_of(pod)
    assert pod["spec"]["nodeSelector"] == {}
    assert "serviceAccountName" not in pod["spec"]


def test_templates_and_works_are_left_as_they_are() -> None:
    template, config = copy.deepcopy(TEMPLATE), override({"name": "base", "env": [{"name": "A", "value": "3"}]})
    before = copy.deepcopy(config)
    made(config, template=template)
    assert (template, config) == (TEMPLATE, before)


def test_a_command_of_the_template_s_is_given_ours_as_arguments() -> None:
    template = {"spec": {"containers": [{"name": "base", "command": ["/bin/with-secrets", "--"]}]}}
    base = base_of(made(template=template))
    assert (base["command"], base["args"]) == (["/bin/with-secrets", "--"], list(pod_terms.RUN))


def test_a_task_chooses_a_template_by_name() -> None:
    gpu: Object = {"spec": {"nodeSelector": {"gpu": "true"}}}
    pod = made({"template": "gpu"}, template=TEMPLATE, templates={"gpu": gpu})
    assert pod["spec"]["nodeSelector"] == {"gpu": "true"}
    assert [one["name"] for one in pod["spec"]["containers"]] == ["base"]


def test_a_task_chooses_a_cluster_and_a_namespace() -> None:
    settings = settings_of(
        cluster_of(namespaces=("gpu",)), eu=cluster_of(name="eu", namespace="eu-flows", image="eu:1")
    )
    assert place_of(work_of(), settings) == Place(cluster="default", namespace="flows")
    assert place_of(work_of({"namespace": "gpu"}), settings) == Place(cluster="default", namespace="gpu")
    inside = {"pod_override": {"metadata": {"namespace": "gpu"}}}
    assert place_of(work_of(inside), settings) == Place(cluster="default", namespace="gpu")
    assert place_of(work_of({"cluster": "eu"}), settings) == Place(cluster="eu", namespace="eu-flows")
    pod = manifest_of(work_of({"cluster": "eu"}), settings, "s")
    assert (pod["metadata"]["namespace"], base_of(pod)["image"]) == ("eu-flows", "eu:1")


values = st.none() | st.booleans() | st.integers(-3, 3) | st.text("aZ-./", max_size=3) | st.just({}) | st.just([])
containers_ = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["base", "side", "airloom-code"])},
        optional={
            **dict.fromkeys(("image", "command", "args", "resources", "securityContext"), values),
            "env": st.none()
            | st.lists(st.fixed_dictionaries({"name": st.sampled_from("AB")}, optional={"value": values})),
            "volumeMounts": st.none() | st.lists(st.just({"name": "v", "mountPath": "/tmp"})),
        },
    ),
    max_size=3,
)
overrides = st.fixed_dictionaries(
    {},
    optional={
        "apiVersion": st.none() | st.just("v1"),
        "kind": values,
        "metadata": st.none()
        | st.fixed_dictionaries({}, optional={"labels": values, "annotations": values, "namespace": values}),
        "spec": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "containers": st.none() | containers_,
                "initContainers": st.none() | containers_,
                "volumes": st.none() | st.lists(st.just({"name": "v", "emptyDir": {}})),
                **dict.fromkeys(("nodeSelector", "tolerations", "restartPolicy", "securityContext"), values),
            },
        ),
    },
)


@settings(deadline=None)
@given(overrides, overrides)
def test_whatever_is_merged_is_a_pod_of_the_try_or_a_fault_in_words(template: Object, override: Object) -> None:
    cluster = cluster_of(template=template if not template_fault(template) else {}, git_secret="k")
    for bundle in ("dags", "flows"):
        try:
            pod = manifest_of(
                work_of({"pod_override": override}, bundle=bundle), settings_of(cluster, repositories=GIT), "s"
            )
        except PodFault as error:
            assert str(error)
            continue
        # What is put together of parts that are right is not checked once more.
        assert (shape_fault(pod), whole_fault(pod)) == ("", "")
        assert pod["spec"]["restartPolicy"] == "Never"
        assert list(pod_terms.RUN) in (base_of(pod)["command"], base_of(pod).get("args"))
        assert pod["metadata"]["labels"]["airloom.dev/ti"] == "12"
        assert {"/run/airloom", "/airloom", "/tmp"} <= {one["mountPath"] for one in base_of(pod)["volumeMounts"]}


# --- what cannot be -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"namespace": "payroll"}, "may not be made in the namespace 'payroll'; in the cluster default there is flows"),
        ({"cluster": "moon"}, "there is no cluster 'moon'; there is default"),
        ({"cluster": "defaul"}, "there is no cluster 'defaul'; did you mean default?"),
        ({"template": "big"}, "there is no template 'big'; there is none"),
        (
            {"namespace": "flows", "pod_override": {"metadata": {"namespace": "gpu"}}},
            "names two namespaces, flows and gpu",
        ),
        (override({"name": "main", "resources": {}}), "the container main has no image: of a name other than base"),
        (
            override({"name": "base", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}),
            "the container base mounts the volume data, and the pod has none",
        ),
        (override({"name": "side", "image": "a"}, initContainers=[{"name": "side", "image": "a"}]), "called side"),
        (
            override({"name": "base", "env": [{"name": "BIG", "value": "x" * 140_000}]}),
            "the variable BIG has more than 131,072 bytes",
        ),
        (override(metadata={"annotations": {"big": "x" * 300_000}}), "annotations of the pod have more than 262,144"),
        (
            override({"name": "base", "env": [{"name": f"V{n}", "value": "x" * 120_000} for n in range(13)]}),
            "Kubernetes takes up to 1,500,000",
        ),
        ({"pod_override": {"spec": {"restartPolicy": "Always"}}}, "spec.restartPolicy is Always: it is Never"),
    ],
)
def test_a_pod_that_cannot_be_made_says_why(config: Object, text: str) -> None:
    assert text in fault(config)


def test_a_pod_without_an_image_says_where_to_name_one() -> None:
    assert fault(image="") == (
        "no image is named for tasks: set [kubernetes] image, or give one in the template or in pod_override"
    )


# --- the mutation hook ------------------------------------------------------------------------------------------------
def hooked(hook: Any) -> Object:
    return manifest_of(work_of(), settings_of(), "works-1", hook)


def test_a_hook_may_change_the_pod() -> None:
    def hook(pod: Object) -> Object:
        changed = copy.deepcopy(pod)
        changed["metadata"]["labels"]["cost"] = "x"
        changed["spec"]["priorityClassName"] = "low"
        return changed

    pod = hooked(hook)
    assert (pod["metadata"]["labels"]["cost"], pod["spec"]["priorityClassName"]) == ("x", "low")


def changes(*path: Any, to: Any) -> Any:
    def hook(pod: Object) -> Object:
        changed = copy.deepcopy(pod)
        inner: Any = changed
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = to
        return changed

    return hook


@pytest.mark.parametrize(
    ("hook", "text"),
    [
        (changes("metadata", "name", to="mine"), "changes the name of the pod"),
        (changes("metadata", "namespace", to="other"), "changes the namespace of the pod from 'flows' to 'other'"),
        (changes("metadata", "labels", to={}), "changes Airloom's labels"),
        (changes("spec", "restartPolicy", to=None), "changes the restartPolicy"),
        (changes("spec", "containers", 0, "command", to=["sh"]), "changes what the container base runs"),
        (changes("spec", "containers", 0, "name", to="main"), "changes what the container base runs"),
        (changes("spec", "volumes", to=[]), "changes Airloom's volumes"),
        (changes("spec", "nodeSelektor", to={}), "the mutation hook made a wrong pod"),
        (changes("spec", to="x"), "the mutation hook made a wrong pod"),
        (changes("spec", "containers", to="x"), "the mutation hook made a wrong pod"),
        (changes("metadata", to=None), "the mutation hook made a wrong pod"),
        (lambda pod: None, "the mutation hook made a wrong pod"),
    ],
)
def test_a_hook_may_not_change_what_makes_the_pod_that_of_its_try(hook: Any, text: str) -> None:
    with pytest.raises(PodFault, match=text):
        hooked(hook)
