"""A compose project, brought up in the order that it says, in containers of the tests' own; PostgreSQL is a private
server of theirs, everything else runs as the compose file says.
"""

import contextlib
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.cluster.network import Network
from tests.deploy.composing import COMPOSE, ROOT, load
from tests.deploy.container import IMAGE_PATH, Container
from tests.deploy.dockerfile import read
from tests.servers import PostgresServer
from tests.waiting import wait_for

#: where the image has the program
_PLACE = "/opt/airloom"
#: where it sees what this venv has; a container sees nothing of /tmp, where this venv may be
_PACKAGES = "/opt/packages"
_STARTING = 120.0


def install_wheel(folder: Path) -> Path:
    """Build the wheel and install it as the image has it, beside the packages of this venv; the folder of that."""
    venv = folder / "venv"
    venv.mkdir()
    pip = f"{sys.executable} -m pip --disable-pip-version-check --quiet"
    site = f"{_PLACE}/lib/python{sysconfig.get_python_version()}/site-packages"
    script = f"""set -eu
        mount -t tmpfs tmpfs /opt
        mkdir {_PLACE}
        mount --bind {venv} {_PLACE}
        {pip} wheel {ROOT} --no-deps --no-build-isolation --wheel-dir {folder}/dist
        {sys.executable} -m venv --without-pip {_PLACE}
        {pip} --python {_PLACE}/bin/python install --no-deps --no-index {folder}/dist/airloom-*.whl
        echo {_PACKAGES} >{site}/packages.pth"""
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return venv


def image_environment() -> dict[str, str]:
    """The variables that the image sets."""
    instructions = read((ROOT / "deploy/docker/Dockerfile").read_text("utf-8"))
    (line,) = (one.rest for one in instructions if one.name == "ENV" and one.stage == instructions[-1].stage)
    return dict(pair.replace("$PATH", IMAGE_PATH).split("=", 1) for pair in line.split())


#: what the image of RabbitMQ sets, for Debian's files in place of its own
_RABBIT = {
    "PATH": f"/usr/lib/rabbitmq/bin:{IMAGE_PATH}",
    "HOME": "/var/lib/rabbitmq",
    "RABBITMQ_LOGS": "-",
    "RABBITMQ_LOG_BASE": "/var/lib/rabbitmq/log",
    "RABBITMQ_ENABLED_PLUGINS_FILE": "/var/lib/rabbitmq/plugins",
}


class Project:
    """Use `up`, then `down`. venv: the installed wheel. folder: short, and open to other users."""

    def __init__(self, files: tuple[str, ...], venv: Path, folder: Path) -> None:
        self._folder = folder
        self._venv = venv
        self._stack = contextlib.ExitStack()
        self._services: dict[str, Any] = load(*files)["services"]
        self._secrets = load(*files)["secrets"]
        self._hosts: dict[str, str] = {}
        #: by service
        self.containers: dict[str, list[Container]] = {}

    def up(self) -> None:
        """Bring all up; returns when all are well."""
        shutil.copytree(COMPOSE, self._folder / "compose", ignore=shutil.ignore_patterns("secrets", "__pycache__"))
        subprocess.run(["sh", self._folder / "compose" / "make-secrets"], check=True, capture_output=True, timeout=30)
        network = Network()
        self._stack.callback(network.close)
        assert network.apart, network.why_not
        machines = {name: [network.machine(f"{number:02}{one}") for one in range(_replicas(service))]
                    for number, (name, service) in enumerate(self._services.items())}  # fmt: skip
        self._hosts |= {name: " ".join(one.address for one in found) for name, found in machines.items()}
        (data,) = machines.pop("postgres")
        self._start_postgres(PostgresServer(data.address, data.namespace))
        started = {"postgres"}
        while len(started) < len(self._services):
            ready = [name for name in machines if name not in started and self._waits_for(name) <= started]
            assert ready, f"services wait for each other: {self._services.keys() - started}"
            for name in ready:
                self.containers[name] = [
                    self._container(f"{name}-{number}", self._services[name], machine)
                    for number, machine in enumerate(machines[name], 1)
                ]
            for name in ready:
                self._await(name)
            started |= set(ready)

    def down(self) -> None:
        """Remove everything."""
        self._stack.close()

    @property
    def secrets(self) -> Path:
        """The folder of the secrets."""
        return self._folder / "compose/secrets"

    def all(self) -> Iterator[Container]:
        """Every container."""
        for containers in self.containers.values():
            yield from containers

    def exec(self, *command: str) -> str:
        """What a command says in the first API container, where it must succeed."""
        done = self.containers["api"][0].run(*command)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def _waits_for(self, name: str) -> set[str]:
        return set(self._services[name].get("depends_on", ()))

    def _await(self, name: str) -> None:
        """Until the service is what others wait for."""
        for container in self.containers[name]:
            if "healthcheck" in self._services[name]:
                try:
                    wait_for(container.healthy, f"{container.name} to be well", _STARTING)
                except AssertionError as error:
                    error.add_note(f"{container.trouble}\n{container.said()}")
                    raise
            else:
                assert container.process is not None
                assert container.process.wait(_STARTING) == 0, container.said()

    def _start_postgres(self, server: PostgresServer) -> None:
        self._stack.callback(server.stop)
        # The server of the tests has a port and databases of its own.
        path = self.secrets / "database_url"
        place = server.address(server.create()).rpartition(":")[2]
        path.write_text(path.read_text().replace("5432/airloom", place))

    def _container(self, name: str, service: dict[str, Any], machine: Any) -> Container:
        ours = service["image"].startswith("airloom:")
        resolved = service | {
            "secrets": [self._secret(secret) for secret in service.get("secrets", ())],
            "volumes": [
                volume | {"source": self._folder / "compose" / volume["source"]} if volume["type"] == "bind" else volume
                for volume in service.get("volumes", ())
            ],
        }
        packages = Path(sysconfig.get_paths()["purelib"])
        mounts = [(self._venv, _PLACE), (packages, _PACKAGES)] if ours else []
        container = Container(name, resolved, self._folder / name, machine, self._hosts, mounts)
        self._stack.callback(container.remove)
        # The containers' process 1 is there already, in the place of tini.
        rabbit = service["image"].startswith("rabbitmq:")
        container.start(["airloom"] if ours else [], image_environment() if ours else _RABBIT if rabbit else {})
        return container

    def _secret(self, secret: Any) -> dict[str, Any]:
        given = secret if isinstance(secret, dict) else {"source": secret, "target": f"/run/secrets/{secret}"}
        return given | {"source": self._folder / "compose" / self._secrets[given["source"]]["file"]}


def _replicas(service: dict[str, Any]) -> int:
    return int(service.get("deploy", {}).get("replicas", 1))
