"""The private PostgreSQL of the tests ends with its process, however that ends."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.servers import PostgresServer

_OWNER = """
import signal
from tests.servers import PostgresServer
server = PostgresServer()
print(server.process.pid, server.folder, flush=True)
signal.pause()
"""


def test_a_server_ends_when_its_process_is_killed(postgres_server: PostgresServer) -> None:
    root = Path(__file__).parents[2]
    owner = subprocess.Popen([sys.executable, "-c", _OWNER], stdout=subprocess.PIPE, text=True, cwd=root)
    assert owner.stdout is not None
    pid, folder = owner.stdout.readline().split()
    owner.send_signal(signal.SIGKILL)
    owner.wait(30)
    owner.stdout.close()
    deadline = time.monotonic() + 30
    while _alive(int(pid)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    shutil.rmtree(folder)
    assert _alive(postgres_server.process.pid)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that its new parent has not waited for is dead.
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
