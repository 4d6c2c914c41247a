"""What the executor asks of Kubernetes, as functions: pods, their logs and events, secrets, quotas, rights."""

import http.client
from collections.abc import Iterator
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from airloom.executors.kubernetes.client.access import Access
from airloom.executors.kubernetes.client.connection import Call, Connections, Stream
from airloom.executors.kubernetes.client.errors import ApiError, Gone, Unreachable, refusal
from airloom.executors.kubernetes.client.objects import (
    BARE,
    BARE_LIST,
    EVENT_LIST,
    LINE,
    POD,
    POD_LIST,
    QUOTA_LIST,
    REVIEW,
    STATUS,
    VERSION,
    WHOLE,
    KubeEvent,
    Listed,
    Metadata,
    Object,
    Pod,
    Quota,
    ServerVersion,
    Status,
    Watched,
)

#: objects on a page of a list, and how often a list is begun again whose next page came too late
_PAGE, _BEGINNINGS = 500, 3
#: seconds of silence after which a watch is taken for dead: bookmarks come each minute
_SILENCE = 150.0
#: events are only read to explain
_EVENTS = 100
#: secrets without what they hide
_BARE = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io, application/json"
_BARE_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io, application/json"
_ENCODE = msgspec.json.Encoder().encode
T = TypeVar("T")


class Api:
    """One cluster's API, as one identity. Threads share it.

    Everything raises ApiError when the server refuses, Unreachable when there is no answer of its own, and Uncertain
    when something was to be changed, and nobody knows whether it was. Nothing is tried again here, but what the server
    never read because it had closed a kept connection, and what it did not accept with a login that is renewed.
    """

    def __init__(self, access: Access) -> None:
        self._connections = Connections(access)
        self.access = access

    def close(self) -> None:
        """Free the connections; watches and logs are closed by those who read them."""
        self._connections.close()

    # --- pods ---------------------------------------------------------------------------------------------------------
    def create_pod(self, namespace: str, manifest: Object) -> Pod:
        """A new pod. A field that the server does not know is an error, with servers from 1.25 on.

        409 AlreadyExists may mean that an earlier attempt has arrived: `get_pod` tells whose it is.
        """
        return self._object(POD, "POST", _path(namespace, "pods", fieldValidation="Strict"), manifest)

    def check_pod(self, namespace: str, manifest: Object) -> Object:
        """The pod as `create_pod` would make it, after admission, with all defaults; nothing is made."""
        path = _path(namespace, "pods", fieldValidation="Strict", dryRun="All")
        return self._object(WHOLE, "POST", path, manifest)

    def get_pod(self, namespace: str, name: str) -> Pod | None:
        """A pod, or None if there is none of that name."""
        try:
            return self._object(POD, "GET", _path(namespace, "pods", name))
        except ApiError as error:
            if _is_missing(error, "pods", name):
                return None
            raise

    def delete_pod(self, namespace: str, name: str, uid: str = "", grace: int | None = None) -> None:
        """Delete a pod, if it is there. uid: only if it is still that one; grace: seconds for it to end in, instead of
        its own; 0 removes it at once, though its containers may live on where its node is lost."""
        self._delete(_path(namespace, "pods", name), "pods", name, uid, grace)

    def list_pods(self, namespace: str, selector: str) -> Listed:
        """All pods with certain labels, at one moment. Raises Gone if pages come too slowly for the server."""
        for beginning in range(_BEGINNINGS):
            try:
                return self._list_pods(namespace, selector)
            except Gone:
                if beginning == _BEGINNINGS - 1:
                    raise
        raise AssertionError

    def _list_pods(self, namespace: str, selector: str) -> Listed:
        pods: list[Pod] = []
        query = {"labelSelector": selector, "limit": str(_PAGE)}
        while True:
            page = self._object(POD_LIST, "GET", _path(namespace, "pods", **query))
            pods += page.items or ()
            if not page.metadata.next_page:
                return Listed(pods=pods, version=page.metadata.resource_version)
            query["continue"] = page.metadata.next_page

    def watch_pods(self, namespace: str, selector: str, version: str, seconds: int) -> "Watch":
        """What happens to pods with certain labels after a version, for so many seconds.

        A pod that loses the labels is told of as DELETED. Raises Gone if the server does not know the version any more,
        or not yet; so does the watch itself.
        """
        self._refuse_future(namespace, version)
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "labelSelector": selector,
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        return Watch(self._connections.stream(_path(namespace, "pods", **query), _SILENCE))

    def _refuse_future(self, namespace: str, version: str) -> None:
        """Raises Gone for a version that is still to come, as it is when etcd was restored from a copy: a watch from
        there would tell nothing until it is reached, and never what happened before."""
        page = self._object(BARE_LIST, "GET", _path(namespace, "pods", limit="1"), accept=_BARE_LIST)
        newest = page.metadata.resource_version
        if version.isdecimal() and newest.isdecimal() and int(version) > int(newest):
            text = f"the pods of {namespace} are at version {newest}, which is before {version}"
            raise Gone(Status(code=http.client.GONE, reason="Expired", message=text))

    def pod_log(
        self,
        namespace: str,
        name: str,
        container: str = "",
        follow: bool = False,
        since: str = "",
        tail: int | None = None,
        timestamps: bool = False,
    ) -> Stream:
        """What a container wrote, in pieces; the stream may be closed by another thread.

        follow: until the container has ended; since: a time as Kubernetes writes it; tail: only so many last lines;
        timestamps: each line begins with its own. 400 BadRequest: it has not started yet.
        """
        query = {"container": container, "sinceTime": since}
        query |= {"follow": "true"} if follow else {}
        query |= {"timestamps": "true"} if timestamps else {}
        query |= {} if tail is None else {"tailLines": str(tail)}
        path = _path(namespace, "pods", name, "log", **{key: value for key, value in query.items() if value})
        return self._connections.stream(path, None)

    def events_of(self, namespace: str, uid: str) -> tuple[KubeEvent, ...]:
        """What Kubernetes' parts noted of an object, the latest last. They are kept for an hour, and not promised."""
        path = _path(namespace, "events", fieldSelector=f"involvedObject.uid={uid}", limit=str(_EVENTS))
        return tuple(sorted(self._object(EVENT_LIST, "GET", path).items or (), key=lambda event: event.at))

    # --- secrets ------------------------------------------------------------------------------------------------------
    def create_secret(self, namespace: str, manifest: Object) -> Metadata:
        """A new secret. 409 AlreadyExists may mean that an earlier attempt has arrived."""
        return self._object(BARE, "POST", _path(namespace, "secrets"), manifest, _BARE).metadata

    def delete_secret(self, namespace: str, name: str, uid: str = "") -> None:
        """Delete a secret, if it is there. uid: only if it is still that one."""
        self._delete(_path(namespace, "secrets", name), "secrets", name, uid)

    def list_secrets(self, namespace: str, selector: str) -> tuple[Metadata, ...]:
        """The secrets with certain labels, without what they hide."""
        found: list[Metadata] = []
        query = {"labelSelector": selector, "limit": str(_PAGE)}
        while True:
            page = self._object(BARE_LIST, "GET", _path(namespace, "secrets", **query), accept=_BARE_LIST)
            found += [item.metadata for item in page.items or ()]
            if not page.metadata.next_page:
                return tuple(found)
            query["continue"] = page.metadata.next_page

    # --- what there is, and what one may ------------------------------------------------------------------------------
    def quotas(self, namespace: str) -> tuple[Quota, ...]:
        """The namespace's quotas."""
        items = self._object(QUOTA_LIST, "GET", _path(namespace, "resourcequotas")).items or ()
        return tuple(Quota(name=one.metadata.name, hard=one.status.hard, used=one.status.used) for one in items)

    def may(self, verb: str, resource: str, namespace: str) -> bool:
        """Whether we may do this in a namespace, as in ("create", "pods") or ("get", "pods/log")."""
        plural, _, part = resource.partition("/")
        asked = {"namespace": namespace, "verb": verb, "resource": plural, "subresource": part}
        body: Object = {"spec": {"resourceAttributes": asked}}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        return self._object(REVIEW, "POST", path, body).status.allowed

    def server_version(self) -> ServerVersion:
        """The server's release."""
        found = self._object(VERSION, "GET", "/version")
        major, minor = ("".join(filter(str.isdigit, part)) or "0" for part in (found.major, found.minor))
        return ServerVersion(major=int(major), minor=int(minor), text=found.git_version)

    # --- how ----------------------------------------------------------------------------------------------------------
    def _object(
        self,
        decoder: msgspec.json.Decoder[T],
        method: str,
        path: str,
        body: Object | None = None,
        accept: str = "application/json",
    ) -> T:
        sent = b"" if body is None else _ENCODE(body)
        answer = self._connections.request(Call(method=method, path=path, body=sent, accept=accept))
        try:
            return decoder.decode(answer)
        except msgspec.MsgspecError as error:
            raise Unreachable(f"{self.access.server} does not answer as an API server does: {error}") from None

    def _delete(self, path: str, kind: str, name: str, uid: str, grace: int | None = None) -> None:
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            self._connections.request(Call(method="DELETE", path=path, body=_ENCODE(options)))
        except ApiError as error:
            # Another one of that name: the one that was meant is gone.
            other = uid and error.code == http.client.CONFLICT and "UID" in error.message
            if not other and not _is_missing(error, kind, name):
                raise


class Watch:
    """What happens to pods, as an iterator, until the server ends it, `close` does, or it was silent for too long.

    Then a new one goes on from the last version. Raises Gone; ApiError for other troubles of the server's; Unreachable
    when it is cut.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[Watched]:
        rest = b""
        for piece in self._stream:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield _read(line)

    def close(self) -> None:
        """End it, also from another thread."""
        self._stream.close()


def _read(line: bytes) -> Watched:
    try:
        event = LINE.decode(line)
        if event.type == "ERROR":
            raise refusal(STATUS.decode(event.object))
        if event.type == "BOOKMARK":
            # A pod by name, that has only this.
            return Watched(kind=event.type, pod=None, version=BARE.decode(event.object).metadata.resource_version)
        pod = POD.decode(event.object)
    except msgspec.MsgspecError as error:
        raise Unreachable(f"the watch says what is no event: {error}") from None
    return Watched(kind=event.type, pod=pod, version=pod.metadata.resource_version)


def _path(namespace: str, *parts: str, **query: str) -> str:
    path = "/".join(["/api/v1/namespaces", *(quote(part, safe="") for part in (namespace, *parts))])
    return f"{path}?{urlencode(query)}" if query else path


def _is_missing(error: ApiError, kind: str, name: str) -> bool:
    """Whether this object is not there: a 404 for anything else, as of a wrong address, tells nothing of it."""
    return error.code == http.client.NOT_FOUND and (error.kind, error.name) == (kind, name)
