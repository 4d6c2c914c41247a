"""What API servers' refusals mean: one row for each way in which a pod is not taken."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from airloom.executors.kubernetes.client.errors import ApiError, Uncertain, Unreachable
from airloom.executors.kubernetes.client.objects import Status
from airloom.executors.kubernetes.refusals import Again, Fail, Refusal, Scope, There, Wait, amount, refusal_of
from airloom.model.report import Cause


def refused(code: int, message: str, reason: str = "", retry_after: float | None = None, **details: Any) -> Refusal:
    status = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    return refusal_of(ApiError(msgspec.convert(status, Status), retry_after), "flows")


@pytest.mark.parametrize(
    ("code", "reason", "message", "text"),
    [
        (
            400,
            "BadRequest",
            'Pod in version "v1" cannot be handled as a Pod: quantities must match the regular expression',
            "quantities must match",
        ),
        (400, "BadRequest", "json: cannot unmarshal string into Go struct field", "cannot unmarshal string"),
        (
            403,
            "Forbidden",
            'admission webhook "pods.example.com" denied the request: no image but ours',
            "the cluster's policy pods.example.com refuses the pod: no image but ours",
        ),
        (400, "", 'admission webhook "x.y" denied the request without explanation', "policy x.y refuses the pod"),
        (
            403,
            "Forbidden",
            'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
            'does not allow the pod: pods "x" is forbidden: violates PodSecurity "restricted:latest"',
        ),
        (
            403,
            "Forbidden",
            'pods "c" is forbidden: failed quota: team: must specify limits.cpu,requests.cpu',
            "quota team wants every container to say limits.cpu,requests.cpu: give resources in pod_override",
        ),
        (
            403,
            "Forbidden",
            'pods "c" is forbidden: failed quota: team: must specify limits.cpu for: base; requests.cpu for: base',
            "to say limits.cpu for: base; requests.cpu for: base",
        ),
        (
            403,
            "Forbidden",
            'pods "d" is forbidden: maximum memory usage per Container is 64Mi, but limit is 512Mi',
            "maximum memory usage per Container is 64Mi, but limit is 512Mi",
        ),
        (
            403,
            "Forbidden",
            'pods "d" is forbidden: no PriorityClass with name nope was found',
            "PriorityClass with name",
        ),
        (413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728", "the pod is too large"),
        (500, "", 'admission webhook "x.y" denied the request: never', "policy x.y refuses the pod: never"),
        (413, "", "Request Entity Too Large", "the pod is too large: Request Entity Too Large"),
        (500, "", "etcdserver: request is too large", "larger than the cluster's database takes"),
    ],
)
def test_what_no_waiting_helps_fails_at_once_and_says_why(code: int, reason: str, message: str, text: str) -> None:
    said = refused(code, message, reason)
    assert isinstance(said, Fail)
    assert text in said.detail
    assert said.cause is Cause.INVALID


def test_a_namespace_that_is_not_there_is_named() -> None:
    said = refused(404, 'namespaces "nope" not found', "NotFound", kind="namespaces", name="nope")
    assert said == Fail(detail="there is no namespace nope in the cluster", cause=Cause.LAUNCH)


@pytest.mark.parametrize(
    ("code", "reason", "message", "details"),
    [
        (403, "", "<html>Forbidden by the gateway</html>", {}),
        (400, "", "plain HTTP request was sent to HTTPS port", {}),
        (404, "", "404 page not found", {}),
        (404, "NotFound", "the server could not find the requested resource", {}),
    ],
)
def test_what_a_proxy_says_is_no_end_of_a_task(code: int, reason: str, message: str, details: dict[str, Any]) -> None:
    said = refused(code, message, reason, **details)
    assert isinstance(said, Wait) and said.scope is Scope.CLUSTER
    assert message in said.reason


def test_each_wrong_place_of_an_invalid_pod_is_shown() -> None:
    causes = [
        {"field": "metadata.labels", "message": 'Invalid value: "-"'},
        {"field": "spec.containers[0].image", "message": "Required value"},
    ]
    said = refused(422, 'Pod "x" is invalid: [...]', "Invalid", causes=causes)
    assert said == Fail(
        detail='the cluster says that the pod is wrong: metadata.labels: Invalid value: "-"; '
        "spec.containers[0].image: Required value"
    )


def test_a_missing_service_account_may_be_about_to_come() -> None:
    text = 'pods "x" is forbidden: error looking up service account flows/loader: serviceaccount "loader" not found'
    said = refused(403, text, "Forbidden")
    assert said == Fail(detail="there is no service account loader in the namespace flows", cause=Cause.LAUNCH)


QUOTA = 'pods "e" is forbidden: exceeded quota: team, requested: {}, used: {}, limited: {}'


@pytest.mark.parametrize(
    ("asked", "used", "limited", "text"),
    [
        (
            "pods=1,requests.cpu=100m",
            "pods=1,requests.cpu=100m",
            "pods=1,requests.cpu=100m",
            "pods 1/1, requests.cpu 100m/100m",
        ),
        ("cpu=500m", "cpu=8", "cpu=8", "cpu 8/8"),
        ("pods=1,memory=1Gi", "pods=3,memory=512Mi", "pods=10,memory=1Gi", "memory 512Mi/1Gi"),
        ("requests.nvidia.com/gpu=1", "requests.nvidia.com/gpu=4", "requests.nvidia.com/gpu=4", "nvidia.com/gpu 4/4"),
        ("pods=1", "pods=0", "pods=0", "pods 0/0"),
        ("odd=x", "odd=y", "odd=z", "odd y/z"),
    ],
)
def test_a_full_quota_is_a_reason_to_wait(asked: str, used: str, limited: str, text: str) -> None:
    said = refused(403, QUOTA.format(asked, used, limited), "Forbidden")
    assert isinstance(said, Wait)
    assert said.scope is Scope.NAMESPACE
    assert said.reason.startswith("namespace quota team: ") and said.reason.endswith(text)


def test_what_no_free_quota_could_take_fails() -> None:
    said = refused(403, QUOTA.format("pods=1,cpu=9", "pods=0,cpu=0", "pods=5,cpu=8"), "Forbidden")
    assert said == Fail(
        detail="the pod asks for more than the namespace's quota team will ever allow: cpu 9, of 8 in all"
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1", "1"), ("100m", "0.1"), ("1k", "1000"), ("2Gi", str(2 * 1024**3)), ("1.5Mi", str(3 * 512 * 1024))),
        *(("1e3", "1000"), ("500u", "0.0005"), ("3E", str(3 * 10**18)), ("2Ei", str(2 * 1024**6)), ("x", "0")),
        *(("1X", "0"), ("", "0"), ("..", "0")),
    ],
)
def test_amounts_are_read_as_kubernetes_writes_them(text: str, value: str) -> None:
    assert amount(text) == Decimal(value)


@pytest.mark.parametrize(
    ("code", "reason", "message", "scope", "text"),
    [
        (401, "Unauthorized", "the API server does not accept x", Scope.CLUSTER, "the API server does not accept x"),
        (
            403,
            "Forbidden",
            'pods is forbidden: User "system:serviceaccount:air:loom" cannot create resource "pods" in API group "" in '
            'the namespace "flows"',
            Scope.NAMESPACE,
            "system:serviceaccount:air:loom may not create pods in the namespace flows: no Role allows it",
        ),
        (429, "TooManyRequests", "the server has received too many requests", Scope.CLUSTER, "too much to do"),
        (
            500,
            "InternalError",
            'Internal error occurred: failed calling webhook "p.e.com": Post "https://x": dial tcp: connection refused',
            Scope.NAMESPACE,
            'webhook does not answer: Internal error occurred: failed calling webhook "p.e.com"',
        ),
        (
            500,
            "InternalError",
            'Internal error occurred: failed to call webhook "p.e.com": context deadline exceeded',
            Scope.NAMESPACE,
            "context deadline exceeded",
        ),
        (500, "", "etcdserver: request timed out", Scope.CLUSTER, "not well: etcdserver: request timed out (500)"),
        (500, "", "etcdserver: leader changed", Scope.CLUSTER, "leader changed"),
        (503, "ServiceUnavailable", "no endpoints", Scope.CLUSTER, "no endpoints (503)"),
        (504, "Timeout", "Timeout: request did not complete within requested timeout", Scope.CLUSTER, "(504)"),
        (502, "", "<html>Bad Gateway</html>", Scope.CLUSTER, "Bad Gateway"),
    ],
)
def test_what_others_can_mend_is_waited_for(code: int, reason: str, message: str, scope: Scope, text: str) -> None:
    said = refused(code, message, reason)
    assert isinstance(said, Wait)
    assert said.scope is scope
    assert text in said.reason
    assert said.seconds > 0


def test_a_namespace_that_is_being_deleted_is_waited_for() -> None:
    message = 'pods "g" is forbidden: unable to create new content in namespace flows because it is being terminated'
    said = refused(403, message, "Forbidden", causes=[{"reason": "NamespaceTerminating", "message": "x"}])
    assert isinstance(said, Wait)
    assert said.reason == "the namespace flows is being deleted"


def test_a_server_that_says_how_long_to_wait_is_believed() -> None:
    for code in (429, 503):
        said = refused(code, "busy", retry_after=17.0)
        assert isinstance(said, Wait) and said.seconds == 17.0


def test_a_name_that_is_taken_is_looked_at() -> None:
    assert refused(409, 'pods "a" already exists', "AlreadyExists") == There()


def test_two_writers_of_a_quota_try_again_at_once() -> None:
    text = 'Operation cannot be fulfilled on resourcequotas "team": the object has been modified'
    assert refused(409, text, "Conflict") == Again()


def test_what_may_have_arrived_is_sent_again() -> None:
    assert refusal_of(Uncertain("the connection was lost"), "flows") == Again()


def test_a_server_that_is_not_reached_is_waited_for() -> None:
    said = refusal_of(Unreachable("the API server https://k:6443 is not reached"), "flows")
    assert said == Wait(reason="the API server https://k:6443 is not reached", scope=Scope.CLUSTER, seconds=1.0)
