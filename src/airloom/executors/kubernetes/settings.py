"""What the Kubernetes executor is told: its clusters, what pods are like there, and when they are deleted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
import yaml

from airloom.executors.pod_terms import HOME, WORK_FOLDER
from airloom.executors.settings import LocalSettings
from airloom.model.errors import SettingsError
from airloom.model.pod_shape import namespace_fault, template_fault
from airloom.model.spelling import did_you_mean

#: the cluster of tasks that choose none
DEFAULT_CLUSTER = "default"
#: the bundle of [core] dags_folder
DAGS_BUNDLE = "dags"
#: the certificates to trust at the server, where a pod finds them
CA_FILE = f"{WORK_FOLDER}/ca.crt"
#: where the container that fetches code finds the Secret of the repositories, and what is called what in it: as in
#: Secrets of the types kubernetes.io/ssh-auth and kubernetes.io/basic-auth
GIT_FOLDER = "/run/airloom-git"
GIT_KEYS = {"ssh_key_file": "ssh-privatekey", "known_hosts_file": "known_hosts", "token_file": "password"}


class ClusterSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster. namespace: "" until it is known from the credentials. ca: the text of certificates, PEM.

    template, and templates by the name that a task chooses them by: pods, as Kubernetes has them.
    """

    name: str = DEFAULT_CLUSTER
    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    namespaces: tuple[str, ...] = ()
    server: str = ""
    ca: str = ""
    image: str = ""
    service_account: str = ""
    template: dict[str, Any] = {}
    templates: dict[str, dict[str, Any]] = {}
    dags_folder: str = ""
    dags_claim: str = ""
    dags_path: str = ""
    git_secret: str = ""

    @property
    def all_namespaces(self) -> tuple[str, ...]:
        """Where pods of ours may be, the one of tasks that choose none first."""
        return tuple(dict.fromkeys((self.namespace, *self.namespaces)))


class KubernetesSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The executor. runner: what the runner in a pod is told, as `for_pods` made it; its name is the executor's, and
    its owner the database whose tries these are. keep, start_limit: seconds; keep 0: for ever."""

    clusters: dict[str, ClusterSettings]
    runner: LocalSettings
    mutation_hook: str = ""
    start_limit: float = 600.0
    delete: Literal["always", "on_success", "never"] = "on_success"
    keep: float = 3600.0
    creators: int = 8

    def deletes(self, succeeded: bool) -> bool:
        """Whether a pod that has ended so is deleted at once."""
        return self.delete == "always" or (self.delete == "on_success" and succeeded)


def for_pods(runner: LocalSettings, name: str, heartbeat: float, lease: float) -> LocalSettings:
    """What runners in pods are told, from what those of this machine are told; the cluster adds the server.

    The files of keys and tokens are this machine's: pods have them from a Secret.
    """
    repositories = {
        bundle: msgspec.structs.replace(
            git, **{key: f"{GIT_FOLDER}/{GIT_KEYS[key]}" for key in GIT_KEYS if getattr(git, key)}
        )
        for bundle, git in runner.repositories.items()
    }
    return msgspec.structs.replace(
        runner, home=HOME, name=name, repositories=repositories, parallelism=1, heartbeat=heartbeat, lease=lease
    )


def read_clusters(values: Mapping[str, Any]) -> dict[str, ClusterSettings]:
    """The clusters that the settings [kubernetes] name, each with the templates that it reads. Raises SettingsError."""
    tables = values.get("clusters", {})
    if DEFAULT_CLUSTER in tables:
        raise SettingsError(f"[kubernetes.clusters.{DEFAULT_CLUSTER}]: that is what [kubernetes] itself is called")
    base = {key: values[key] for key in _KEYS if key in values}
    found = {DEFAULT_CLUSTER: _Reader("[kubernetes]").read(DEFAULT_CLUSTER, base)}
    for name, table in tables.items():
        found[name] = _Reader(f"[kubernetes.clusters.{name}]").read(name, {**base, **_own(name, table)})
    return found


_TEMPLATES = ("template", "template_file")
_TEXTS = (
    *("kubeconfig", "context", "namespace", "server", "ca_file", "image", "service_account"),
    *("dags_folder", "dags_claim", "dags_path", "git_secret"),
)
_KEYS = (*_TEXTS, *_TEMPLATES, "namespaces", "templates")


def _own(name: str, table: Any) -> dict[str, Any]:
    """A cluster's table, with the settings that go with one that it changes, so that those are not inherited."""
    where = f"[kubernetes.clusters.{name}]"
    if not isinstance(table, dict):
        raise SettingsError(f"{where}: expected a table with a context or a kubeconfig")
    for key in table.keys() - set(_KEYS):
        raise SettingsError(f"{where} has no setting {key}{did_you_mean(key, _KEYS) or '; there are ' + _listed()}")
    if not table.get("context") and not table.get("kubeconfig"):
        raise SettingsError(f"{where}: which cluster it is says a context, or a kubeconfig; it has neither")
    own = {"context": "", "namespace": "", "namespaces": (), **table}
    if "template" in table or "template_file" in table:
        own = {"template": "", "template_file": "", **own}
    return own


def _listed() -> str:
    return ", ".join(_KEYS)


class _Reader:
    """Reads one cluster's settings; `where` begins each sentence about them."""

    def __init__(self, where: str) -> None:
        self._where = where

    def read(self, name: str, values: Mapping[str, Any]) -> ClusterSettings:
        """The cluster. Raises SettingsError."""
        for key in (*_TEXTS, *_TEMPLATES):
            if not isinstance(values.get(key, ""), str):
                raise self._wrong(f"{key} is to be a text")
        namespaces = values.get("namespaces", ())
        if not isinstance(namespaces, list | tuple) or not all(isinstance(one, str) for one in namespaces):
            raise self._wrong("namespaces is to be a list of names")
        for namespace in filter(None, (values.get("namespace", ""), *namespaces)):
            if fault := namespace_fault(namespace):
                raise self._wrong(fault)
        self._check_server(values.get("server", ""))
        if values.get("template") and values.get("template_file"):
            raise self._wrong("template and template_file are both given: leave one of them out")
        texts = {key: values[key] for key in _TEXTS if key in values and key != "ca_file"}
        return ClusterSettings(
            **texts,
            name=name,
            namespaces=tuple(namespaces),
            ca=self._text("ca_file", values["ca_file"]) if values.get("ca_file") else "",
            template=self._template(values),
            templates=self._templates(values.get("templates", {})),
        )

    def _check_server(self, server: str) -> None:
        if not server:
            raise self._wrong("server is missing: the address of the API as pods reach it, such as http://airloom:8080")
        for address in server.split(","):
            parts = urlsplit(address.strip())
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise self._wrong(f"server is {address.strip()!r}; expected an address such as http://airloom:8080")

    def _template(self, values: Mapping[str, Any]) -> dict[str, Any]:
        if values.get("template_file"):
            return self._pod("template_file", values["template_file"])
        text = values.get("template", "")
        return self._parsed("template", text) if text else {}

    def _templates(self, files: Any) -> dict[str, dict[str, Any]]:
        if not isinstance(files, dict) or not all(isinstance(file, str) for file in files.values()):
            raise self._wrong('templates is to be a table of files by name, such as {gpu = "/etc/airloom/gpu.yaml"}')
        return {name: self._pod(f"templates.{name}", file) for name, file in files.items()}

    def _pod(self, key: str, file: str) -> dict[str, Any]:
        return self._parsed(f"{key}: {file}", self._text(key, file))

    def _text(self, key: str, file: str) -> str:
        try:
            return Path(file).expanduser().read_text("utf-8")
        except OSError as error:
            raise self._wrong(f"{key}: {file} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise self._wrong(f"{key}: {file} is not UTF-8") from None

    def _parsed(self, what: str, text: str) -> dict[str, Any]:
        try:
            documents = [document for document in yaml.safe_load_all(text) if document is not None]
        except yaml.YAMLError as error:
            raise self._wrong(f"{what} is not valid YAML: {' '.join(str(error).split())}") from None
        if len(documents) != 1:
            raise self._wrong(f"{what} holds {len(documents)} documents; expected one Pod")
        if fault := template_fault(documents[0]):
            raise self._wrong(f"{what}: {fault}")
        pod: dict[str, Any] = documents[0]
        return pod

    def _wrong(self, problem: str) -> SettingsError:
        return SettingsError(f"{self._where}: {problem}")
