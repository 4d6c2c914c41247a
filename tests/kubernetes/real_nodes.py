"""Real nodes: Kubernetes' own kubelet with containerd and runc, each at a loopback address of this machine.

Pods that want no network of their own (hostNetwork) run there. Only root may, on a machine with control groups v1.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.kubernetes.binaries import NoKubernetes, find_program
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.daemon import Daemon
from tests.kubernetes.images import PAUSE

_CGROUPS = Path("/sys/fs/cgroup")
_PREFIX = "airloom-node-"
_PORT, _HEALTH_PORT = 10250, 10248
#: plugins of containerd that want what this machine need not have
_DISABLED = [
    *(f"io.containerd.snapshotter.v1.{name}" for name in ("btrfs", "zfs", "aufs", "devmapper")),
    "io.containerd.internal.v1.opt", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
]  # fmt: skip


def check_machine() -> None:
    """Raises NoKubernetes with what to do if real nodes cannot run here."""
    missing = [name for name in ("containerd", "runc", "ctr") if shutil.which(name) is None]
    if missing:
        raise NoKubernetes(
            f"real nodes need {', '.join(missing)}: apt-get install --no-install-recommends containerd runc"
        )
    if os.geteuid() != 0:
        raise NoKubernetes("real nodes run containers with runc, which only root may: run these tests as root")
    if not (_CGROUPS / "cpuset" / "cpuset.cpus").exists() or not os.access(_CGROUPS / "cpuset", os.W_OK):
        raise NoKubernetes(
            "real nodes (Kubernetes 1.20) need the hierarchies of control groups v1, which are not under "
            f"{_CGROUPS} here: boot with systemd.unified_cgroup_hierarchy=0, or name a cluster of yours"
        )
    find_program("kubelet")


class RealNode:
    """A node. Its name is its address."""

    def __init__(self, plane: ControlPlane, archives: Sequence[Path]) -> None:
        """archives: of images that are there without a registry. Raises NoKubernetes where it cannot run."""
        check_machine()
        _sweep()
        self._plane = plane
        self.name = self.address = _free_address()
        self.folder = Path(tempfile.gettempdir()) / f"{_PREFIX}{os.getpid()}-{self.address.rpartition('.')[2]}"
        for name in ("cni", "plugins"):
            (self.folder / name).mkdir(parents=True)
        self._socket = self.folder / "c.sock"
        self._make_cgroups()
        try:
            self.containerd = Daemon(
                ["containerd", "-c", str(self._write_containerd())], self.folder / "containerd.log"
            )
            self.containerd.start()
            self.containerd.wait_until(lambda: self._ctr("version") == 0)
            for archive in archives:
                if self._ctr("-n", "k8s.io", "images", "import", str(archive)):
                    raise RuntimeError(f"containerd did not take {archive}:\n{self.containerd.said()[-2000:]}")
            self.kubelet = Daemon(self._kubelet(), self.folder / "kubelet.log")
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Start the kubelet, again after `kubelet.kill()`; returns when the API server knows that it is ready."""
        begun = time.time()
        self.kubelet.start()
        self.kubelet.wait_until(lambda: self._heard_since(begun))

    def close(self) -> None:
        """End it, with all its containers, and take it out of the cluster."""
        for daemon in (getattr(self, "kubelet", None), getattr(self, "containerd", None)):
            if daemon is not None:
                daemon.kill()
        _remove(self.folder)
        with contextlib.suppress(Exception):
            self._plane.api.delete(f"/api/v1/nodes/{self.name}")

    def _heard_since(self, moment: float) -> bool:
        node = self._plane.api.find(f"/api/v1/nodes/{self.name}") or {}
        for one in node.get("status", {}).get("conditions", []):
            if one["type"] == "Ready" and one["status"] == "True":
                beat = time.strptime(one["lastHeartbeatTime"], "%Y-%m-%dT%H:%M:%SZ")
                return _seconds(beat) >= int(moment)
        return False

    def _ctr(self, *arguments: str) -> int:
        command = ["ctr", "-a", str(self._socket), *arguments]
        return subprocess.run(command, capture_output=True, check=False, timeout=120).returncode

    def _make_cgroups(self) -> None:
        for hierarchy in _hierarchies():
            group = hierarchy / self.folder.name
            group.mkdir(exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                # A group without processors and memory takes no process.
                if (hierarchy / name).exists():
                    (group / name).write_text((hierarchy / name).read_text())

    def _write_containerd(self) -> Path:
        cni = {"type": "bridge", "bridge": "none", "ipam": {"type": "host-local", "subnet": "10.244.0.0/24"}}
        # Without any network the node is not ready; pods with one need not run.
        network = {"cniVersion": "0.4.0", "name": "none", "plugins": [cni]}
        (self.folder / "cni" / "10-none.conflist").write_text(json.dumps(network))
        cri = "plugins.'io.containerd.grpc.v1.cri'"
        runtime = f"{cri}.containerd.runtimes.runc"
        # JSON's strings and lists are TOML's.
        lines = [
            "version = 2", f"disabled_plugins = {json.dumps(_DISABLED)}",
            f"root = {json.dumps(str(self.folder / 'root'))}", f"state = {json.dumps(str(self.folder / 'state'))}",
            f"[grpc]\naddress = {json.dumps(str(self._socket))}",
            f"[ttrpc]\naddress = {json.dumps(f'{self._socket}.ttrpc')}",
            f"[{cri}]\nsandbox_image = {json.dumps(PAUSE)}\nrestrict_oom_score_adj = true\ndisable_apparmor = true",
            'stream_server_address = "127.0.0.1"', f"[{cri}.cni]\nconf_dir = {json.dumps(str(self.folder / 'cni'))}",
            f'[{cri}.containerd]\nsnapshotter = "overlayfs"\ndefault_runtime_name = "runc"',
            f'[{runtime}]\nruntime_type = "io.containerd.runc.v2"', f"[{runtime}.options]\nSystemdCgroup = false",
        ]  # fmt: skip
        path = self.folder / "containerd.toml"
        path.write_text("\n".join(lines) + "\n")
        return path

    def _kubelet(self) -> list[str]:
        (self.folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "address": self.address, "port": _PORT, "readOnlyPort": 0,
            "healthzBindAddress": self.address, "healthzPort": _HEALTH_PORT,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"}, "failSwapOn": False, "makeIPTablesUtilChains": False,
            "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{self.folder.name}", "enforceNodeAllocatable": [],
            # What this machine does beside the tests is no reason to evict, or to delete images.
            "evictionHard": {"memory.available": "0%"}, "imageGCHighThresholdPercent": 100,
            "syncFrequency": "2s", "nodeStatusUpdateFrequency": "2s", "nodeLeaseDurationSeconds": 8,
            "serializeImagePulls": False, "kubeAPIQPS": 200, "kubeAPIBurst": 400, "eventRecordQPS": 50,
            "resolvConf": str(self.folder / "resolv.conf"), "volumePluginDir": str(self.folder / "plugins"),
        }  # fmt: skip
        (self.folder / "kubelet.json").write_text(json.dumps(config))
        return [
            find_program("kubelet"), f"--config={self.folder / 'kubelet.json'}",
            f"--kubeconfig={self._plane.kubeconfig()}", f"--root-dir={self.folder / 'kubelet'}",
            f"--cert-dir={self.folder / 'kubelet' / 'pki'}", f"--hostname-override={self.name}",
            "--container-runtime=remote", f"--container-runtime-endpoint=unix://{self._socket}",
            f"--image-service-endpoint=unix://{self._socket}",
        ]  # fmt: skip


def _seconds(moment: time.struct_time) -> float:
    return time.mktime(moment) - time.timezone


def _hierarchies() -> list[Path]:
    return [path for path in _CGROUPS.iterdir() if path.is_dir() and not path.is_symlink()]


def _free_address() -> str:
    """A loopback address at which the two ports of a kubelet are free. Drawn: others look for one at the same time."""
    for number in random.sample(range(2, 250), 248):
        address = f"127.0.0.{number}"
        with socket.socket() as one, socket.socket() as other, contextlib.suppress(OSError):
            one.bind((address, _PORT))
            other.bind((address, _HEALTH_PORT))
            return address
    raise RuntimeError(f"the port {_PORT} is in use at all loopback addresses")


def _sweep() -> None:
    """Remove the nodes of killed test runs."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            _remove(folder)


def _remove(folder: Path) -> None:
    """End whatever runs in a node's control groups, and the shims beside it; delete groups, mounts and files."""
    deadline = time.monotonic() + 30
    while (pids := {*_in_groups(folder.name), *_shims(folder)}) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "-l", mount], check=False)
    for hierarchy in _hierarchies():
        for group in sorted((hierarchy / folder.name).glob("**"), reverse=True):
            with contextlib.suppress(OSError):
                group.rmdir()
    shutil.rmtree(folder, ignore_errors=True)


def _in_groups(name: str) -> list[int]:
    found: list[int] = []
    for hierarchy in _hierarchies():
        for file in (hierarchy / name).glob("**/cgroup.procs"):
            with contextlib.suppress(OSError):
                found += map(int, file.read_text().split())
    return found


def _shims(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"containerd-shim-runc-v2") and str(folder / "c.sock").encode() in words:
                found.append(int(entry.name))
    return found
