"""Containers for tests, without a container engine: namespaces of Linux, the files of this machine, and in them what a
compose file gives a service: its secrets, volumes, variables, user, host names, and a root that may be read only.

Where that is not allowed (only root may) `why_not` says so.
"""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.cluster.network import Machine
from tests.servers import as_child
from tests.waiting import wait_for

_TOOLS = ("unshare", "nsenter", "setpriv", "mount", "chroot", "hostname", "ip")
#: where the base image has its programs
IMAGE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FLAGS = ("--mount", "--uts", "--pid")
#: which of its numbers the image's user has
USER = 10001
#: What process 1 is for: it passes SIGTERM on, takes leave of those whose parents have died, and ends with the first.
_INIT = """
"$@" & child=$!
trap "kill -TERM $child" TERM
status=0
while kill -0 $child 2>/dev/null; do wait $child && status=0 || status=$?; done
exit $status
"""

#: Where a container's root is while it is made, and how: what it changes is kept in memory, the machine stays as it is.
_ROOT = "/mnt/root"
_OWN_ROOT = (
    "mount -t tmpfs tmpfs /mnt",
    "mkdir /mnt/changes /mnt/work /mnt/root",
    "mount -t overlay -o lowerdir=/,upperdir=/mnt/changes,workdir=/mnt/work overlay /mnt/root",
    "mount -t proc proc /mnt/root/proc",
    "mount --rbind /dev /mnt/root/dev",
    "mount -t tmpfs tmpfs /mnt/root/run",
)


def why_not() -> str:
    """Why there are no containers on this machine; "" if there are."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return f"there is no {missing[0]} here"
    if os.geteuid() != 0:
        return "only root may make namespaces"
    script = "\n".join(["set -e", *_OWN_ROOT])
    tried = subprocess.run(
        ["unshare", *_FLAGS, "--fork", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    return tried.stderr.strip()


class Container:
    """One container of a service, as it is in a project. Use `start`, then `remove`.

    entrypoint: what is run, before the service's command. hosts: addresses of the other machines. folder: where what it
    keeps is. mounts: what it has besides that the service says, as (where it is, where it is seen).
    """

    def __init__(
        self,
        name: str,
        service: dict[str, Any],
        folder: Path,
        machine: Machine,
        hosts: dict[str, str],
        mounts: Sequence[tuple[Path, str]] = (),
    ) -> None:
        self.name = name
        self._service = service
        self._folder = folder
        self._machine = machine
        self._hosts = hosts
        self._mounts = list(mounts)
        self._environment = {"PATH": IMAGE_PATH, "HOSTNAME": name, "HOME": "/var/lib/airloom"}
        self.process: subprocess.Popen[bytes] | None = None
        self._script = folder / "container.sh"
        self._command: list[str] = []
        #: what its health check said when it was not well
        self.trouble = ""

    def start(self, entrypoint: Sequence[str], environment: dict[str, str]) -> None:
        """Run it, with the image's environment beneath the service's."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._environment |= environment | self._service.get("environment", {})
        self._command = [*entrypoint, *self._service["command"]]
        self._script.write_text(
            "\n".join(["set -eu", *self._set_up(), f'exec chroot {_ROOT} sh -c "$INIT" init "$@"', ""])
        )
        self.start_again()

    def start_again(self) -> None:
        """Run it once more, after its end, with the volume that it had."""
        inside = ["sh", self._script, *self._as_user(self._command)]
        with (self._folder / "console").open("ab") as console:
            self.process = subprocess.Popen(
                ["unshare", *_FLAGS, "--fork", "--kill-child", *inside],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=os.environ | {"INIT": _INIT},
                preexec_fn=as_child(network=self._machine.namespace), start_new_session=True,
            )  # fmt: skip

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """What a command says in it, as `docker compose exec` runs it."""
        inside = ["nsenter", f"--target={self._first()}", *_FLAGS, "--net", "--root", *self._as_user(command)]
        return subprocess.run(
            inside, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False, cwd="/"
        )

    def healthy(self) -> bool:
        """What its health check says, run as the compose file says."""
        assert self.running, f"{self.name} has ended:\n{self.said()}"
        kind, *words = self._service["healthcheck"]["test"]
        done = self.run(*(["sh", "-c", *words] if kind == "CMD-SHELL" else words))
        self.trouble = done.stderr if done.returncode else ""
        return done.returncode == 0

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process is not None and self.process.poll() is None

    def stop(self) -> int:
        """End it with SIGTERM; its exit status."""
        assert self.process is not None
        if self.running:
            os.kill(self._first(), signal.SIGTERM)
        return self.process.wait(60)

    def remove(self) -> None:
        """End it and all of its processes at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def said(self) -> str:
        """What it wrote to its console."""
        return (self._folder / "console").read_text(errors="replace")

    def _first(self) -> int:
        """The number that its process 1 has out here."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return int(wait_for(lambda: children.read_text().split(), f"{self.name} to start")[0])

    def _as_user(self, command: Sequence[str]) -> list[str]:
        given = [f"{name}={value}" for name, value in self._environment.items()]
        user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs"]
        user += ["--bounding-set=-all", "--inh-caps=-all"]
        return [*user, "env", "--ignore-environment", "--chdir=/srv/airloom", *given, *command]

    # --- what it sees -------------------------------------------------------------------------------------------------
    def _set_up(self) -> list[str]:
        """The commands that give it a root of its own: this machine's, and upon it, seen here only, what it has."""
        lines = [*_OWN_ROOT, f"hostname {self._service.get('hostname', self.name)}"]
        for path in (Path(sys.base_prefix), Path(sysconfig.get_paths()["purelib"])):
            # The interpreter and its packages may be in a folder of root's.
            lines += [f"chmod o+x {_ROOT}{parent}" for parent in path.parents]
        for place in self._service.get("tmpfs", ()):
            path, _, options = place.partition(":")
            options = ",".join(["nosuid,nodev,noexec", *([options] if options else [])])
            lines += [f"mkdir -p {_ROOT}{path}", f"mount -t tmpfs -o {options} tmpfs {_ROOT}{path}"]
        lines.append(f"mkdir -p {_ROOT}/srv/airloom/dags")
        for source, target in (*self._mounts, *self._files(), *self._secrets(), *self._volumes()):
            place = _ROOT + target
            lines += [f"mkdir -p {place if source.is_dir() else Path(place).parent}"]
            lines += [] if source.is_dir() else [f"touch {place}"]
            lines.append(f"mount --bind {source} {place}")
        if self._service.get("read_only"):
            lines.append(f"mount -o remount,ro {_ROOT}")
        return lines

    def _files(self) -> list[tuple[Path, str]]:
        names = [(address, name) for name, listed in self._hosts.items() for address in listed.split()]
        hosts = "".join(f"{address} {name}\n" for address, name in [("127.0.0.1", "localhost"), *names])
        users = f"root:x:0:0::/root:/bin/sh\nairloom:x:{USER}:{USER}::/var/lib/airloom:/bin/sh\n"
        (self._folder / "hosts").write_text(hosts)
        (self._folder / "passwd").write_text(users)
        return [(self._folder / name, f"/etc/{name}") for name in ("hosts", "passwd")]

    def _secrets(self) -> list[tuple[Path, str]]:
        return [(Path(secret["source"]), secret["target"]) for secret in self._service.get("secrets", ())]

    def _volumes(self) -> list[tuple[Path, str]]:
        made = []
        for volume in self._service.get("volumes", ()):
            source = Path(volume["source"]) if volume["type"] == "bind" else self._folder / "volume"
            if volume["type"] == "volume" and not source.exists():
                source.mkdir(mode=0o700)
                os.chown(source, USER, USER)
            made.append((source, volume["target"]))
        return made
