"""What goes wrong between us and an API server: it refuses, it forgot, it is not reached, or nobody knows."""

import http.client

from airloom.executors.kubernetes.client.objects import Status, StatusCause
from airloom.model.errors import AirloomError

#: what a server says that cannot have such a version yet: it was restored, or is behind another one
_NOT_YET = "ResourceVersionTooLarge"
#: what old servers say, as an internal error, of a version that etcd has forgotten
_COMPACTED = "required revision has been compacted"


class ApiError(AirloomError):
    """The API server answers, and does not do what it was asked.

    code: HTTP's; reason: Kubernetes' word for it, as in AlreadyExists; message: its sentence; causes: the places in
    the object that are wrong; kind, name: of what it speaks, as in "pods"; retry_after: seconds that it asks to wait.
    """

    def __init__(self, status: Status, retry_after: float | None = None) -> None:
        word = status.reason or http.client.responses.get(status.code, "")
        super().__init__(f"{status.message or 'no more is said'} ({status.code} {word})")
        details = status.details
        self.code = status.code
        self.reason = status.reason
        self.message = status.message
        self.causes: tuple[StatusCause, ...] = details.causes if details else ()
        self.kind = details.kind if details else ""
        self.name = details.name if details else ""
        self.retry_after = retry_after


class Gone(ApiError):
    """The server does not know the version any more from which to go on, or not yet: only a new list helps."""


class Unreachable(AirloomError):
    """There was no answer of an API server's: network, TLS, proxy, or a login that fails. What was asked for is not
    done, unless this is an Uncertain."""


class Uncertain(Unreachable):
    """The connection was lost after something was sent that changes the cluster: it may have arrived, or not.

    To send it again does no harm where its name is fixed: the answer may then be 409 AlreadyExists.
    """


def refusal(status: Status, retry_after: float | None = None) -> ApiError:
    """The error for what a server says. retry_after: seconds, where the answer's headers have some."""
    details = status.details
    forgotten = status.code == http.client.GONE or status.reason == "Expired" or _COMPACTED in status.message
    not_yet = details is not None and any(cause.reason == _NOT_YET for cause in details.causes)
    if details is not None and details.retry_after_seconds:
        retry_after = float(details.retry_after_seconds)
    return (Gone if forgotten or not_yet else ApiError)(status, retry_after)
