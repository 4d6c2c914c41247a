"""A real `airloom standalone` for a benchmark: started, logged in to, and ended."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.bed import wait_for

_ENVIRONMENT = {
    "AIRLOOM__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
    "AIRLOOM__RUNNER__ORPHAN_TIMEOUT": "1",
    "AIRLOOM__API__PORT": "0",
}
COMMAND = str(Path(sys.executable).with_name("airloom"))


class Standalone:
    """A server that has said that it is ready. ready: the seconds until then; answering: until the UI answered."""

    def __init__(self, home: Path, process: "subprocess.Popen[str]", out: Path, environment: dict[str, str]) -> None:
        began = time.perf_counter()
        self.home = home
        self.pid = process.pid
        self._environment = environment
        said = re.compile(r"(http://\S+?)/login#code=(\S+)")
        wait_for(lambda: said.search(out.read_text()), lambda: process.poll() is None)
        found = said.search(out.read_text())
        assert found is not None
        self.ready = time.perf_counter() - began
        self.address, self._code = found.groups()
        self.get("/")
        self.answering = time.perf_counter() - began
        self.cookie = ""

    def get(self, path: str) -> bytes:
        """What is there."""
        connection = self._connect()
        connection.request("GET", path, headers={"Cookie": self.cookie} if getattr(self, "cookie", "") else {})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"GET {path}: {answer.status} {body[:200]!r}")
        connection.close()
        return body

    def log_in(self) -> None:
        """Use the one-time link."""
        connection = self._connect()
        body = json.dumps({"code": self._code})
        connection.request("POST", "/api/v1/session", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        self.cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
        connection.close()

    def airloom(self, *args: str) -> str:
        """Run a command to its end; what it says."""
        done = subprocess.run([COMMAND, *args], env=self._environment, capture_output=True, text=True, check=True)
        return done.stdout

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.address)
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)


@contextmanager
def standalone(home: Path, files: dict[str, str], url: str | None = None) -> Iterator[Standalone]:
    """A running standalone on a new home with these DAG files, on SQLite or the database at `url`."""
    home.mkdir()
    (home / "dags").mkdir()
    for name, source in files.items():
        (home / "dags" / name).write_text(source)
    environment = {**os.environ, **_ENVIRONMENT, "AIRLOOM_HOME": str(home)}
    if url is not None:
        environment["AIRLOOM__DATABASE__URL"] = url
    out = home.with_suffix(".out")
    with out.open("w") as file:
        process = subprocess.Popen(
            [COMMAND, "standalone"], env=environment, stdout=file, stderr=file, text=True, cwd=home
        )
        try:
            yield Standalone(home, process, out, environment)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
