"""The private brokers of the tests: they serve, lose what they should lose, and end with their process."""

import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from kombu import Connection
from kombu.exceptions import OperationalError

from tests.brokers import RabbitServer, RedisServer
from tests.waiting import wait_for_end

_OWNER = """
import signal
from tests.brokers import {kind}
server = {kind}()
print(server.process.pid, getattr(server, "_mapper", server.process).pid, server.folder, flush=True)
signal.pause()
"""


def send(url: str, text: str) -> None:
    with Connection(url) as connection, connection.SimpleQueue("mine") as queue:
        queue.put(text)


def waiting(url: str) -> list[str]:
    """The messages that are there; they are taken."""
    found = []
    with Connection(url) as connection, connection.SimpleQueue("mine") as queue, suppress(queue.Empty):
        while True:
            message = queue.get_nowait()
            found.append(message.payload)
            message.ack()
    return found


def test_messages_stay_apart_by_address(redis_server: RedisServer, rabbitmq_server: RabbitServer):
    for server in (redis_server, rabbitmq_server):
        mine, other = server.fresh(), server.fresh()
        send(mine, "hello")
        assert waiting(other) == []
        assert waiting(mine) == ["hello"]


def test_a_restart_of_redis_loses_its_messages_and_one_of_rabbitmq_does_not():
    for kind, left in ((RedisServer, []), (RabbitServer, ["hello"])):
        server = kind()
        try:
            url = server.fresh()
            send(url, "hello")
            server.stop()
            with pytest.raises(OperationalError):
                send(url, "nobody hears")
            server.start()
            assert waiting(url) == left
        finally:
            server.close()


@pytest.mark.parametrize("kind", ["RedisServer", "RabbitServer"])
def test_a_broker_ends_when_its_process_is_killed(kind: str):
    root = Path(__file__).parents[2]
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER.format(kind=kind)], stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert owner.stdout is not None
    pid, mapper, folder = owner.stdout.readline().split()
    owner.send_signal(signal.SIGKILL)
    owner.wait(30)
    owner.stdout.close()
    wait_for_end(int(pid), int(mapper))
    shutil.rmtree(folder)
