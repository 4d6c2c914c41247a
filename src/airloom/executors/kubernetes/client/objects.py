"""What the executor reads of Kubernetes' objects, as typed data; the rest is not even decoded.

The decoders are made as this module loads: msgspec is not safe while two threads make first use of a struct.
"""

import datetime
from typing import Any

import msgspec

#: an object that is sent, or that is read whole: as JSON has it
Object = dict[str, Any]


class _Part(msgspec.Struct, frozen=True, kw_only=True, gc=False, rename="camel"):
    """A part of an object. Fields that are absent have their defaults; nothing in these can refer to itself."""


class Metadata(_Part, frozen=True):
    """What all objects have. Times are as Kubernetes writes them: `moment` reads them."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None


class Waiting(_Part, frozen=True):
    """Why a container does not run yet."""

    reason: str = ""
    message: str = ""


class Running(_Part, frozen=True):
    """A container runs."""

    started_at: str | None = None


class Terminated(_Part, frozen=True):
    """How a container ended. message: what it left as its last words, or what the node says."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None


class ContainerState(_Part, frozen=True):
    """One of the three, or none yet."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(_Part, frozen=True):
    """What a node says of a container."""

    name: str = ""
    image: str = ""
    state: ContainerState = ContainerState()


class Condition(_Part, frozen=True):
    """One of a pod's conditions. status: "True", "False" or "Unknown"."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class PodStatus(_Part, frozen=True):
    """What became of a pod so far."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    nominated_node_name: str = ""
    conditions: tuple[Condition, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Container(_Part, frozen=True):
    """A container as it was asked for. restart_policy: "Always" makes an init container a sidecar."""

    name: str = ""
    image: str = ""
    restart_policy: str = ""


class PodSpec(_Part, frozen=True):
    """What was asked for, and the node that it was given to."""

    node_name: str = ""
    active_deadline_seconds: int | None = None
    init_containers: tuple[Container, ...] = ()
    containers: tuple[Container, ...] = ()


class Pod(_Part, frozen=True):
    """A pod. What is no object has no metadata, and is not to be taken for one."""

    metadata: Metadata
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """All pods of a selection at one moment, and the version from which to watch what follows."""

    pods: list[Pod]
    version: str


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened to a pod. kind: ADDED, MODIFIED, DELETED (the pod as it last was), or BOOKMARK (no pod).

    version: from where to watch on after this.
    """

    kind: str
    pod: Pod | None
    version: str


class KubeEvent(_Part, frozen=True):
    """A note of Kubernetes' own about an object; kept for about an hour, and never promised. type: Normal, Warning."""

    type: str = ""
    reason: str = ""
    message: str = ""
    count: int | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None

    @property
    def at(self) -> float:
        """When it happened last, in seconds since the epoch; 0: not known."""
        return moment(self.last_timestamp or self.event_time or self.first_timestamp) or 0.0


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """What a namespace may have and has, as in {"pods": "8", "requests.cpu": "500m"}."""

    name: str
    hard: dict[str, str]
    used: dict[str, str]


class ServerVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The API server's release. text: as it says it, "v1.33.1+k3s1"."""

    major: int
    minor: int
    text: str


class StatusCause(_Part, frozen=True):
    """One of the reasons of a refusal. field: the place in the object, as in spec.containers[0].image."""

    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(_Part, frozen=True):
    """What a refusal is about. kind: a resource, as in "pods"."""

    name: str = ""
    kind: str = ""
    causes: tuple[StatusCause, ...] = ()
    retry_after_seconds: int = 0


class Status(_Part, frozen=True):
    """An answer of the API server's that is no object: usually a refusal."""

    kind: str = ""
    code: int = 0
    reason: str = ""
    message: str = ""
    details: StatusDetails | None = None


class ListMetadata(_Part, frozen=True):
    """What all lists have. next_page: the server's token for it; empty: this is the last."""

    resource_version: str = ""
    next_page: str = msgspec.field(default="", name="continue")


class PodList(_Part, frozen=True):
    """A page of pods. What lists have is not optional: what is no list is not to be taken for an empty one."""

    metadata: ListMetadata
    items: list[Pod] | None


class Bare(_Part, frozen=True):
    """An object of which the metadata are enough."""

    metadata: Metadata


class BareList(_Part, frozen=True):
    """A page of them."""

    metadata: ListMetadata
    items: list[Bare] | None


class EventList(_Part, frozen=True):
    """A page of events."""

    items: list[KubeEvent] | None


class _QuotaStatus(_Part, frozen=True):
    hard: dict[str, str] = {}
    used: dict[str, str] = {}


class QuotaObject(_Part, frozen=True):
    """A resource quota as the server has it."""

    metadata: Metadata
    status: _QuotaStatus = _QuotaStatus()


class QuotaList(_Part, frozen=True):
    """The quotas of a namespace."""

    items: list[QuotaObject] | None


class _ReviewStatus(_Part, frozen=True):
    allowed: bool = False


class Review(_Part, frozen=True):
    """The answer to what one may."""

    status: _ReviewStatus = _ReviewStatus()


class VersionInfo(_Part, frozen=True):
    """The answer to what release it is; a minor of managed clusters may end in "+"."""

    major: str = ""
    minor: str = ""
    git_version: str = ""


class Line(_Part, frozen=True):
    """A line of a watch. An error has a Status where others have an object, so that is decoded after."""

    type: str
    object: msgspec.Raw


POD = msgspec.json.Decoder(Pod)
POD_LIST = msgspec.json.Decoder(PodList)
BARE = msgspec.json.Decoder(Bare)
BARE_LIST = msgspec.json.Decoder(BareList)
EVENT_LIST = msgspec.json.Decoder(EventList)
QUOTA_LIST = msgspec.json.Decoder(QuotaList)
REVIEW = msgspec.json.Decoder(Review)
VERSION = msgspec.json.Decoder(VersionInfo)
STATUS = msgspec.json.Decoder(Status)
LINE = msgspec.json.Decoder(Line)
WHOLE = msgspec.json.Decoder(Object)


def moment(text: str | None) -> float | None:
    """A time of Kubernetes' in seconds since the epoch; None if there is none, or it cannot be read."""
    if not text:
        return None
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
