"""Lays one pod over another, as Airflow's users know it from pod_override: a template, and what a task changes of it.

Labels, annotations and node selectors are merged by key; containers, volumes, variables and other lists of named things
by name; tolerations and the like come to those that are there. Everything else is replaced as a whole. None takes away.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Object = Mapping[str, Any]

#: lists of named things, and by what they are told apart; what stands in both is merged, or the upper one replaces
_NAMED_CONTAINERS = {"containers": "name", "initContainers": "name", "ephemeralContainers": "name"}
_NAMED = {
    "env": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "volumes": "name",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
}
#: lists whose elements have no name: those of both are there
_BOTH = ("envFrom", "ports", "readinessGates", "tolerations", "topologySpreadConstraints")
#: what no pod can be without, so that None says nothing
_ALWAYS = ("apiVersion", "kind", "metadata", "spec", "containers", "name")
_BY_KEY = ("labels", "annotations", "nodeSelector")


def laid_over(lower: Object, upper: Object) -> dict[str, Any]:
    """`upper` over `lower`; neither is changed. They are pods, or parts of pods that are alike."""
    merged = dict(lower)
    for key, value in upper.items():
        if value is None:
            if key not in _ALWAYS:
                merged.pop(key, None)
        else:
            merged[key] = _one_over(key, merged.get(key), value)
    return merged


def _one_over(key: str, below: Any, above: Any) -> Any:
    if key in _NAMED_CONTAINERS:
        return _by_name(below or (), above, _NAMED_CONTAINERS[key], deep=True)
    if key in _NAMED:
        return _by_name(below or (), above, _NAMED[key], deep=False)
    if key in _BOTH:
        return [*(below or ()), *(one for one in above if one not in (below or ()))]
    if key in _BY_KEY:
        return {name: text for name, text in {**(below or {}), **above}.items() if text is not None}
    if key in ("metadata", "spec"):
        return laid_over(below or {}, above)
    return above


def _by_name(below: Sequence[Object], above: Sequence[Object], name: str, *, deep: bool) -> list[Object]:
    found = {one.get(name): one for one in below}
    for one in above:
        there = found.get(one.get(name))
        found[one.get(name)] = laid_over(there or {}, one) if deep else one
    return list(found.values())
