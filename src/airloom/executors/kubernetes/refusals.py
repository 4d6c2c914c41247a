"""What an API server's refusal of a pod means: to wait and why, to try again, or that this pod will never be taken.

Data in, data out: one look-up for each way in which a server says no.
"""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum

import msgspec

from airloom.executors.kubernetes.client.errors import ApiError, Uncertain, Unreachable
from airloom.model.report import Cause


class Scope(StrEnum):
    """What else has to wait."""

    TRY = "try"
    NAMESPACE = "namespace"
    CLUSTER = "cluster"


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Not now. seconds: not before these; whoever waits makes it longer each time. reason: for people."""

    reason: str
    scope: Scope
    seconds: float


class Fail(msgspec.Struct, frozen=True, kw_only=True):
    """This pod is not taken as it is."""

    detail: str
    cause: Cause = Cause.INVALID


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """Send the same again soon: two writers met, or nobody knows whether it has arrived."""


class There(msgspec.Struct, frozen=True, kw_only=True):
    """There is a pod of that name: look whether it is the try's own, or one that is about to go."""


Refusal = Wait | Fail | Again | There

_SOON, _LATER, _PATIENT = 1.0, 5.0, 10.0
_QUOTA = re.compile(r"exceeded quota: (\S+), requested: (.+), used: (.+), limited: (.+)")
_UNSAID = re.compile(r"failed quota: (\S+): must specify (.+)")
_RIGHTS = re.compile(r'User "([^"]*)" cannot (\w+) resource "(\w+)"')
_ACCOUNT = re.compile(r'serviceaccount "([^"]*)" not found')
_DENIED = re.compile(r'admission webhook "([^"]*)" denied the request:? ?(.*)', re.DOTALL)
_AMOUNT = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?\d+)?)([A-Za-z]*)")
_UNITS = {unit: Decimal(1000) ** power for power, unit in enumerate(("n", "u", "m", "", *"kMGTPE"), -3)}
_UNITS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}


def refusal_of(error: ApiError | Unreachable, namespace: str) -> Refusal:
    """What it means that a server did not make an object in this namespace."""
    if isinstance(error, Uncertain):
        return Again()
    if isinstance(error, Unreachable):
        return Wait(reason=str(error), scope=Scope.CLUSTER, seconds=_SOON)
    if error.code == 429:
        text = f"the API server has too much to do: {error.message}"
        return Wait(reason=text, scope=Scope.CLUSTER, seconds=error.retry_after or _SOON)
    if error.code == 401:
        return Wait(reason=error.message, scope=Scope.CLUSTER, seconds=_LATER)
    if error.code == 409:
        return There() if error.reason == "AlreadyExists" else Again()
    if denied := _DENIED.search(error.message):
        return Fail(detail=f"the cluster's policy {denied[1]} refuses the pod: {_line(denied[2])}")
    if error.code >= 500:
        return _broken(error)
    if error.code == 413:
        return Fail(detail=f"the pod is too large: {_line(error.message)}")
    if not error.reason or (error.code == 404 and error.kind != "namespaces"):
        # What stands between us and the server may have answered: that says nothing about the pod.
        text = f"what answers for the API server does not know what was asked: {_line(error.message)} ({error.code})"
        return Wait(reason=text, scope=Scope.CLUSTER, seconds=_LATER)
    if error.code == 403:
        return _forbidden(error, namespace)
    return _wrong(error, namespace)


def _broken(error: ApiError) -> Refusal:
    """The server, or what it asks, is not well."""
    if "request is too large" in error.message:
        return Fail(detail="the pod is larger than the cluster's database takes")
    if "failed calling webhook" in error.message or "failed to call webhook" in error.message:
        text = f"the cluster's admission webhook does not answer: {_line(error.message)}"
        return Wait(reason=text, scope=Scope.NAMESPACE, seconds=_LATER)
    text = f"the API server is not well: {_line(error.message)} ({error.code})"
    return Wait(reason=text, scope=Scope.CLUSTER, seconds=error.retry_after or _SOON)


def _forbidden(error: ApiError, namespace: str) -> Refusal:
    message = error.message
    if rights := _RIGHTS.search(message):
        text = f"{rights[1]} may not {rights[2]} {rights[3]} in the namespace {namespace}: no Role allows it"
        return Wait(reason=text, scope=Scope.NAMESPACE, seconds=_LATER)
    if quota := _QUOTA.search(message):
        return _over_quota(quota)
    if unsaid := _UNSAID.search(message):
        what = f"the namespace's quota {unsaid[1]} wants every container to say {_line(unsaid[2])}"
        return Fail(detail=f"{what}: give resources in pod_override, or in the template")
    if any(cause.reason == "NamespaceTerminating" for cause in error.causes) or "is being terminated" in message:
        return Wait(reason=f"the namespace {namespace} is being deleted", scope=Scope.NAMESPACE, seconds=_PATIENT)
    if account := _ACCOUNT.search(message):
        # A new namespace gets its accounts a moment after it.
        text = f"there is no service account {account[1]} in the namespace {namespace}"
        return Fail(detail=text, cause=Cause.LAUNCH)
    return Fail(detail=f"the cluster does not allow the pod: {_line(message)}")


def _wrong(error: ApiError, namespace: str) -> Refusal:
    if error.code == 404:
        # It may be about to be made, as the account above.
        return Fail(detail=f"there is no namespace {error.name or namespace} in the cluster", cause=Cause.LAUNCH)
    if error.causes:
        places = (f"{one.field}: {_line(one.message)}" if one.field else _line(one.message) for one in error.causes)
        return Fail(detail=f"the cluster says that the pod is wrong: {'; '.join(places)}")
    return Fail(detail=f"the cluster does not take the pod: {_line(error.message)} ({error.code})")


def _over_quota(found: re.Match[str]) -> Refusal:
    name = found[1]
    asked, used, limits = (_amounts(found[group]) for group in (2, 3, 4))
    # A limit of 0 is how people close a namespace for a while.
    over = [one for one in limits if amount(asked.get(one, "0")) > amount(limits[one]) > 0]
    if over:
        says = ", ".join(f"{one} {asked[one]}, of {limits[one]} in all" for one in over)
        return Fail(detail=f"the pod asks for more than the namespace's quota {name} will ever allow: {says}")
    full = [one for one in limits if amount(used.get(one, "0")) + amount(asked.get(one, "0")) > amount(limits[one])]
    says = ", ".join(f"{one} {used.get(one, '0')}/{limits[one]}" for one in full or limits)
    return Wait(reason=f"namespace quota {name}: {says}", scope=Scope.NAMESPACE, seconds=_SOON)


def _amounts(text: str) -> Mapping[str, str]:
    return dict(part.strip().split("=", 1) for part in text.split(",") if "=" in part)


def amount(text: str) -> Decimal:
    """An amount as Kubernetes writes it, such as 500m or 2Gi, as a number; what cannot be read is 0."""
    match = _AMOUNT.fullmatch(text.strip())
    try:
        return Decimal(match[1]) * _UNITS[match[2]] if match else Decimal(0)
    except (InvalidOperation, KeyError):
        return Decimal(0)


def _line(text: str) -> str:
    return " ".join(text.split())[:1000]
