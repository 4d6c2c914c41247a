"""The settings [kubernetes]: clusters, templates, and a sentence for each that cannot be."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airloom.executors import pod_terms
from airloom.executors.kubernetes.settings import KubernetesSettings, for_pods, read_clusters
from airloom.executors.settings import LocalSettings
from airloom.model.bundles import GitBundle
from airloom.model.errors import SettingsError
from airloom.settings import load
from airloom.wiring.kubernetes import kubernetes_settings
from airloom.wiring.process import runner_settings

SERVER = {"server": "http://airloom:8080"}


def refused(**values: Any) -> str:
    with pytest.raises(SettingsError) as error:
        read_clusters({**SERVER, **values})
    return str(error.value)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"server": ""}, "[kubernetes]: server is missing: the address of the API as pods reach it"),
        ({"server": "airloom:8080"}, "[kubernetes]: server is 'airloom:8080'; expected an address"),
        ({"server": "ftp://airloom"}, "server is 'ftp://airloom'"),
        ({"namespace": "Team A"}, "[kubernetes]: a namespace cannot be called 'Team A'"),
        ({"namespaces": ("ok", "Not ok")}, "a namespace cannot be called 'Not ok'"),
        ({"template": "a: [", "template_file": "/x"}, "template and template_file are both given"),
        ({"template": "a: ["}, "[kubernetes]: template is not valid YAML: while parsing"),
        ({"template": "a: 1\n---\nb: 2"}, "template holds 2 documents; expected one Pod"),
        ({"template": "# nothing"}, "template holds 0 documents"),
        ({"template": "- a"}, "[kubernetes]: template: is to be a pod"),
        ({"template": "kind: Deployment"}, "of the kind Deployment"),
        ({"template": "spec: {containers: [{name: main, image: a}]}"}, "no container is called base"),
        ({"template_file": "/nowhere/pod.yaml"}, "template_file: /nowhere/pod.yaml cannot be read: No such file"),
        ({"templates": {"gpu": "/nowhere/gpu.yaml"}}, "templates.gpu: /nowhere/gpu.yaml cannot be read"),
        ({"templates": {"gpu": 3}}, "templates is to be a table of files by name"),
        ({"ca_file": "/nowhere/ca.crt"}, "ca_file: /nowhere/ca.crt cannot be read"),
        ({"clusters": {"eu": {}}}, "clusters.eu]: which cluster it is says a context, or a kubeconfig"),
        ({"clusters": {"eu": 3}}, "[kubernetes.clusters.eu]: expected a table"),
        (
            {"clusters": {"eu": {"contxt": "a"}}},
            "clusters.eu] has no setting contxt; did you mean context?",
        ),
        ({"clusters": {"eu": {"context": 3}}}, "[kubernetes.clusters.eu]: context is to be a text"),
        ({"clusters": {"eu": {"context": "a", "namespaces": "b"}}}, "namespaces is to be a list of names"),
        (
            {"clusters": {"default": {"context": "a"}}},
            "clusters.default]: that is what [kubernetes] itself",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_told(values: dict[str, Any], text: str) -> None:
    assert text in refused(**values)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    file = tmp_path / "pod.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    assert "is not UTF-8" in refused(template_file=str(file))


def test_templates_are_read_from_files_and_from_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "gpu.yaml"
    file.write_text("apiVersion: v1\nkind: Pod\nspec:\n  nodeSelector: {gpu: 'true'}\n")
    found = read_clusters({**SERVER, "template": '{"spec": {"priority": 1}}', "templates": {"gpu": str(file)}})[
        "default"
    ]
    assert found.template == {"spec": {"priority": 1}}
    assert found.templates["gpu"]["spec"] == {"nodeSelector": {"gpu": "true"}}


def test_a_cluster_has_what_it_does_not_say_from_the_section_but_for_where_it_is() -> None:
    values = {
        **SERVER,
        **{"image": "a:1", "context": "home", "namespace": "flows", "namespaces": ("gpu",), "kubeconfig": "/k"},
        "template": "spec: {priority: 1}",
        "clusters": {"eu": {"context": "eu", "image": "b:1"}},
    }
    eu = read_clusters(values)["eu"]
    assert (eu.name, eu.context, eu.kubeconfig, eu.image, eu.server) == ("eu", "eu", "/k", "b:1", SERVER["server"])
    assert (eu.namespace, eu.namespaces) == ("", ())
    assert eu.template == {"spec": {"priority": 1}}


def test_a_cluster_s_own_template_takes_the_place_of_the_section_s_file(tmp_path: Path) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text("spec: {priority: 1}")
    eu = {"context": "eu", "template": "spec: {priority: 2}"}
    found = read_clusters({**SERVER, "template_file": str(file), "clusters": {"eu": eu}})
    assert (found["default"].template, found["eu"].template) == ({"spec": {"priority": 1}}, {"spec": {"priority": 2}})


def test_pods_have_the_keys_of_repositories_from_a_secret() -> None:
    git = GitBundle(url="https://host/a.git", token_file="/home/me/token")
    local = LocalSettings(home="/h", bundles={}, repositories={"a": git, "b": GitBundle(url="https://host/b.git")})
    told = for_pods(local, "kubernetes", 30.0, 300.0)
    assert told.repositories["a"].token_file == "/run/airloom-git/password"
    assert told.repositories["b"].token_file == ""
    assert (told.home, told.parallelism, told.lease, told.heartbeat) == (pod_terms.HOME, 1, 300.0, 30.0)


def test_everything_that_the_section_says_arrives(tmp_path: Path) -> None:
    ca = tmp_path / "ca.crt"
    ca.write_text("PEM")
    (tmp_path / "airloom.toml").write_text(
        f"""
        [kubernetes]
        server = "https://airloom:8443, https://other:8443"
        ca_file = "{ca}"
        image = "a:1"
        namespaces = ["gpu"]
        delete = "never"
        keep = "10m"
        start_limit = "5m"
        creators = 4
        lease = "2m"
        mutation_hook = "our_pods:mutate"
        clusters = {{eu = {{context = "eu"}}}}
        """
    )
    loaded = load({"AIRLOOM_HOME": str(tmp_path)}, tmp_path).settings
    told = kubernetes_settings(loaded, runner_settings(loaded, tmp_path, loaded.bundles, "owner"))
    assert set(told.clusters) == {"default", "eu"}
    assert told.clusters["eu"].ca == "PEM"
    assert (told.delete, told.keep, told.start_limit, told.creators) == ("never", 600.0, 300.0, 4)
    assert (told.runner.owner, told.runner.name, told.runner.lease) == ("owner", "kubernetes", 120.0)
    assert told.mutation_hook == "our_pods:mutate"


def test_the_defaults_of_the_section_are_what_pods_are_told_by_default(tmp_path: Path) -> None:
    section = load({"AIRLOOM_HOME": str(tmp_path)}, tmp_path).settings.kubernetes
    assert (section.lease, section.heartbeat) == (pod_terms.LEASE, pod_terms.HEARTBEAT)


@pytest.mark.parametrize(
    ("delete", "after_success", "after_failure"),
    [("always", True, True), ("on_success", True, False), ("never", False, False)],
)
def test_which_pods_are_deleted_at_once(delete: Any, after_success: bool, after_failure: bool) -> None:
    told = KubernetesSettings(clusters={}, runner=LocalSettings(home="/h", bundles={}), delete=delete)
    assert (told.deletes(True), told.deletes(False)) == (after_success, after_failure)


def test_who_has_another_executor_does_not_load_this_one() -> None:
    said = (
        "import sys, airloom, airloom.wiring.roles, airloom.cli.main; "
        "print([name for name in sys.modules if name == 'yaml' or 'kubernetes' in name or 'pod_shape' in name])"
    )
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_names_of_all_settings_of_a_cluster_are_listed_for_one_that_is_like_none() -> None:
    assert re.search(
        r"no setting zzz; there are kubeconfig, context, .*templates", refused(clusters={"eu": {"zzz": 1}})
    )
