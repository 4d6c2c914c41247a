"""`airloom health`: all parts by the database, and the part of this machine that a health check asks for."""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from airloom.executors.unix_socket import Listener
from airloom.model.processes import ProcessKind, ProcessRow
from airloom.model.wire import Standing, frame
from airloom.operations.ops import open_ops
from airloom.sections import Settings
from airloom.store.processes import renew
from tests.cli.conftest import Airloom


def tell(settings: Settings, kind: ProcessKind, host: str, ago: float) -> None:
    """A process has told the database of itself so many seconds ago."""
    at = time.time() - ago
    row = ProcessRow(id=f"{kind}-{host}", kind=kind, host=host, pid=os.getpid(), version="1", started_at=at, seen_at=at)
    with open_ops(settings) as ops, ops.db.transaction() as conn:
        renew(conn, [row])


@pytest.mark.parametrize("role", ["scheduler", "loader"])
def test_a_part_is_well_while_it_tells_the_database_of_itself(airloom: Airloom, settings: Settings, role: str) -> None:
    kind = ProcessKind(role)
    tell(settings, kind, "elsewhere", 1.0)
    missed = airloom("health", role)
    assert missed.status == 1
    assert f"no {role} of this machine, {socket.gethostname()}" in missed.stderr
    tell(settings, kind, socket.gethostname(), 60.0)
    assert airloom("health", role).status == 1
    tell(settings, kind, socket.gethostname(), 1.0)
    assert airloom("health", role).status == 0
    assert json.loads(airloom("health", role, "-o", "json").stdout)["status"] == "ok"


def test_without_a_part_all_are_shown_and_no_leader_is_a_failure(airloom: Airloom, settings: Settings) -> None:
    shown = airloom("health", "-o", "json")
    assert shown.status == 1
    parts = {part["kind"]: part for part in json.loads(shown.stdout)}
    assert parts["database"]["status"] == "ok"
    assert parts["scheduler"]["status"] == "down"
    assert "no scheduler leads" in airloom("health").stdout


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path in ("/api/v1/login", "/flower/healthcheck") else 404)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def api_port() -> Iterator[int]:
    """Something that answers as the API does, and as Flower."""
    server = HTTPServer(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_the_api_is_well_while_it_answers_by_whatever_address_it_listens_at(
    airloom: Airloom, settings: Settings, api_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRLOOM__API__PORT", str(api_port))
    monkeypatch.setenv("AIRLOOM__API__HOST", "0.0.0.0")
    assert airloom("health", "api").stdout == f"the API answers at 127.0.0.1:{api_port}\n"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        unused = silent.getsockname()[1]
    monkeypatch.setenv("AIRLOOM__API__PORT", str(unused))
    refused = airloom("health", "api")
    assert refused.status == 1
    assert f"the API does not answer at 127.0.0.1:{unused}: " in refused.stderr
    monkeypatch.setenv("AIRLOOM__API__PORT", "0")
    assert airloom("health", "api").status == 2


def test_flower_is_well_while_it_answers_where_its_variables_say(
    airloom: Airloom, settings: Settings, api_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWER_PORT", str(api_port))
    monkeypatch.setenv("FLOWER_ADDRESS", "0.0.0.0")
    refused = airloom("health", "flower")
    assert (refused.status, "with status 404" in refused.stderr) == (1, True)
    monkeypatch.setenv("FLOWER_URL_PREFIX", "flower/")
    assert airloom("health", "flower").stdout == f"Flower answers at 127.0.0.1:{api_port}\n"


def test_a_worker_is_well_while_it_takes_work(airloom: Airloom, settings: Settings) -> None:
    path = settings.core.home / "celery.work.sock"
    assert airloom("health", "worker").status == 1
    listener = Listener(str(path))
    listener.sock.setblocking(True)
    said = [
        Standing(taking=True),
        Standing(taking=False, why="the server is out of reach"),
        Standing(taking=False, why="it is drained"),
        Standing(taking=True, trouble="cannot reach its broker: redis://host is unreachable"),
        None,
    ]

    def answer() -> None:
        for standing in said:
            sock, _ = listener.sock.accept()
            if standing is not None:
                sock.sendall(frame(standing))
            sock.close()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        assert airloom("health", "worker").stdout == "the worker takes work\n"
        away = airloom("health", "worker")
        assert (away.status, away.stderr) == (1, "airloom: the worker takes no work: the server is out of reach\n")
        assert airloom("health", "worker").status == 1
        cut_off = airloom("health", "worker")
        trouble = "it cannot reach its broker: redis://host is unreachable"
        assert (cut_off.status, cut_off.stderr) == (1, f"airloom: the worker takes no work: {trouble}\n")
        assert "it went away" in airloom("health", "worker").stderr
    finally:
        thread.join(20)
        listener.close()
