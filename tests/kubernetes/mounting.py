"""What the test kubelet gives a container: its volumes as folders of this machine, and its environment."""

import base64
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.kubernetes.api import Access, Api, Object
from tests.kubernetes.containers import Bind


class NotReady(Exception):
    """Something that a pod names is not there (yet). reason: the kubelet's word for it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Mounting:
    """The volumes and variables of one pod. folder: where its volumes are kept."""

    def __init__(self, api: Api, pod: Object, folder: Path) -> None:
        self._api = api
        self._pod = pod
        self._folder = folder
        self._namespace: str = pod["metadata"]["namespace"]
        self._sources: dict[str, Path] = {}

    def make_volumes(self) -> None:
        """Fill the volumes. Raises NotReady (FailedMount) while a secret, config map or claim is missing."""
        for volume in self._pod["spec"].get("volumes", []):
            name = volume["name"]
            if name not in self._sources:
                try:
                    self._sources[name] = self._make_volume(volume)
                except NotReady as error:
                    text = f'MountVolume.SetUp failed for volume "{name}" : {error.message}'
                    raise NotReady("FailedMount", text) from error

    def binds(self, container: Object) -> list[Bind]:
        """Where a container sees the volumes."""
        found = []
        for mount in container.get("volumeMounts", []):
            source = self._sources[mount["name"]]
            if inner := mount.get("subPath"):
                source = source / inner
                if not source.exists():
                    source.mkdir(parents=True)
            found.append(Bind(str(source), mount["mountPath"].rstrip("/") or "/", bool(mount.get("readOnly"))))
        return found

    def environment(self, container: Object) -> dict[str, str]:
        """A container's variables. Raises NotReady (CreateContainerConfigError)."""
        values: dict[str, str] = {}
        for source in container.get("envFrom", []):
            for kind in ("secret", "configMap"):
                if reference := source.get(f"{kind}Ref"):
                    for key, content in (self._content(kind, reference) or {}).items():
                        values[source.get("prefix", "") + key] = content.decode()
        for variable in container.get("env", []):
            if "valueFrom" not in variable:
                values[variable["name"]] = expand(variable.get("value", ""), values)
            elif (value := self._referred(variable["valueFrom"], container)) is not None:
                values[variable["name"]] = value
        return values

    def _make_volume(self, volume: Object) -> Path:
        if path := volume.get("hostPath"):
            return _host_path(path)
        if claim := volume.get("persistentVolumeClaim"):
            return self._claimed(claim["claimName"])
        folder: Path = self._folder / volume["name"]
        folder.mkdir(parents=True, exist_ok=True)
        # Whatever user a container runs as, an empty volume is its own.
        folder.chmod(0o777)
        for kind in ("secret", "configMap", "downwardAPI"):
            if source := volume.get(kind):
                self._fill(folder, kind, source)
        if projected := volume.get("projected"):
            for part in projected["sources"]:
                for kind, source in part.items():
                    self._fill(folder, kind, source)
        return folder

    def _fill(self, folder: Path, kind: str, source: Object) -> None:
        if kind == "downwardAPI":
            contents = {item["path"]: self._referred(item, {}) or "" for item in source.get("items", [])}
            files = {path: text.encode() for path, text in contents.items()}
        elif kind == "serviceAccountToken":
            files = {source["path"]: self._token(source).encode()}
        else:
            found = self._content(kind, {**source, "name": source.get("secretName") or source.get("name")})
            items = source.get("items")
            files = {item["path"]: (found or {})[item["key"]] for item in items} if items else (found or {})
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod(source.get("defaultMode", 0o644))

    def _token(self, source: Object) -> str:
        account = self._pod["spec"].get("serviceAccountName", "default")
        spec = {"expirationSeconds": source.get("expirationSeconds", 3600)}
        if audience := source.get("audience"):
            spec["audiences"] = [audience]
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = f"/api/v1/namespaces/{self._namespace}/serviceaccounts/{account}"
        if self._api.find(path) is None:
            raise NotReady("FailedMount", f'failed to fetch token: serviceaccounts "{account}" not found')
        token: str = self._api.create(f"{path}/token", asked)["status"]["token"]
        return token

    def _content(self, kind: str, reference: Object) -> dict[str, bytes] | None:
        plural = f"{kind.lower()}s"
        found = self._api.find(f"/api/v1/namespaces/{self._namespace}/{plural}/{reference['name']}")
        if found is None:
            if reference.get("optional"):
                return None
            raise NotReady("CreateContainerConfigError", f'{kind.lower()} "{reference["name"]}" not found')
        plain = {} if kind == "secret" else {key: text.encode() for key, text in found.get("data", {}).items()}
        coded = found.get("data" if kind == "secret" else "binaryData") or {}
        return plain | {key: base64.b64decode(text) for key, text in coded.items()}

    def _referred(self, source: Object, container: Object) -> str | None:
        for kind in ("secret", "configMap"):
            if reference := source.get(f"{kind}KeyRef"):
                found = self._content(kind, reference)
                if found is not None and reference["key"] in found:
                    return found[reference["key"]].decode()
                if reference.get("optional"):
                    return None
                name = f"{kind.capitalize()} {self._namespace}/{reference['name']}"
                raise NotReady("CreateContainerConfigError", f"couldn't find key {reference['key']} in {name}")
        if field := source.get("fieldRef"):
            return field_of(self._pod, field["fieldPath"])
        asked = source["resourceFieldRef"]
        kind, _, resource = asked["resource"].partition(".")
        return str(container.get("resources", {}).get(kind, {}).get(resource, "0"))

    def _claimed(self, name: str) -> Path:
        claim = self._api.find(f"/api/v1/namespaces/{self._namespace}/persistentvolumeclaims/{name}")
        if claim is None:
            raise NotReady("FailedMount", f'persistentvolumeclaim "{name}" not found')
        if not (volume := claim["spec"].get("volumeName")):
            raise NotReady("FailedMount", f'persistentvolumeclaim "{name}" is not bound')
        found = self._api.find(f"/api/v1/persistentvolumes/{volume}")
        if found is None:
            raise NotReady("FailedMount", f'persistentvolume "{volume}" not found')
        return _host_path(found["spec"].get("hostPath") or found["spec"]["local"])


def expand(text: str, values: dict[str, str]) -> str:
    """$(NAME) stands for a variable that was defined before, in a variable's value, a command and its arguments."""
    for name, value in values.items():
        text = text.replace(f"$({name})", value)
    return text


def field_of(pod: Object, path: str) -> str:
    """What the downward API says of a pod at a path like metadata.labels['x'] or status.podIP."""
    if path.endswith("]"):
        path, _, key = path.removesuffix("]").partition("[")
        return str(field_value(pod, path).get(key.strip("'\""), ""))
    value = field_value(pod, path)
    if isinstance(value, dict):
        return "\n".join(f"{key}={json.dumps(text)}" for key, text in value.items())
    return str(value)


def field_value(pod: Object, path: str) -> Any:
    """The value at a dotted path; an empty one where there is nothing."""
    value: Any = pod
    for part in path.split("."):
        value = value.get(part, {})
    return "" if value == {} and not path.endswith(("labels", "annotations")) else value


def in_cluster(access: Access) -> dict[str, str]:
    """The variables by which programs in pods find the API server. There are no services here: it is the server."""
    host, _, port = access.server.rpartition("//")[2].rpartition(":")
    return {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port, "KUBERNETES_SERVICE_PORT_HTTPS": port}


def forget(folders: Iterable[Path]) -> None:
    """Delete what pods had."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _host_path(source: Object) -> Path:
    path, kind = Path(source["path"]), source.get("type", "")
    if kind == "FileOrCreate":
        path.touch()
    elif kind in ("", "DirectoryOrCreate") and not path.exists():
        path.mkdir(parents=True)
    if not path.exists():
        raise NotReady("FailedMount", f"hostPath type check failed: {path} is not a {kind.lower()}")
    return path
