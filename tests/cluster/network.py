"""Machines that share nothing but a network: Linux network namespaces on a bridge, whose links can be cut.

Where those may not be made (only root may), the machines are addresses of this one, and nothing can be cut.
"""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

_NAMESPACES = Path("/run/netns")
#: what the names of our namespaces and links begin with; then comes the number of the process whose they are
_PREFIX = "alw"


class Machine(NamedTuple):
    """namespace: where its processes live; empty: in the one of this process."""

    name: str
    address: str
    namespace: str


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def _sweep() -> None:
    """Remove what killed processes left; their links go with their namespaces."""
    owners = {entry.name.removeprefix(_PREFIX).partition("-")[0] for entry in _NAMESPACES.glob(f"{_PREFIX}*-*")}
    for owner in owners - {str(os.getpid())}:
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            for entry in _NAMESPACES.glob(f"{_PREFIX}{owner}-*"):
                _ip("netns", "del", entry.name)
            with contextlib.suppress(OSError):
                _ip("link", "del", _PREFIX + owner)


class Network:
    """A network of this process. why_not: why its machines are not apart, if they are not."""

    def __init__(self) -> None:
        self._bridge = f"{_PREFIX}{os.getpid()}"
        self._machines: dict[str, Machine] = {}
        self.why_not = ""
        # One such network per process, many processes on a machine.
        self._subnet = f"10.{200 + os.getpid() // 250 % 50}.{os.getpid() % 250}"
        try:
            if os.geteuid() != 0 or shutil.which("ip") is None:
                raise OSError("only root may make network namespaces, with `ip` of iproute2")
            _sweep()
            _ip("link", "add", self._bridge, "type", "bridge")
            _ip("addr", "add", f"{self._subnet}.254/24", "dev", self._bridge)
            _ip("link", "set", self._bridge, "up")
        except OSError as error:
            self.why_not = str(error)

    @property
    def apart(self) -> bool:
        """Whether the machines have networks of their own, which can be cut."""
        return not self.why_not

    def machine(self, name: str) -> Machine:
        """A new machine. name: up to four letters and digits."""
        number = len(self._machines) + 1
        if not self.apart:
            made = Machine(name, f"127.0.0.{100 + number}", "")
        else:
            namespace, link = f"{self._bridge}-{name}", self._link(name)
            made = Machine(name, f"{self._subnet}.{number}", namespace)
            _ip("netns", "add", namespace)
            _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            _ip("link", "set", link, "master", self._bridge, "up")
            _ip("-n", namespace, "addr", "add", f"{made.address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", namespace, "link", "set", device, "up")
        self._machines[name] = made
        return made

    def cut_off(self, machine: Machine) -> None:
        """Nothing reaches the machine, or comes from it, until `join`."""
        _ip("link", "set", self._link(machine.name), "down")

    def join(self, machine: Machine) -> None:
        """Undo `cut_off`."""
        _ip("link", "set", self._link(machine.name), "up")

    def part(self, deaf: Machine, other: Machine) -> None:
        """What the machine `other` sends to `deaf` is lost without a word, until `reunite`."""
        _ip("-n", other.namespace, "route", "add", "blackhole", f"{deaf.address}/32")

    def reunite(self, deaf: Machine, other: Machine) -> None:
        """Undo `part`."""
        _ip("-n", other.namespace, "route", "del", "blackhole", f"{deaf.address}/32")

    def close(self) -> None:
        """Remove everything."""
        for machine in self._machines.values():
            if machine.namespace:
                with contextlib.suppress(OSError):
                    _ip("netns", "del", machine.namespace)
        with contextlib.suppress(OSError):
            _ip("link", "del", self._bridge)

    def _link(self, name: str) -> str:
        # The kernel takes 15 characters.
        return f"{self._bridge}{name}"[:15]
