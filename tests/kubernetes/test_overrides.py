"""What tasks and templates ask of their pods, in pods that run tries: from executor_config to the result."""

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from airloom.model.report import Cause, Ended, Outcome
from tests.executors.kubernetes_rig import KubernetesRig, KubernetesWorld, served, skip_without
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.nodes import LocalNodes
from tests.kubernetes.pod_bed import Object
from tests.servers import PostgresServer

#: a shell that never ends by itself
_ENDLESS = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"]


@pytest.fixture
def rig(
    tmp_path: Path,
    postgres_server: PostgresServer,
    migrated_postgres: str,
    control_plane: ControlPlane,
    main_nodes: LocalNodes,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[KubernetesRig]:
    """A rig whose settings have a further template, `wrapped`, and a mutation hook."""
    skip_without(control_plane)
    main_nodes.ensure()
    template = tmp_path / "wrapped.yaml"
    template.write_text("spec: {containers: [{name: base, command: [sh, -c, 'WRAPPED=yes exec \"$@\"', '--']}]}")
    (tmp_path / "our_pods.py").write_text(
        "def mutate(pod):\n"
        " base = next(one for one in pod['spec']['containers'] if one['name'] == 'base')\n"
        " base['env'].append({'name': 'HOOKED', 'value': pod['metadata']['annotations']['airloom.dev/dag-id']})\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    more = {
        "AIRLOOM__KUBERNETES__TEMPLATES": msgspec.json.encode({"wrapped": str(template)}).decode(),
        "AIRLOOM__KUBERNETES__MUTATION_HOOK": "our_pods:mutate",
    }
    name = postgres_server.create(migrated_postgres)
    with ExitStack() as stack:
        stack.callback(postgres_server.drop, name)
        world = stack.enter_context(served(KubernetesWorld(postgres_server.url(name), control_plane, **more)))
        made = KubernetesRig(tmp_path, world)
        stack.callback(made.close)
        made.start_kubernetes()
        yield made


def returned(ended: Ended) -> object:
    """What the task returned."""
    assert ended.outcome is Outcome.SUCCESS, ended.detail
    return next(msgspec.json.decode(value.value) for value in ended.xcoms if value.key == "return_value")


def run(rig: KubernetesRig, body: str, config: Object) -> Ended:
    rig.write("asked", f"import os\nfrom pathlib import Path\n{body}")
    (ended,) = rig.run(rig.work("asked", executor_config=config))
    return ended


def base(**more: object) -> Object:
    return {"name": "base", **more}


def test_variables_volumes_init_containers_and_sidecars_are_there(rig: KubernetesRig) -> None:
    namespace = rig.world.namespace
    secret = {"metadata": {"name": "keys"}, "data": {"k": base64.b64encode(b"hidden").decode()}}
    rig.world.cluster.api.create(f"/api/v1/namespaces/{namespace}/secrets", secret)
    mounts = [{"name": "given", "mountPath": "/given"}]
    prepare = {
        "name": "prepare",
        "image": rig.world.cluster.image,
        "command": ["sh", "-c", "echo ready > /given/file"],
        "volumeMounts": mounts,
    }
    proxy = {"name": "proxy", "image": rig.world.cluster.image, "command": _ENDLESS}
    config = {
        "pod_override": {
            "metadata": {"labels": {"team": "data"}},
            "spec": {
                "containers": [
                    base(
                        env=[
                            {"name": "PLAIN", "value": "plain"},
                            {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "k"}}},
                        ],
                        volumeMounts=mounts,
                    ),
                    proxy,
                ],
                "initContainers": [prepare],
                "volumes": [{"name": "given", "emptyDir": {}}],
            },
        }
    }
    text = "return [Path('/given/file').read_text(), *map(os.environ.get, ['PLAIN', 'SECRET', 'HOOKED'])]"
    assert returned(run(rig, text, config)) == ["ready\n", "plain", "hidden", "asked"]


def test_a_command_of_a_named_template_wraps_the_task(rig: KubernetesRig) -> None:
    world = rig.world
    shared = {"name": "shared", "hostPath": {"path": str(world.folder)}}
    seen = base(volumeMounts=[{"name": "shared", "mountPath": str(world.folder)}])
    config = {
        "template": "wrapped",
        "pod_override": {"spec": {"containers": [seen], "volumes": [shared], "securityContext": {"runAsUser": 1000}}},
    }
    assert returned(run(rig, "return os.environ['WRAPPED']", config)) == "yes"


def test_a_root_that_is_read_only_is_enough(rig: KubernetesRig) -> None:
    config = {"pod_override": {"spec": {"containers": [base(securityContext={"readOnlyRootFilesystem": True})]}}}
    text = "Path('/tmp/x').write_text('1')\nreturn Path('/tmp/x').read_text()"
    assert returned(run(rig, text, config)) == "1"


def test_ids_of_250_odd_characters_run(rig: KubernetesRig) -> None:
    dag = "_." * 125
    rig.write(dag, "return 1")
    (ended,) = rig.run(rig.work(dag))
    assert returned(ended) == 1


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"template": "wraped"}, "there is no template 'wraped'; did you mean wrapped?"),
        ({"cluster": "moon"}, "there is no cluster 'moon'"),
        ({"pod_override": {"spec": {"containers": [{"name": "main"}]}}}, "the container main has no image"),
        (
            {"pod_override": {"spec": {"containers": [base(resources={"limits": {"memory": "2GB"}})]}}},
            "memory is '2GB'; expected an amount",
        ),
        ({"pod_override": {"spec": {"dnsPolicy": "Never"}}}, "spec.dnsPolicy: Unsupported value"),
    ],
)
def test_what_cannot_be_is_the_end_of_the_try_in_words(rig: KubernetesRig, config: Object, text: str) -> None:
    ended = run(rig, "return 1", config)
    assert ended.cause is Cause.INVALID
    assert text in (ended.detail or "")


def test_a_hook_that_fails_is_the_end_of_the_try_in_words(rig: KubernetesRig, tmp_path: Path) -> None:
    (tmp_path / "our_pods.py").write_text("def mutate(pod):\n raise LookupError('no cost centre')\n")
    ended = run(rig, "return 1", {})
    assert ended.cause is Cause.INVALID
    assert "the mutation hook our_pods:mutate failed: LookupError: no cost centre" in (ended.detail or "")
