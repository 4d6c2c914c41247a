"""Private message brokers for the tests: Redis and RabbitMQ, in temporary folders, which are gone when pytest is.

Where their binaries are missing the tests fail and say what to install; AIRLOOM_TEST_NO_BROKERS=1 skips them.
"""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.servers import as_child, free_port

NO_BROKERS = "AIRLOOM_TEST_NO_BROKERS"
#: seconds that a broker may take to start; on a busy machine RabbitMQ takes ten
_STARTING = 90.0
_DATABASES = 10_000
#: One thread that does not spin while it waits: several of these run beside the tests.
_ERLANG = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"


class NoBroker(Exception):
    """A broker's binaries are not on this machine; the text says what to do."""


class Tls(NamedTuple):
    """Files of the certificate that a broker shows, of its key, and of the one that it wants of others, if any."""

    certificate: str
    key: str
    client_ca: str = ""


def _find(name: str, *places: str) -> str:
    for place in places:
        if Path(place).exists():
            return place
    if found := shutil.which(name):
        return found
    package = "rabbitmq-server" if name != "redis-server" else name
    raise NoBroker(
        f"the tests of the Celery executor need {name}: apt-get install {package} (or set {NO_BROKERS}=1 to skip them)"
    )


class Broker:
    """A server process that can be killed, frozen, stopped and started at the same port; `close` deletes its folder."""

    scheme = ""

    def __init__(self, host: str, network: str, password: str, tls: Tls | None) -> None:
        self.host = host
        self.port = free_port()
        self._network = network
        self._password = password
        self._tls = tls
        self.folder = Path(tempfile.mkdtemp(prefix="airloom-mq-"))
        self._numbers = itertools.count(1)
        self.process: subprocess.Popen[bytes]

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def start(self) -> None:
        """Serve; returns when clients are served."""
        command, environment = self._command()
        self.process = self._spawn(command, environment)
        deadline = time.monotonic() + _STARTING
        while not self._serves():
            if not self.running or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{command[0]} did not start:\n{self.said()}")
            time.sleep(0.02)

    def ensure(self) -> None:
        """Start it if a test has left it dead."""
        if not self.running:
            self.start()

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it in good order."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def freeze(self) -> None:
        """Let it answer nothing more, with all its connections open, until `thaw`."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it and delete what it kept."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def said(self) -> str:
        """What it wrote to its console."""
        return (self.folder / "out").read_text(errors="replace")

    def fresh(self) -> str:
        """The address of an empty part of it, with the password, that no other test uses."""
        raise NotImplementedError

    def _command(self) -> tuple[list[str], dict[str, str]]:
        raise NotImplementedError

    def _serves(self) -> bool:
        raise NotImplementedError

    def _spawn(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with (self.folder / "out").open("ab") as out:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.folder,
                env=os.environ | environment, preexec_fn=as_child(network=self._network), process_group=0,
            )  # fmt: skip


class RedisServer(Broker):
    """Redis, which keeps nothing on disk: a restart loses every message. max_memory: bytes; 0 is no limit."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        network: str = "",
        password: str = "",
        max_memory: int = 0,
        tls: Tls | None = None,
    ) -> None:
        super().__init__(host, network, password, tls)
        self._max_memory = max_memory
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def url(self, database: int = 0) -> str:
        """The address of one of its databases."""
        scheme = "rediss" if self._tls else "redis"
        user = f":{self._password}@" if self._password else ""
        return f"{scheme}://{user}{self.host}:{self.port}/{database}"

    def fresh(self) -> str:
        return self.url(next(self._numbers) % _DATABASES)

    def set_max_memory(self, size: int) -> None:
        """From now on it takes no more than so many bytes; 0: any number."""
        self._max_memory = size
        self.ask(f"CONFIG SET maxmemory {size}")

    def ask(self, command: str) -> str:
        """What it answers to one command without spaces in its words, up to a large part. Not over TLS."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(_STARTING)
            line.connect(str(self.folder / "s"))
            login = f"AUTH {self._password}\r\n" if self._password else ""
            line.sendall(f"{login}{command}\r\nQUIT\r\n".encode())
            answer = b"".join(iter(lambda: line.recv(65536), b"")).decode()
        return answer.removeprefix("+OK\r\n" if login else "").removesuffix("+OK\r\n")

    def _command(self) -> tuple[list[str], dict[str, str]]:
        options: dict[str, object] = {
            "bind": self.host, "dir": self.folder, "unixsocket": self.folder / "s", "save": "", "appendonly": "no",
            "databases": _DATABASES, "maxmemory": self._max_memory, "maxmemory-policy": "noeviction",
            "requirepass": self._password, "protected-mode": "no",
        }  # fmt: skip
        if self._tls is None:
            options["port"] = self.port
        else:
            options |= {"port": 0, "tls-port": self.port, "tls-cert-file": self._tls.certificate}
            options |= {"tls-key-file": self._tls.key, "tls-auth-clients": "yes" if self._tls.client_ca else "no"}
            options["tls-ca-cert-file"] = self._tls.client_ca or self._tls.certificate
        command = [_find("redis-server")]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        return command, {}

    def _serves(self) -> bool:
        try:
            return "PONG" in self.ask("PING")
        except OSError:
            return False


class RabbitServer(Broker):
    """RabbitMQ, a node of its own with its own port mapper; what is durable outlives its restarts."""

    def __init__(
        self, host: str = "127.0.0.1", network: str = "", password: str = "guest", tls: Tls | None = None
    ) -> None:
        super().__init__(host, network, password, tls)
        self._mapper_port, self._dist_port = free_port(), free_port()
        self._node = f"airloom{self._dist_port}@localhost"
        self._environment = {
            # The Erlang cookie is kept in the home folder.
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "no-such-file"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
            # Otherwise a shell stays between us and the server, whose end the server does not notice.
            "RABBITMQ_ALLOW_INPUT": "1",
        }
        try:
            # Found running, none is started that would outlive the server.
            self._mapper = self._spawn([_find("epmd"), "-port", str(self._mapper_port)], self._environment)
            self.start()
        except BaseException:
            self.close()
            raise

    def url(self, vhost: str = "%2F") -> str:
        """The address of one of its virtual hosts."""
        scheme = "amqps" if self._tls else "amqp"
        return f"{scheme}://guest:{self._password}@{self.host}:{self.port}/{vhost}"

    def fresh(self) -> str:
        name = f"test{next(self._numbers)}"
        self.control("add_vhost", name)
        self.control("set_permissions", "-p", name, "guest", ".*", ".*", ".*")
        return self.url(name)

    def forget(self, url: str) -> None:
        """Delete what `fresh` made."""
        self.control("delete_vhost", url.rpartition("/")[2])

    def control(self, *arguments: str) -> str:
        """What `rabbitmqctl` says to this."""
        tool = _find("rabbitmqctl", "/usr/lib/rabbitmq/bin/rabbitmqctl")
        command = [tool, "-n", self._node, "-q", *arguments]
        done = subprocess.run(
            command, env=os.environ | self._environment, preexec_fn=as_child(network=self._network),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_STARTING, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"rabbitmqctl {' '.join(arguments)} failed: {done.stderr or done.stdout}")
        return done.stdout

    def set_memory_limit(self, size: int) -> None:
        """Above so many bytes it takes no messages: 0 blocks all publishers."""
        self.control("set_vm_memory_high_watermark", "absolute", str(size))

    def close(self) -> None:
        """End it with its port mapper and delete what it kept."""
        for process in (getattr(self, "process", None), getattr(self, "_mapper", None)):
            if process is not None:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self) -> tuple[list[str], dict[str, str]]:
        lines = ["default_user = guest", f"default_pass = {self._password}", "loopback_users = none"]
        if self._tls is None:
            lines.append(f"listeners.tcp.1 = {self.host}:{self.port}")
        else:
            asks = self._tls.client_ca != ""
            lines += [
                "listeners.tcp = none",
                f"listeners.ssl.1 = {self.host}:{self.port}",
                f"ssl_options.certfile = {self._tls.certificate}",
                f"ssl_options.keyfile = {self._tls.key}",
                f"ssl_options.cacertfile = {self._tls.client_ca or self._tls.certificate}",
                f"ssl_options.verify = {'verify_peer' if asks else 'verify_none'}",
                f"ssl_options.fail_if_no_peer_cert = {str(asks).lower()}",
            ]
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        (self.folder / "plugins").write_text("[].\n")
        server = _find("rabbitmq-server", "/usr/lib/rabbitmq/bin/rabbitmq-server")
        return [server, "-noinput"], self._environment

    def _serves(self) -> bool:
        # It listens at the very end of its start.
        try:
            socket.create_connection((self.host, self.port), 1).close()
        except OSError:
            return False
        return True
