"""What the tests ask Kubernetes' API server themselves, over plain HTTP: no client library stands between."""

import contextlib
import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

#: seconds that an answer may take
_PATIENCE = 60.0
_PATCHES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}

#: an object of Kubernetes, as JSON has it
Object = dict[str, Any]


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How an API server is reached, and as whom. The certificates and the key are files; empty: none."""

    server: str
    ca: str = ""
    token: str = ""
    certificate: str = ""
    key: str = ""
    verify: bool = True

    def write(self, path: Path) -> Path:
        """A kubeconfig of this, whose files are the same."""
        cluster: Object = {"server": self.server}
        if self.ca:
            cluster["certificate-authority"] = self.ca
        if not self.verify:
            cluster["insecure-skip-tls-verify"] = True
        user = {"token": self.token} if self.token else {}
        if self.certificate:
            user |= {"client-certificate": self.certificate, "client-key": self.key}
        whole = {
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "default"}}],
        }  # fmt: skip
        # JSON is YAML.
        path.write_text(json.dumps(whole, indent=1))
        path.chmod(0o600)
        return path


class Refused(Exception):
    """The API server did not do what it was asked. code: HTTP's; reason: Kubernetes' own word for it, if any."""

    def __init__(self, code: int, reason: str, message: str, asked: str) -> None:
        super().__init__(f"{asked}: {code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message


class Api:
    """A client as one identity. Threads may share it: each has a connection of its own.

    Paths are the server's, as in "/api/v1/namespaces/x/pods"; `pods(namespace, name)` makes the commonest ones.
    """

    def __init__(self, access: Access) -> None:
        self.access = access
        self._address = urlsplit(access.server)
        self._tls: ssl.SSLContext | None = None
        if self._address.scheme == "https":
            self._tls = ssl.create_default_context(cafile=access.ca or None)
            if not access.verify:
                self._tls.check_hostname = False
                self._tls.verify_mode = ssl.CERT_NONE
            if access.certificate:
                self._tls.load_cert_chain(access.certificate, access.key)
        self._of_thread = threading.local()

    def get(self, path: str, **query: object) -> Object:
        """An object or a list. Raises Refused, and OSError when nobody answers; so do all that follow."""
        return self._object("GET", path, query=query)

    def create(self, path: str, body: Object) -> Object:
        """A new object at the path of its collection."""
        return self._object("POST", path, body)

    def replace(self, path: str, body: Object) -> Object:
        """The whole object, if its resourceVersion is still the one in the body."""
        return self._object("PUT", path, body)

    def patch(self, path: str, body: Object | list[Object], kind: str = "merge") -> Object:
        """A change of an object. kind: merge, strategic or json."""
        return self._object("PATCH", path, body, _PATCHES[kind])

    def delete(self, path: str, grace: float | None = None, uid: str = "") -> Object:
        """Delete an object. grace: seconds for a pod to end in; uid: only if it is still that object."""
        body: Object = {} if grace is None else {"gracePeriodSeconds": int(grace)}
        if uid:
            body["preconditions"] = {"uid": uid}
        return self._object("DELETE", path, body)

    def find(self, path: str) -> Object | None:
        """An object, or None if there is none of that name."""
        try:
            return self.get(path)
        except Refused as refused:
            if refused.code != http.client.NOT_FOUND:
                raise
            return None

    def text(self, path: str, **query: object) -> str:
        """What the server sends as text, as it does with a container's log."""
        return self._send("GET", path, query=query)[1].decode(errors="replace")

    def watch(self, path: str, version: str = "", **query: object) -> "Watch":
        """What happens to the objects of a collection after `version`, until the server or `Watch.close` ends it."""
        return Watch(self, path, {"resourceVersion": version, **query})

    def open(self, path: str, query: dict[str, object], patience: float | None) -> tuple[Any, http.client.HTTPResponse]:
        """A connection of its own and the answer that begins there. Raises Refused."""
        connection = self._connection(patience)
        try:
            target = f"{path}?{urlencode(query)}"
            connection.request("GET", target, headers=self._headers())
            answer = connection.getresponse()
            if answer.status >= http.client.BAD_REQUEST:
                raise _refusal(answer.status, answer.read(), f"GET {target}")
        except BaseException:
            connection.close()
            raise
        return connection, answer

    def _connection(self, patience: float | None) -> http.client.HTTPConnection:
        host, port = str(self._address.hostname), self._address.port
        if self._tls is not None:
            return http.client.HTTPSConnection(host, port, timeout=patience, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=patience)

    def _headers(self, kind: str = "") -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if self.access.token:
            headers["Authorization"] = f"Bearer {self.access.token}"
        if kind:
            headers["Content-Type"] = kind
        return headers

    def _object(
        self,
        method: str,
        path: str,
        body: Any = None,
        kind: str = "application/json",
        query: dict[str, object] | None = None,
    ) -> Object:
        found: Object = msgspec.json.decode(self._send(method, path, body, kind, query)[1])
        return found

    def _send(
        self,
        method: str,
        path: str,
        body: Any = None,
        kind: str = "application/json",
        query: dict[str, object] | None = None,
    ) -> tuple[int, bytes]:
        target = f"{path}?{urlencode(query)}" if query else path
        content = None if body is None else msgspec.json.encode(body)
        for kept in (True, False):
            connection = getattr(self._of_thread, "connection", None) if kept else None
            reused = connection is not None
            if connection is None:
                connection = self._of_thread.connection = self._connection(_PATIENCE)
            try:
                connection.request(method, target, content, self._headers(kind if content else ""))
                answer = connection.getresponse()
                said = answer.read()
                break
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._of_thread.connection = None
                # A connection that was kept may have been closed meanwhile; nothing else is worth a second attempt.
                if not reused or isinstance(error, TimeoutError):
                    raise ConnectionError(f"{method} {target}: {error!r}") from error
        if answer.status >= http.client.BAD_REQUEST:
            raise _refusal(answer.status, said, f"{method} {target}")
        return answer.status, said


class Watch:
    """The events of a collection, as an iterator of (type, object). It ends when the server ends it.

    An ERROR event, as at 410 Gone, raises Refused.
    """

    def __init__(self, api: Api, path: str, query: dict[str, object]) -> None:
        self._connection, self._answer = api.open(path, {"watch": "true", **query}, None)
        self._asked = path

    def __iter__(self) -> Iterator[tuple[str, Object]]:
        rest = b""
        while piece := self._piece():
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                event = msgspec.json.decode(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise Refused(status["code"], status.get("reason", ""), status["message"], self._asked)
                yield event["type"], event["object"]

    def _piece(self) -> bytes:
        # What a connection says when it breaks, or another thread closes it, is of many kinds.
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError, AttributeError):
            return self._answer.read1(1 << 20)
        return b""

    def close(self) -> None:
        """End it, also from another thread."""
        with contextlib.suppress(OSError, AttributeError):
            # A close alone does not wake the thread that reads.
            self._connection.sock.shutdown(2)
        self._connection.close()


def pods(namespace: str, name: str = "") -> str:
    """The path of a namespace's pods, or of one."""
    return f"/api/v1/namespaces/{namespace}/pods" + (f"/{name}" if name else "")


def _refusal(code: int, said: bytes, asked: str) -> Refused:
    try:
        status = msgspec.json.decode(said, type=dict)
    except (msgspec.DecodeError, msgspec.ValidationError):
        status = {"message": said.decode(errors="replace")}
    return Refused(code, str(status.get("reason", "")), str(status.get("message", "")), asked)
