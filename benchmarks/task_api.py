"""Reports a second that one API process takes from 16 runners: each is acknowledged when it is in the database."""

import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from airloom.model.report import Started, TryKey
from airloom.model.states import TIState
from airloom.model.wire import Ack, FromRunner, Hello, Reports, Unframer, Welcome, frame
from airloom.operations import remote_runners
from airloom.operations.try_tokens import try_tokens
from benchmarks import fill, floors
from benchmarks.bed import Bed, instant, make_bed, on_both, wait_for
from benchmarks.figures import Figure
from benchmarks.standalone import COMMAND

_RUNNERS = 16
_SECONDS = 5.0
_TRIES = 64
_TOGETHER = 20
_BUDGET = 1000.0


def measure(folder: Path) -> list[Figure]:
    """On SQLite and on PostgreSQL, each beside its floor: a commit of one row for each report, one after the other."""
    return on_both(folder, partial(_measure, folder))


def _measure(folder: Path, name: str, url: str | None, floor: floors.Floor) -> list[Figure]:
    figures = []
    with make_bed(folder, {"AIRLOOM__API__PORT": "0"}, instant(None), url, thread=False) as bed:
        keys = fill.live_tries(bed.db, bed.epoch, [TIState.QUEUED] * _TRIES)
        bare = _bare_commits(floor)
        with _api(bed) as address:
            for together, budget in ((1, _BUDGET), (_TOGETHER, None)):
                what = "one report" if together == 1 else f"{together} reports"
                figures.append(
                    Figure(
                        what=f"{name}: {what} a request, {_RUNNERS} runners",
                        ours=_rate(bed, address, keys, together),
                        unit="/s",
                        floor=bare,
                        floor_is="bare commits of one row, one after the other",
                        budget=budget,
                        more=True,
                    )
                )
    return figures


def _bare_commits(floor: floors.Floor) -> float:
    count = 0
    began = time.perf_counter()
    while time.perf_counter() - began < 1.0:
        count += 1
        floor.insert([(1_000_000 + count, 1, "x" * 200, "none", 0.0)])
    return count / (time.perf_counter() - began)


@contextmanager
def _api(bed: Bed) -> Iterator[str]:
    """`airloom api` on the bed's database; its address."""
    out = bed.home / "api.out"
    variables = {
        "AIRLOOM_HOME": str(bed.home),
        "AIRLOOM__DATABASE__URL": bed.settings.database.url,
        "PATH": "/usr/bin:/bin",
        "COLUMNS": "200",
    }
    with out.open("w") as file:
        process = subprocess.Popen([COMMAND, "api", "--port", "0"], env=variables, stdout=file, stderr=file)
    said = re.compile(r"http://[0-9.]+:\d+")
    try:
        wait_for(lambda: said.search(out.read_text()), lambda: process.poll() is None)
        found = said.search(out.read_text())
        assert found is not None
        yield found.group()
    finally:
        process.terminate()
        process.wait(10)


def _rate(bed: Bed, address: str, keys: list[TryKey], together: int) -> float:
    token = remote_runners.make_runner_token(bed.ops, "bench").text
    tokens = try_tokens(bed.ops)
    reports = [Started(key=key, at=time.time(), runner="r", host="h", pid=1, token=tokens.make(key)) for key in keys]
    counts: list[int] = []
    start = threading.Barrier(_RUNNERS + 1)

    def run(number: int) -> None:
        runner = _Runner(address, token, f"runner-{number}-of-{together}")
        body = tuple(reports[(number * together + place) % len(reports)] for place in range(together))
        start.wait()
        until = time.perf_counter() + _SECONDS
        count = 0
        while time.perf_counter() < until:
            count += runner.report(body)
        counts.append(count)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(_RUNNERS)]
    for thread in threads:
        thread.start()
    start.wait()
    for thread in threads:
        thread.join()
    assert len(counts) == _RUNNERS, "a runner failed"
    return sum(counts) / _SECONDS


class _Runner:
    """A connection that costs its own process as little as can be."""

    def __init__(self, address: str, token: str, name: str) -> None:
        parts = urlsplit(address)
        self._sock = socket.create_connection((parts.hostname or "", parts.port or 80))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._seq = 0
        self._head = f"Host: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/msgpack\r\n"
        self._path = "/task-api/v1/sessions"
        hello = Hello(protocol=1, runner=name, host="h", pid=1, version="bench")
        welcome = msgspec.msgpack.decode(self._post(frame(hello)), type=Welcome)
        self._path += f"/{welcome.session}/messages"

    def report(self, reports: tuple[Started, ...]) -> int:
        """Send these and wait until they are acknowledged; how many they are."""
        self._seq += 1
        message: FromRunner = Reports(seq=self._seq, reports=reports)
        unframer: Unframer[Ack] = Unframer(Ack)
        (ack,) = unframer.feed(self._post(frame(message)))
        assert ack.seq == self._seq
        return len(reports)

    def _post(self, body: bytes) -> bytes:
        head = f"POST {self._path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n"
        self._sock.sendall(head.encode() + body)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        answer, _, rest = data.partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), data
        found = re.search(rb"content-length: (\d+)", answer)
        assert found is not None
        while len(rest) < int(found.group(1)):
            rest += self._more()
        return rest

    def _more(self) -> bytes:
        data = self._sock.recv(65536)
        assert data, "the server has closed the connection"
        return data
