"""The files in which people keep how their clusters are reached, read as kubectl reads them."""

import base64
import binascii
import os
import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from airloom.executors.kubernetes.client.access import (
    Access,
    Trust,
    proxy_for,
    read_address,
    read_proxy,
    within_cluster,
)
from airloom.executors.kubernetes.client.login import Login, PluginLogin, StoredLogin, basic
from airloom.model.errors import SettingsError

#: the environment's list of files; the first that has a name counts for it
_VARIABLE = "KUBECONFIG"
_PLUGINS = "client.authentication.k8s.io"
_VERSIONS = (f"{_PLUGINS}/v1", f"{_PLUGINS}/v1beta1")


class _Extension(msgspec.Struct):
    name: str = ""
    extension: Any = None


class _Cluster(msgspec.Struct, rename="kebab"):
    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = ""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    extensions: list[_Extension] | None = None


class _Variable(msgspec.Struct):
    name: str
    value: str = ""


class _Program(msgspec.Struct, rename="camel"):
    command: str = ""
    args: list[str] | None = None
    env: list[_Variable] | None = None
    api_version: str = ""
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = ""


class _User(msgspec.Struct, rename="kebab"):
    token: str = ""
    token_file: str = msgspec.field(default="", name="tokenFile")
    client_certificate: str = ""
    client_certificate_data: str = ""
    client_key: str = ""
    client_key_data: str = ""
    username: str = ""
    password: str = ""
    program: _Program | None = msgspec.field(default=None, name="exec")
    auth_provider: dict[str, Any] | None = None
    as_user: str = msgspec.field(default="", name="as")
    as_uid: str = ""
    as_groups: list[str] | None = None
    as_user_extra: dict[str, list[str]] | None = None


class _Context(msgspec.Struct):
    cluster: str = ""
    user: str = ""
    namespace: str = ""


class _NamedCluster(msgspec.Struct):
    name: str
    cluster: _Cluster


class _NamedUser(msgspec.Struct):
    name: str
    user: _User | None = None


class _NamedContext(msgspec.Struct):
    name: str
    context: _Context


class _File(msgspec.Struct, rename="kebab"):
    current_context: str = ""
    clusters: list[_NamedCluster] | None = None
    users: list[_NamedUser] | None = None
    contexts: list[_NamedContext] | None = None


_HEADER = re.compile("[A-Za-z0-9-_.%]+")
_FILE = msgspec.json.Decoder(_File)
T = TypeVar("T", _Cluster, _User, _Context)


def find_access(kubeconfig: str = "", context: str = "") -> Access:
    """How a cluster is reached, and as whom.

    kubeconfig: a file, or several with colons between them; empty: what KUBECONFIG names, else ~/.kube/config, else the
    cluster that we run in. context: one of its names; empty: its current one. Raises SettingsError.
    """
    named = kubeconfig or os.environ.get(_VARIABLE, "")
    ours = Path("~/.kube/config").expanduser()
    if not named and not ours.exists():
        access = within_cluster()
        if access is None or context:
            raise SettingsError(
                f"no Kubernetes cluster is named: there is no kubeconfig ({_VARIABLE}, {ours}), and this is no pod of "
                "a cluster" + (f", so that there is no context {context!r} either" if context else "")
            )
        return access
    paths = [Path(part).expanduser() for part in (named or str(ours)).split(os.pathsep) if part]
    # kubectl passes over those that are not there, and so people leave them there.
    there = [path for path in paths if path.exists()]
    if not there:
        raise SettingsError(f"there is no kubeconfig {named}")
    return _Kubeconfig(there).access(context)


class _Kubeconfig:
    """What several files say together. Paths in them begin where the file is."""

    def __init__(self, paths: list[Path]) -> None:
        self._name = os.pathsep.join(map(str, paths))
        self._current = ""
        self._clusters: dict[str, tuple[_Cluster, Path]] = {}
        self._users: dict[str, tuple[_User, Path]] = {}
        self._contexts: dict[str, tuple[_Context, Path]] = {}
        for path in paths:
            file, folder = _read(path), path.resolve().parent
            self._current = self._current or file.current_context
            for cluster in file.clusters or ():
                self._clusters.setdefault(cluster.name, (cluster.cluster, folder))
            for user in file.users or ():
                self._users.setdefault(user.name, (user.user or _User(), folder))
            for context in file.contexts or ():
                self._contexts.setdefault(context.name, (context.context, folder))

    def access(self, name: str) -> Access:
        """What a context says."""
        if not name and not self._current:
            raise SettingsError(f"the kubeconfig {self._name} has no current-context: name one{_of(self._contexts)}")
        context, _ = self._find("context", self._contexts, name or self._current)
        cluster, cluster_folder = self._find("cluster", self._clusters, context.cluster)
        user, user_folder = self._find("user", self._users, context.user) if context.user else (_User(), Path())
        server = read_address(cluster.server, f"the server of cluster {context.cluster!r} in {self._name}:")
        authorities = self._content(
            cluster.certificate_authority_data, cluster.certificate_authority, cluster_folder, context.cluster
        )
        trust = Trust(
            authorities=authorities, name=cluster.tls_server_name, verify=not cluster.insecure_skip_tls_verify
        )
        whose = f"proxy-url of cluster {context.cluster!r} in {self._name}"
        return Access(
            server=server,
            login=self._login(context.user, user, user_folder, cluster, trust),
            trust=trust,
            proxy=read_proxy(cluster.proxy_url, whose) if cluster.proxy_url else proxy_for(server),
            headers=_impersonation(user, f"user {context.user!r} in {self._name}"),
            namespace=context.namespace or "default",
        )

    def _find(self, kind: str, entries: dict[str, tuple[T, Path]], name: str) -> tuple[T, Path]:
        if name not in entries:
            raise SettingsError(f"the kubeconfig {self._name} has no {kind} {name!r}{_of(entries)}")
        return entries[name]

    def _login(self, name: str, user: _User, folder: Path, cluster: _Cluster, trust: Trust) -> Login:
        whose = f"user {name!r} in {self._name}"
        certificate = self._content(user.client_certificate_data, user.client_certificate, folder, name)
        key = self._content(user.client_key_data, user.client_key, folder, name)
        if bool(certificate) != bool(key):
            raise SettingsError(f"{whose} has a client-certificate without its client-key, or the other way round")
        if user.program is not None and not (user.token or user.token_file):
            told = _told(cluster, trust.authorities) if user.program.provide_cluster_info else None
            return _plugin(user.program, folder, whose, told)
        if user.auth_provider is not None and not (user.token or user.token_file or certificate):
            raise SettingsError(
                f"{whose} logs in by the auth-provider {user.auth_provider.get('name', '')!r}, which kubectl has given "
                "up as well: use its login program (exec), such as gke-gcloud-auth-plugin or kubelogin"
            )
        token: bytes | Path = folder / user.token_file if user.token_file else user.token.encode()
        return StoredLogin(
            f"the login of {whose}",
            authorization=basic(user.username, user.password) if user.username else "",
            token=token,
            certificate=certificate,
            key=key,
        )

    def _content(self, data: str, path: str, folder: Path, whose: str) -> bytes | Path:
        """What is in the kubeconfig itself, or else the file that it names."""
        if not data:
            return folder / path if path else b""
        try:
            return base64.b64decode("".join(data.split()), validate=True)
        except binascii.Error as error:
            raise SettingsError(f"a certificate or key of {whose!r} in {self._name} is no base64: {error}") from None


def _read(path: Path) -> _File:
    try:
        # By way of JSON: the decoder is made already, and times are texts.
        return _FILE.decode(msgspec.json.encode(yaml.safe_load(path.read_bytes()) or {}))
    except yaml.YAMLError as error:
        # Its own text shows the line, where a token may be.
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise SettingsError(f"the kubeconfig {path} is no YAML{where}: {getattr(error, 'problem', '')}") from None
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(f"the kubeconfig {path} cannot be read: {error}") from None


def _plugin(program: _Program, folder: Path, whose: str, cluster: dict[str, Any] | None) -> PluginLogin:
    if program.api_version not in _VERSIONS:
        raise SettingsError(
            f"the login program of {whose} is asked for {program.api_version or 'no apiVersion'}; Airloom speaks "
            f"{' and '.join(_VERSIONS)}, as newer releases of it do"
        )
    if not program.command:
        raise SettingsError(f"the login program (exec) of {whose} has no command")
    if program.interactive_mode == "Always":
        raise SettingsError(f"the login program of {whose} wants to ask somebody (interactiveMode: Always)")
    command = program.command
    if os.sep in command:
        command = str(folder / command)
    return PluginLogin(
        [command, *(program.args or ())],
        version=program.api_version,
        environment={variable.name: variable.value for variable in program.env or ()},
        cluster=cluster,
        hint=program.install_hint,
    )


def _told(cluster: _Cluster, authorities: bytes | Path) -> dict[str, Any]:
    """What a login program is told of the cluster."""
    if isinstance(authorities, Path):
        authorities = authorities.read_bytes() if authorities.exists() else b""
    told = {
        "server": cluster.server,
        "tls-server-name": cluster.tls_server_name,
        "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify,
        "proxy-url": cluster.proxy_url,
        "certificate-authority-data": base64.b64encode(authorities).decode(),
        "config": next((one.extension for one in cluster.extensions or () if one.name == f"{_PLUGINS}/exec"), None),
    }
    return {name: value for name, value in told.items() if value}


def _impersonation(user: _User, whose: str) -> tuple[tuple[str, str], ...]:
    """The headers that ask to be taken for somebody else."""
    headers = [("Impersonate-User", user.as_user)] if user.as_user else []
    headers += [("Impersonate-Uid", user.as_uid)] if user.as_uid else []
    headers += [("Impersonate-Group", group) for group in user.as_groups or ()]
    for key, values in (user.as_user_extra or {}).items():
        headers += [(f"Impersonate-Extra-{key}", value) for value in values]
    for name, value in headers:
        if not (value.isascii() and value.isprintable() and _HEADER.fullmatch(name)):
            raise SettingsError(f"{whose} acts as somebody whose name no HTTP header can have: {name} {value!r}")
    return tuple(headers)


def _of(names: dict[str, Any]) -> str:
    return f" (it has {', '.join(sorted(names))})" if names else ""
