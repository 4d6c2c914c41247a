"""A Kubernetes cluster as tests see it: namespaces of their own, identities, rights, quotas. It may be anybody's."""

import base64
import itertools
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tests.kubernetes.api import Access, Api, Object, Refused, pods
from tests.kubernetes.binaries import FOREIGN, FOREIGN_IMAGE, NoKubernetes
from tests.kubernetes.quota import count_used

#: who is there beside "admin", without any right until `grant` gives some
USERS = ("alice", "bob")
_QUOTA = "test"


class Cluster:
    """What tests ask of any cluster. Subclasses say how it is reached."""

    #: an image with a shell
    image = "airloom:test"
    #: whether controllers run in it, as the one that counts what a quota has used
    controllers = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count(1)
        self._apis: dict[str, Api] = {}

    def access(self, user: str = "admin") -> Access:
        """How the cluster is reached as a user: admin, or one of USERS."""
        raise NotImplementedError

    def subject(self, user: str) -> Object:
        """The user as a subject of a RoleBinding."""
        raise NotImplementedError

    @property
    def api(self) -> Api:
        """A client that may do everything."""
        return self.as_user("admin")

    def as_user(self, user: str) -> Api:
        """A client as a user."""
        if user not in self._apis:
            self._apis[user] = Api(self.access(user))
        return self._apis[user]

    def kubeconfig(self, user: str = "admin") -> Path:
        """A kubeconfig with the identity of a user."""
        return self.access(user).write(self.folder / f"{user}.kubeconfig")

    def namespace(self, prefix: str = "test") -> str:
        """A new, empty namespace."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def service_account(self, namespace: str, name: str) -> Path:
        """A kubeconfig with the identity of a service account, which is made if there is none; valid for an hour."""
        return self.as_service_account(namespace, name).write(self.folder / f"{namespace}-{name}.kubeconfig")

    def as_service_account(self, namespace: str, name: str) -> Access:
        """The same as an Access."""
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        if self.api.find(f"{accounts}/{name}") is None:
            self.api.create(accounts, {"metadata": {"name": name}})
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
        token = self.api.create(f"{accounts}/{name}/token", asked)["status"]["token"]
        admin = self.access()
        return Access(server=admin.server, ca=admin.ca, verify=admin.verify, token=token)

    def grant(self, namespace: str, subject: Object, rules: list[Object]) -> None:
        """Let a subject (see `subject`) do in a namespace what the rules of a Role say."""
        roles = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        name = f"granted-{next(self._numbers)}"
        self.api.create(f"{roles}/roles", {"metadata": {"name": name}, "rules": rules})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        self.api.create(f"{roles}/rolebindings", {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]})

    def set_quota(self, namespace: str, hard: dict[str, str]) -> None:
        """The namespace's pods may have no more than this, as {"pods": "2", "requests.cpu": "1"}.

        The server's cache has it some milliseconds later, as with `grant` and `recount_quota`.
        """
        quotas = f"/api/v1/namespaces/{namespace}/resourcequotas"
        if self.api.find(f"{quotas}/{_QUOTA}") is None:
            self.api.create(quotas, {"metadata": {"name": _QUOTA}, "spec": {"hard": hard}})
        else:
            # The keys of a merge patch that are left out would stay.
            self.api.patch(f"{quotas}/{_QUOTA}", [{"op": "replace", "path": "/spec/hard", "value": hard}], "json")
        if not self.controllers:
            self._count_used(namespace, hard)

    def recount_quota(self, namespace: str) -> None:
        """Let what ended pods had used be free again. Where controllers run they do it, within seconds."""
        if not self.controllers:
            quota = self.api.get(f"/api/v1/namespaces/{namespace}/resourcequotas/{_QUOTA}")
            self._count_used(namespace, quota["spec"]["hard"])

    def lift_quota(self, namespace: str) -> None:
        """No quota any more."""
        self.api.delete(f"/api/v1/namespaces/{namespace}/resourcequotas/{_QUOTA}")

    def claim(self, namespace: str, name: str, folder: Path) -> None:
        """A persistent volume claim whose volume is a folder of the nodes' machine."""
        spec = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
        size = {"storage": "1Gi"}
        volume = f"{namespace}-{name}"
        claim = {"kind": "PersistentVolumeClaim", "namespace": namespace, "name": name}
        whole = {**spec, "capacity": size, "hostPath": {"path": str(folder)}, "claimRef": claim}
        self.api.create("/api/v1/persistentvolumes", {"metadata": {"name": volume}, "spec": whole})
        wanted = {**spec, "resources": {"requests": size}, "volumeName": volume}
        path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
        self.api.create(path, {"metadata": {"name": name}, "spec": wanted})

    def _count_used(self, namespace: str, hard: dict[str, str]) -> None:
        used = count_used(self.api.get(pods(namespace))["items"], hard)
        status = {"hard": hard, "used": used}
        change = [{"op": "add", "path": "/status", "value": status}]
        self.api.patch(f"/api/v1/namespaces/{namespace}/resourcequotas/{_QUOTA}/status", change, "json")

    def close(self) -> None:
        """Give back what was taken."""
        raise NotImplementedError


class ForeignCluster(Cluster):
    """The cluster of somebody else, named by a kubeconfig. What was made in it is deleted at the end."""

    def __init__(self, kubeconfig: Path) -> None:
        super().__init__(Path(tempfile.mkdtemp(prefix="airloom-k8s-")))
        self.image = os.environ.get(FOREIGN_IMAGE, "busybox")
        self._admin = read_kubeconfig(kubeconfig, self.folder)
        self._namespaces: list[str] = []
        self._home = self.namespace("airloom-users")

    def access(self, user: str = "admin") -> Access:
        return self._admin if user == "admin" else self.as_service_account(self._home, user)

    def subject(self, user: str) -> Object:
        return {"kind": "ServiceAccount", "name": user, "namespace": self._home}

    def namespace(self, prefix: str = "test") -> str:
        name = super().namespace(prefix)
        self._namespaces.append(name)
        return name

    def close(self) -> None:
        for name in self._namespaces:
            try:
                self.api.delete(f"/api/v1/namespaces/{name}")
            except Refused as refused:
                print(f"the namespace {name} stays: {refused}")
        shutil.rmtree(self.folder, ignore_errors=True)


def read_kubeconfig(path: Path, folder: Path) -> Access:
    """What the current context of a kubeconfig says. folder: where certificates that lie inside it are written to.

    Raises NoKubernetes where it logs in by a program or a provider, which the tests' own client cannot.
    """
    whole = yaml.safe_load(path.read_text())
    context = _named(whole, "contexts", whole["current-context"])["context"]
    cluster = _named(whole, "clusters", context["cluster"])["cluster"]
    user = _named(whole, "users", context["user"])["user"]

    def file_of(part: dict[str, Any], key: str) -> str:
        if data := part.get(f"{key}-data"):
            target = folder / key
            target.write_bytes(base64.b64decode(data))
            target.chmod(0o600)
            return str(target)
        return str(path.parent / part[key]) if key in part else ""

    token = user.get("token") or (Path(user["tokenFile"]).read_text().strip() if "tokenFile" in user else "")
    certificate = file_of(user, "client-certificate")
    if not token and not certificate:
        raise NoKubernetes(f"{path} ({FOREIGN}) logs in with neither a token nor a certificate; the tests need one")
    return Access(
        server=cluster["server"],
        ca=file_of(cluster, "certificate-authority"),
        token=token,
        certificate=certificate,
        key=file_of(user, "client-key"),
        verify=not cluster.get("insecure-skip-tls-verify", False),
    )


def _named(whole: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in whole[kind] if entry["name"] == name)
    return found
