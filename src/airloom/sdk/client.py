"""How a task's process asks for what it may have: a protocol that the runtime implements."""

from typing import Any, Protocol

from airloom.model.errors import AirloomError
from airloom.model.report import XComValue
from airloom.model.wire import TaskRequest


class TaskClient(Protocol):
    """The task's line to the server."""

    def ask(self, request: TaskRequest) -> Any:
        """The answer to `request`; raises AirloomError when there is none."""

    def push_xcom(self, value: XComValue) -> None:
        """Keep an XCom that the task pushes while it runs; it is stored with the try's end, however that ends."""

    def mask(self, secret: str) -> None:
        """Hide `secret` in every log line from now on."""

    def show_rendered(self, fields: dict[str, str]) -> None:
        """Have people see these template fields as they were filled in."""


_client: TaskClient | None = None


def set_client(client: TaskClient | None) -> TaskClient | None:
    """Make `client` the one that this process uses; returns the one before it."""
    global _client
    before, _client = _client, client
    return before


def current_client() -> TaskClient:
    """The client of this process; raises AirloomError when there is none."""
    if _client is None:
        raise AirloomError(
            "there is no server to ask here: variables, connections and XComs can be read while a task runs. "
            "Move the call into a task, or into a template such as {{ var.value.name }}"
        )
    return _client
