"""Small pods for tests, and waiting for what becomes of them."""

from collections.abc import Callable, Sequence
from typing import Any

from tests.kubernetes.api import Api, Object, Refused, pods
from tests.waiting import DEADLINE, wait_for


def make_pod(name: str, command: Sequence[str] = (), image: str = "airloom:test", **spec: Any) -> Object:
    """A pod of one container, main, that is not started again. spec: more of the pod's spec."""
    main = {"name": "main", "image": image} | ({"command": list(command)} if command else {})
    return {"metadata": {"name": name}, "spec": {"restartPolicy": "Never", "containers": [main], **spec}}


def phase(*names: str) -> Callable[[Object], bool]:
    """Whether a pod is in one of these phases."""
    return lambda pod: pod["status"].get("phase") in names


def over(pod: Object) -> bool:
    """Whether a pod has ended."""
    return phase("Succeeded", "Failed")(pod)


def waiting(reason: str) -> Callable[[Object], bool]:
    """Whether a container of a pod waits for this reason."""
    return lambda pod: reason in {state_of(pod, one).get("reason") for one in range(len(pod["spec"]["containers"]))}


def state_of(pod: Object, container: int = 0) -> Object:
    """What one container's state says, whichever it is; empty: nothing yet."""
    statuses = pod["status"].get("containerStatuses", [])
    found: Object = next(iter(statuses[container]["state"].values()), {}) if statuses else {}
    return found


def wait_for_pod(
    api: Api, namespace: str, name: str, until: Callable[[Object], Any], seconds: float = DEADLINE
) -> Object:
    """The pod, when `until` says yes to it."""

    def look() -> Object | None:
        pod = api.get(pods(namespace, name))
        return pod if until(pod) else None

    return wait_for(look, f"the pod {name}", seconds)


def wait_until_gone(api: Api, namespace: str, name: str) -> None:
    """Wait until there is no such pod."""
    wait_for(lambda: api.find(pods(namespace, name)) is None, f"the end of the pod {name}")


def wait_for_text(api: Api, namespace: str, name: str, text: str) -> None:
    """Wait until a pod's log has this in it."""

    def there() -> bool:
        try:
            return text in api.text(f"{pods(namespace, name)}/log")
        except Refused:
            return False

    wait_for(there, f"{text!r} in the log of {name}")
