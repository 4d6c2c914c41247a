"""What no route should see is refused: other hosts, strange paths, large, slow, compressed and malformed requests."""

import asyncio
import dataclasses
import gzip
import threading

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from airloom.api.app import make_app
from airloom.api.problems import MEDIA_TYPE
from airloom.api.security import gate as gate_module
from airloom.api.security import protocol
from airloom.api.security.gate import Gate
from airloom.api.state import Api
from airloom.model.access import Role
from airloom.store.database import connect
from tests.api.asgi import begin, json_body
from tests.api.logins import PASSWORD, add, browser, log_in, with_settings
from tests.api.served import DEADLINE, Raw, served

LOGIN = "/api/v1/login"
SESSION = "/api/v1/session"


@pytest.fixture
def app(api: Api) -> FastAPI:
    return make_app(with_settings(api, "api", max_body=1000, host="box.example"))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8080",
        "localhost",
        "LOCALHOST:1",
        "[::1]:8080",
        "192.168.1.5:8080",
        "box.example:8080",
        "box.example.",
    ],
)
def test_the_server_answers_to_its_own_names_and_to_addresses(app: FastAPI, host: str) -> None:
    assert begin(app, "GET", LOGIN, headers={"host": host}).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:8080", "127.0.0.1.evil.example", "a b", "x@y", ""]
)
def test_a_name_that_was_made_to_lead_here_is_refused(app: FastAPI, host: str) -> None:
    for path in (LOGIN, "/", "/health"):
        answer = begin(app, "GET", path, headers={"host": host})
        assert answer.status == 400
        assert answer.headers["content-type"] == MEDIA_TYPE


def test_further_names_can_be_set(api: Api) -> None:
    named = make_app(with_settings(api, "api", hosts=("air.example",), base_url="https://proxy.example:444/"))
    answers = [
        begin(named, "GET", LOGIN, headers={"host": name}) for name in ("air.example", "proxy.example:444", "x.example")
    ]
    assert [answer.status for answer in answers] == [200, 200, 400]
    anything = make_app(with_settings(api, "api", hosts=("*",)))
    assert begin(anything, "GET", LOGIN, headers={"host": "x.example"}).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../etc/passwd",
        "/assets/../../settings.py",
        "/api/v1/dags/../users",
        "/api/v1/./login",
        "/a\x00b",
        "/a\r\nX-Y: z",
        "/..",
    ],
)
def test_paths_that_lead_elsewhere_or_break_lines_are_refused(app: FastAPI, path: str) -> None:
    assert begin(app, "GET", path).status == 400


def test_a_body_that_says_it_is_too_large_is_not_read(app: FastAPI) -> None:
    # Nothing is sent: to wait for it would be to wait for ever.
    headers = {"content-length": "1001", "content-type": "application/json"}
    answer = begin(app, "POST", SESSION, headers=headers)
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert b"max_body" in answer.body


@pytest.mark.parametrize(
    "headers", [{"transfer-encoding": "chunked"}, {"content-length": "10"}, {"content-length": "+5"}]
)
def test_a_body_that_becomes_too_large_is_cut_off(app: FastAPI, headers: dict[str, str]) -> None:
    answer = begin(app, "POST", SESSION, headers=headers, chunks=(b"x" * 600, b"x" * 600, b"x" * 600))
    assert answer.status == 413


def test_a_body_within_the_limit_comes_whole_in_whatever_parts(app: FastAPI) -> None:
    data = json_body({"code": "x" * 150})
    (text,) = data["chunks"]
    answer = begin(app, "POST", SESSION, headers=data["headers"], chunks=tuple(bytes([byte]) for byte in text))
    assert answer.status == 401
    assert b"link" in answer.body


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "zstd"])
def test_compressed_requests_are_refused_however_small_they_are(app: FastAPI, encoding: str) -> None:
    bomb = gzip.compress(b"0" * 10_000_000)[:900]
    headers = {"content-encoding": encoding, "content-length": str(len(bomb))}
    assert begin(app, "POST", SESSION, headers=headers, chunks=(bomb,)).status == 415


def test_too_many_or_too_long_headers_are_refused(app: FastAPI) -> None:
    assert begin(app, "GET", LOGIN, headers={f"x-{number}": "y" for number in range(101)}).status == 431
    assert begin(app, "GET", LOGIN, headers={"cookie": "x" * 33_000}).status == 431


def test_a_body_that_does_not_come_is_not_waited_for_for_ever(api: Api) -> None:
    async def never(*_: object) -> None:
        raise AssertionError("the application was called")

    async def silent() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    told: list[Message] = []

    async def send(message: Message) -> None:
        told.append(message)

    gate = Gate(never, api.settings, body_time=0.01)
    scope = {
        "type": "http",
        "method": "POST",
        "path": SESSION,
        "headers": [(b"host", b"localhost"), (b"content-length", b"5")],
    }
    asyncio.run(gate(scope, silent, send))
    assert told[0]["status"] == 408


def test_nothing_is_done_for_a_client_that_went_away_in_the_middle(api: Api) -> None:
    async def never(*_: object) -> None:
        raise AssertionError("the application was called")

    async def gone() -> Message:
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "method": "POST",
        "path": SESSION,
        "headers": [(b"host", b"localhost"), (b"content-length", b"5")],
    }
    asyncio.run(Gate(never, api.settings)(scope, gone, never))


def test_a_request_whose_head_does_not_come_is_closed(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIME", 0.2)
    with served(app) as address:
        assert Raw(address).rest() == b""
        assert Raw(address).send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").rest() == b""
        # One that is served keeps its connection, and has the same time for its next head.
        kept = Raw(address).send(b"GET /api/v1/login HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT")
        assert kept.rest().count(b"HTTP/1.1 200") == 1


def test_a_head_without_end_is_closed(app: FastAPI) -> None:
    with served(app) as address:
        endless = Raw(address).send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * (protocol.HEAD_BYTES + 1))
        assert endless.rest().startswith(b"HTTP/1.1 400 ")


def test_what_postgresql_cannot_store_is_refused_as_the_senders_fault(api: Api, postgres_url: str) -> None:
    db = connect(postgres_url)
    client = log_in_to(dataclasses.replace(api, ops=dataclasses.replace(api.ops, db=db)))
    try:
        assert client.get("/api/v1/audit?by=a%00b").status_code == 422
        assert client.post("/api/v1/tokens", json={"name": "a\x00b"}).status_code == 422
        assert client.post(SESSION, json={"username": "a\x00", "password": PASSWORD}).status_code in (401, 422)
        assert client.get("/api/v1/session").status_code == 200
    finally:
        db.close()


def log_in_to(api: Api) -> TestClient:
    add(api.ops, "ada", Role.ADMIN)
    return log_in(browser(make_app(api)), "ada")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /api/v1/login HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /api/v1/login HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /api/v1/login\x00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /api/v1/%2e%2e/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /a%0d%0aSet-Cookie:x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /api/v1/login HTTP/1.1\r\nHost: localhost\r\nX Y: z\r\nConnection: close\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"nonsense\r\n\r\n",
    ],
)
def test_malformed_requests_are_refused_by_the_server(app: FastAPI, request_: bytes) -> None:
    with served(app) as address:
        answer = Raw(address).send(request_).rest()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"set-cookie" not in answer.lower().partition(b"\r\n\r\n")[0]


def test_trailers_without_end_are_closed(app: FastAPI) -> None:
    head = b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with served(app) as address:
        for endless in (b"2\r\n{}\r\n0\r\nX-Long: ", b"2; x="):
            answer = Raw(address).send(head + endless).send(b"x" * (6 * protocol.HEAD_BYTES)).rest()
            # What was not read any more may have had the connection reset.
            assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


def test_a_large_body_may_come_in_small_chunks(app: FastAPI) -> None:
    head = (
        b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    with served(app) as address:
        # The text around the chunks is more than a head may be, but none of it is kept.
        chunk = b"1;" + b"x" * 200 + b"\r\n \r\n"
        answer = Raw(address).send(head + chunk * 900 + b"0\r\n\r\n").rest()
    assert answer.startswith(b"HTTP/1.1 422 ")


def test_connections_beyond_the_most_are_closed_at_once(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 2)
    ask = b"GET /api/v1/login HTTP/1.1\r\nHost: localhost\r\n"
    with served(app) as address:
        first, second = Raw(address).send(ask), Raw(address)
        assert Raw(address).rest() == b""
        assert first.send(b"Connection: close\r\n\r\n").rest().startswith(b"HTTP/1.1 200 ")
        assert second.send(ask + b"Connection: close\r\n\r\n").rest().startswith(b"HTTP/1.1 200 ")


def test_a_client_that_takes_nothing_of_its_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STUCK_TIME", 0.2)
    gone = threading.Event()

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 50_000_000, "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    with served(large) as address:
        client = Raw(address).send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert gone.wait(DEADLINE)
        assert len(client.rest()) < 50_000_000


def test_bodies_that_come_at_once_have_room_for_so_many_bytes(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "_HELD", 50_000)
    room = Gate(_gone_app, with_settings(api, "api", max_body=10_000).settings)

    async def statuses(sizes: list[int]) -> list[int]:
        """Of requests whose bodies all hang; those that wait are not answered."""
        told: list[Message] = []

        async def send(message: Message) -> None:
            told.append(message)

        requests = [asyncio.create_task(room(_POST, hanging(size), send)) for size in sizes]
        for _ in range(5):
            await asyncio.sleep(0)
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)
        return [message["status"] for message in told if "status" in message]

    def hanging(size: int) -> Receive:
        parts = [b"x" * size]

        async def receive() -> Message:
            if not parts:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": parts.pop(), "more_body": True}

        return receive

    monkeypatch.setattr(gate_module, "_FREE", 1_000)
    # Each of the large ones takes 9,000, and small ones nothing; what was taken is given back.
    for _ in range(2):
        assert asyncio.run(statuses([10_000] * 5 + [1_000] * 20)) == []
        assert asyncio.run(statuses([10_000] * 7 + [1_000] * 20)) == [503] * 2


async def _gone_app(*_: object) -> None:
    raise AssertionError("the application was called")


_POST = {
    "type": "http",
    "method": "POST",
    "path": SESSION,
    "headers": [(b"host", b"localhost"), (b"transfer-encoding", b"chunked")],
}
