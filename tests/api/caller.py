"""A runner as the task API sees it: what a test says over HTTP, without a runner."""

from typing import Any

import msgspec
from fastapi.testclient import TestClient
from httpx import Response

from airloom.api.remote.app import make_task_app
from airloom.api.state import Api
from airloom.model.processes import ProcessKind, ProcessRow
from airloom.model.report import TryKey
from airloom.model.wire import FromRunner, Hello, ToRunner, Unframer, Welcome, frame
from airloom.operations.ops import Ops
from airloom.store import processes

ROOT = "/task-api/v1"
HEADERS = {"Content-Type": "application/msgpack"}


class Caller:
    """A runner as HTTP shows it."""

    def __init__(self, api: Api, token: str, runner: str = "r", **fields: Any) -> None:
        self.client = TestClient(make_task_app(api), raise_server_exceptions=False)
        self.headers = {**HEADERS, "Authorization": f"Bearer {token}"}
        self.hello = Hello(protocol=1, runner=runner, host="far", pid=7, version="1", **fields)
        self.session = ""

    def post(self, path: str, body: bytes, **headers: str) -> Response:
        return self.client.post(ROOT + path, content=body, headers={**self.headers, **headers})

    def greet(self) -> Response:
        answer = self.post("/sessions", frame(self.hello))
        if answer.status_code == 200:
            self.session = msgspec.msgpack.decode(answer.content, type=Welcome).session
        return answer

    def say(self, *messages: FromRunner) -> list[ToRunner]:
        """What the server answers to these."""
        answer = self.post(f"/sessions/{self.session}/messages", b"".join(map(frame, messages)))
        assert answer.status_code == 200, answer.text
        unframer: Unframer[ToRunner] = Unframer(ToRunner)
        return unframer.feed(answer.content)


def in_hand(ops: Ops, key: TryKey) -> list[ProcessRow]:
    """The rows of the runners that tell that they have this try."""
    with ops.db.reading() as conn:
        rows = processes.list_processes(conn, ProcessKind.RUNNER)
    return [row for row in rows if list(key) in row.state["tries"]]
