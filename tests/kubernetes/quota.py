"""Quantities of Kubernetes, and what pods use of a quota: as its controller counts where none runs."""

from collections.abc import Iterable
from decimal import Decimal

from tests.kubernetes.api import Object

_SUFFIXES = {"n": "1e-9", "u": "1e-6", "m": "1e-3", "": "1", "k": "1e3", "M": "1e6", "G": "1e9", "T": "1e12"}
_POWERS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}


def amount(quantity: str) -> Decimal:
    """The number that a quantity like 100m, 2 or 64Mi stands for."""
    if quantity[-2:] in _POWERS:
        return Decimal(quantity[:-2]) * _POWERS[quantity[-2:]]
    suffix = quantity[-1:] if quantity[-1:].isalpha() else ""
    return Decimal(quantity.removesuffix(suffix)) * Decimal(_SUFFIXES[suffix])


def asked_for(pod: Object, kind: str, resource: str) -> Decimal:
    """What a pod's containers ask for together, at the same time. kind: requests or limits."""

    def of(containers: Iterable[Object]) -> list[Decimal]:
        found = (container.get("resources", {}).get(kind, {}).get(resource, "0") for container in containers)
        return [amount(str(quantity)) for quantity in found]

    together = sum(of(pod["spec"]["containers"]), Decimal(0))
    return max([together, *of(pod["spec"].get("initContainers", []))])


def count_used(pods: Iterable[Object], hard: Iterable[str]) -> dict[str, str]:
    """For each resource of a quota, what the pods that have not ended use of it."""
    live = [pod for pod in pods if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")]
    used = {}
    for name in hard:
        if name in ("pods", "count/pods"):
            used[name] = str(len(live))
        else:
            kind, _, resource = name.rpartition(".")
            total = sum((asked_for(pod, kind or "requests", resource) for pod in live), Decimal(0))
            used[name] = f"{int(total * 1000)}m"
    return used
