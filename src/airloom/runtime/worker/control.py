"""What `celery inspect`, `celery control` and Flower may ask of a worker: to tell what it does, and to end.

The rest goes by Airloom's own commands, which know more, or would show secrets.
"""

from collections.abc import Callable
from typing import Any

from celery.worker.control import Panel, nok, ok

_TELLING = (
    "ping", "clock", "hello", "heartbeat", "stats", "active", "reserved", "scheduled", "registered", "revoked",
    "query_task", "active_queues", "enable_events", "disable_events",
)  # fmt: skip
_INSTEAD = {
    "revoke": "airloom runs cancel",
    "terminate": "airloom runs cancel",
    "autoscale": "airloom worker --concurrency 4..32",
    "pool_grow": "airloom worker --concurrency",
    "pool_shrink": "airloom worker --concurrency",
    "add_consumer": "airloom worker --queues",
    "cancel_consumer": "airloom workers drain",
    "conf": "airloom config list",
}


def limit_control(stop: Callable[[], None]) -> None:
    """Leave what only tells; `shutdown` calls `stop`."""
    for name in Panel.data.keys() - set(_TELLING):
        Panel.data[name] = _refusal(_INSTEAD.get(name, "airloom"))

    def shutdown(_state: Any, **_options: Any) -> Any:
        stop()
        return ok("it stops when its tasks have ended")

    Panel.data["shutdown"] = shutdown


def _refusal(instead: str) -> Callable[..., Any]:
    def refuse(_state: Any, **_options: Any) -> Any:
        return nok(f"an Airloom worker does not do this: use `{instead}`")

    return refuse
