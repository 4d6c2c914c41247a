"""The private PostgreSQL of the tests ends with its process, however that ends."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.servers import PostgresServer
from tests.waiting import alive, wait_for_end

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
    wait_for_end(int(pid))
    shutil.rmtree(folder)
    assert alive(postgres_server.process.pid)
