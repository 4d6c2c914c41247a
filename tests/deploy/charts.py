"""The Helm chart, rendered by Helm's own library: with no cluster, so with the API groups that Helm knows."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.composing import ROOT

helm = pytest.importorskip("helm_python", reason="helm-python-sdk is not installed")

Object = dict[str, Any]
CHART = ROOT / "deploy" / "helm" / "airloom"
EXAMPLES = {path.stem: path for path in sorted((ROOT / "deploy" / "helm" / "examples").glob("*.yaml"))}
NAME, NAMESPACE = "demo", "prod"
#: what every release needs
LEAST: Object = {"image": {"repository": "airloom"}, "postgresql": {"enabled": True}}
#: values that lead through every branch of the templates, by name
CASES: dict[str, Object] = {
    **{f"example {name}": yaml.safe_load(path.read_text("utf-8")) for name, path in EXAMPLES.items()},
    "least": LEAST,
    "own database": {"image": {"repository": "airloom"}, "database": {"url": "postgresql://u:p@db:5432/a"}},
    "volume": {
        **LEAST,
        "dags": {"source": "volume", "volume": {"path": "flows", "storageClass": "nfs"}},
        "kubernetes": {"namespaces": ["team-a"], "taskServiceAccount": {"create": False}},
    },
    "volume of theirs, in workers": {
        **LEAST,
        "executor": "celery",
        "redis": {"enabled": True},
        "dags": {"source": "volume", "volume": {"existingClaim": "flows"}},
        "celery": {
            "workers": {
                "default": {"persistence": {"enabled": True, "storageClass": "fast"}},
                "small": {"queues": ["small", "tiny ones"], "autoscaling": {"kind": "hpa"}, "concurrency": "2..16"},
                "gpu": {"queues": ["gpu"], "autoscaling": {"kind": "keda", "prometheus": "http://prometheus:9090"}},
                "both": {"queues": ["a b", "c"], "autoscaling": {"kind": "keda", "tokenSecret": "viewer"}},
            }
        },
    },
    "a broker of theirs": {
        **LEAST,
        "executor": "celery",
        "celery": {"broker": "amqps://u:p@mq:5671//", "runnerToken": f"alm_{'0' * 16}_{'1' * 48}"},
        "secretKey": "A" * 43 + "=",
    },
    "https inside": {
        **LEAST,
        "api": {"tlsSecret": "inside", "autoscaling": {"enabled": True}, "trustedProxies": ["10.1.2.3", "10.2.0.0/16"]},
        "dags": {
            "source": "git",
            "git": {
                "url": "git@git.example.org:a/b.git",
                "secret": "git",
                "secretKeys": ["ssh-privatekey", "known_hosts"],
            },
        },
    },
    "https for workers": {
        **LEAST,
        "executor": "celery",
        "redis": {"enabled": True},
        "api": {"tlsSecret": "inside"},
        "ingress": {"enabled": True, "host": "a.example.org"},
    },
    "all else": {
        **LEAST,
        "fullnameOverride": "flows",
        "image": {"repository": "a/b", "digest": "sha256:" + "0" * 64, "pullSecrets": ["pull"]},
        "networkPolicy": {"enabled": False},
        "podDisruptionBudgets": {"enabled": False},
        "serviceAccounts": {"annotations": {"a/b": "c"}},
        "bundles": {"sales": {"kind": "local", "path": "/srv/sales"}},
        "kubernetes": {
            "kubeconfigSecret": "kube",
            "clusters": {"west": {"kubeconfig": "/etc/airloom/kube/west", "namespace": "w"}},
            "templates": {"gpu": {"spec": {"containers": [{"name": "base", "image": "gpu:1"}]}}},
        },
        "settings": {
            "api": {"session": "1d", "public_metrics": True},
            "runner": {"lease": 90.5, "log_max_bytes": 5_000_000_000},
            "logs": {"store": "s3://logs/$(A)", "store_options": {"key": "k", "client_kwargs": {"x": 1}}},
            "core": {"executors": ["kubernetes", "local"], "max_map_length": 1_000_000},
            "scheduler": {"loader": None},
        },
        "scheduler": {
            "replicas": 3,
            "nodeSelector": {"a": "b"},
            "tolerations": [{"key": "a", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}}
            ],
            "priorityClassName": "",
            "podAnnotations": {"a/b": "c"},
            "podLabels": {"team": "data"},
            "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
            "extraVolumes": [{"name": "more", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        },
    },
    "local, kept by nobody": {**LEAST, "executor": "local", "local": {"persistence": {"enabled": False}}},
    "open shift": {
        **LEAST,
        "podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None},
    },
}


@functools.cache
def chart() -> Any:
    """The chart, loaded once."""
    return helm.Chart.load(CHART)


def render(values: Object, name: str = NAME, namespace: str = NAMESPACE) -> list[Object]:
    """The objects that an installation with these values makes. Raises helm.HelmError."""
    texts = chart().render(values, name=name, namespace=namespace)
    return [one for path, text in sorted(texts.items()) if not path.endswith(".txt") for one in objects_of(text)]


def notes(values: Object) -> str:
    """What is said after an installation."""
    return str(chart().render(values, name=NAME, namespace=NAMESPACE)["airloom/templates/NOTES.txt"])


class _Loader(yaml.SafeLoader):
    """YAML with no key twice: the last one would count, and nobody would know."""

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        """A mapping, as it is written."""
        node = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value]
        assert len(set(keys)) == len(keys), f"a key is there twice in {keys}, {node.start_mark}"
        return node


def objects_of(text: str) -> list[Object]:
    """The objects of a manifest."""
    return [one for one in yaml.load_all(text, _Loader) if one]


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    """Those of some kinds."""
    return [one for one in objects if one["kind"] in kinds]


def named(objects: list[Object], kind: str, name: str) -> Object:
    """The one of this kind and name."""
    (found,) = (one for one in of_kind(objects, kind) if one["metadata"]["name"] == name)
    return found


def pods(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """What each object that makes pods makes them from, by "Kind/name"."""
    for one in of_kind(objects, "Deployment", "StatefulSet", "Job"):
        yield f"{one['kind']}/{one['metadata']['name']}", one["spec"]["template"]


def containers(pod: Object) -> list[Object]:
    """All containers of a pod."""
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def ours(container: Object) -> bool:
    """Whether it is one of Airloom's."""
    return container["name"] not in ("postgresql", "redis")


def environment(container: Object, files: Path) -> dict[str, str]:
    """The variables of a container, each file that they name replaced by one in `files`, which is made."""
    found = {}
    for one in container["env"]:
        if not one["name"].startswith("AIRLOOM"):
            continue
        value = one["value"].replace("$$(", "$(")
        if re.search(r"(_FILE|_CERTIFICATE|_KEY)$", one["name"]) and value.startswith("/"):
            path = files / value.strip("/").replace("/", "-")
            path.write_text("x")
            value = str(path)
        found[one["name"]] = value
    return found
