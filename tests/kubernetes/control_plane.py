"""A control plane of the tests' own: etcd, an API server, and where asked for controllers and a scheduler.

Each has free ports, its own authority and identities, and a folder in memory that is gone when pytest is.
"""

import os
import shutil
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.kubernetes.api import Access, Object, Refused
from tests.kubernetes.binaries import find_program
from tests.kubernetes.certificates import Authority, write_key, write_public
from tests.kubernetes.cluster import USERS, Cluster
from tests.kubernetes.daemon import STARTING, Daemon
from tests.servers import free_port

_GROUPS = (
    "v1", "rbac.authorization.k8s.io/v1", "coordination.k8s.io/v1", "apps/v1", "batch/v1", "apiregistration.k8s.io/v1",
    "apiextensions.k8s.io/v1", "events.k8s.io/v1", "scheduling.k8s.io/v1", "authentication.k8s.io/v1",
    "authorization.k8s.io/v1", "storage.k8s.io/v1", "admissionregistration.k8s.io/v1", "node.k8s.io/v1",
    "networking.k8s.io/v1", "certificates.k8s.io/v1", "policy/v1beta1",
)  # fmt: skip
_FOLDERS = "airloom-k8s-"


def _sweep(memory: Path) -> None:
    """Remove the folders of killed test runs: they take memory."""
    for folder in memory.glob(f"{_FOLDERS}*"):
        owner = folder.name.removeprefix(_FOLDERS).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(folder, ignore_errors=True)


class ControlPlane(Cluster):
    """A cluster whose servers can be killed, frozen and restarted, and whose history can be forgotten."""

    def __init__(
        self,
        *,
        controllers: bool = False,
        scheduler: bool = False,
        pod_cache: bool = True,
        all_groups: bool = False,
        host: str = "127.0.0.1",
        flags: Sequence[str] = (),
    ) -> None:
        """controllers, scheduler: whether those of Kubernetes run (two seconds more).
        pod_cache: without it watches of pods are etcd's own, so that `compact` ends them, and no bookmarks come.
        all_groups: whether there are the APIs that neither Airloom nor controllers use. flags: more for the server.
        """
        memory = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path(tempfile.gettempdir())
        _sweep(memory)
        super().__init__(Path(tempfile.mkdtemp(prefix=f"{_FOLDERS}{os.getpid()}-", dir=memory)))
        self.controllers = controllers
        self.scheduler = scheduler
        self.port, self._etcd_port, peer_port = free_port(), free_port(), free_port()
        self.host = host
        try:
            self._write_keys()
            self.etcd = self._daemon("etcd", self._etcd_flags(peer_port))
            self.server = self._daemon("kube-apiserver", self._server_flags(pod_cache, all_groups, flags))
            self._parts = [self.etcd, self.server]
            self.etcd.start()
            self.server.start()
            self._wait_for_server()
            if controllers:
                self._start_part("kube-controller-manager", self._controller_flags())
            if scheduler:
                self._start_part("kube-scheduler", ["--kube-api-qps=500", "--kube-api-burst=1000"])
        except BaseException:
            self.close()
            raise

    def access(self, user: str = "admin") -> Access:
        return Access(server=f"https://{self.host}:{self.port}", ca=str(self.folder / "ca.crt"), token=f"{user}-token")

    def subject(self, user: str) -> Object:
        return {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}

    def kill(self) -> None:
        """End the API server as a power cut does; etcd keeps everything."""
        self.server.kill()

    def stop(self) -> None:
        """End the API server in good order: it ends all watches."""
        self.server.stop()

    def start(self) -> None:
        """Start the API server again, at the same port; returns when it serves."""
        self.server.start()
        self._wait_for_server()

    def restart(self) -> None:
        """Kill the API server and start it again."""
        self.kill()
        self.start()

    def ensure(self) -> None:
        """Start what a test has left dead."""
        if not self.etcd.running:
            self.etcd.start()
        if not self.server.running:
            self.start()

    def version(self) -> str:
        """The resource version of this moment."""
        return str(self.api.get("/api/v1/namespaces", limit=1)["metadata"]["resourceVersion"])

    def compact(self) -> str:
        """Forget all history: what resumes a list or a watch at an earlier version gets 410 Gone. Returns the version.

        Watches that run are not touched; those of pods resume without history only where there is no `pod_cache`.
        """
        # What begins at the oldest version that stays is served: with two more changes nobody begins there.
        for _ in range(2):
            note = {"metadata": {"annotations": {"test.plane/compaction": str(next(self._numbers))}}}
            self.api.patch("/api/v1/namespaces/default", note)
        version = self.version()
        body = msgspec.json.encode({"revision": version, "physical": True})
        asked = urllib.request.Request(f"http://{self.host}:{self._etcd_port}/v3/kv/compaction", body)
        with urllib.request.urlopen(asked, timeout=STARTING):
            return version

    def close(self) -> None:
        """End everything and delete what it kept."""
        for part in reversed(getattr(self, "_parts", [])):
            part.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _daemon(self, program: str, flags: Sequence[str]) -> Daemon:
        return Daemon([find_program(program), *flags], self.folder / f"{program}.log")

    def _write_keys(self) -> None:
        authority = Authority(self.folder)
        names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
        authority.issue("server", sorted({self.host, "127.0.0.1", "10.96.0.1"}) + names)
        authority.issue("kubelet", ["localhost"])
        write_public(self.folder / "accounts.pub", write_key(self.folder / "accounts.key"))
        users = ['admin-token,admin,admin-uid,"system:masters"']
        users += [f"{name}-token,{name},{name}-uid" for name in USERS]
        (self.folder / "tokens.csv").write_text("\n".join(users) + "\n")

    def _etcd_flags(self, peer_port: int) -> list[str]:
        clients, peers = f"http://{self.host}:{self._etcd_port}", f"http://{self.host}:{peer_port}"
        return [
            "--name=test", f"--data-dir={self.folder / 'etcd'}", f"--initial-cluster=test={peers}",
            f"--listen-client-urls={clients}", f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}",
            # Alone, it need not wait for others before it leads.
            "--heartbeat-interval=50", "--election-timeout=250", "--snapshot-count=100000",
            "--logger=zap", "--log-level=warn",
        ]  # fmt: skip

    def _server_flags(self, pod_cache: bool, all_groups: bool, more: Sequence[str]) -> list[str]:
        folder = self.folder
        flags = [
            f"--etcd-servers=http://{self.host}:{self._etcd_port}",
            f"--bind-address={self.host}", f"--advertise-address={self.host}", f"--secure-port={self.port}",
            # A loopback address is refused as an endpoint.
            "--endpoint-reconciler-type=none", f"--cert-dir={folder}", f"--client-ca-file={folder}/ca.crt",
            f"--tls-cert-file={folder}/server.crt", f"--tls-private-key-file={folder}/server.key",
            f"--token-auth-file={folder}/tokens.csv", "--authorization-mode=RBAC", "--allow-privileged=true",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder}/accounts.pub",
            f"--service-account-signing-key-file={folder}/accounts.key",
            "--service-cluster-ip-range=10.96.0.0/16", "--kubelet-preferred-address-types=InternalIP",
            # The fair queues cost a start of their own; a storm of 429 is a matter of the two limits.
            "--feature-gates=APIPriorityAndFairness=false", "--profiling=false",
            "--max-requests-inflight=2000", "--max-mutating-requests-inflight=1000",
        ]  # fmt: skip
        if self.controllers:
            # Pods of a lost node are deleted after seconds as well (but while no other node is ready, they stay).
            flags += [f"--default-{what}-toleration-seconds=3" for what in ("not-ready", "unreachable")]
        else:
            # These wait for what only controllers do: make service accounts, and untaint nodes that are ready.
            flags.append("--disable-admission-plugins=ServiceAccount,TaintNodesByCondition")
        if not pod_cache:
            flags.append("--watch-cache-sizes=pods#0")
        if not all_groups:
            flags.append(f"--runtime-config=api/all=false,{','.join(f'{group}=true' for group in _GROUPS)}")
        return [*flags, *more]

    def _controller_flags(self) -> list[str]:
        return [
            f"--service-account-private-key-file={self.folder}/accounts.key", f"--root-ca-file={self.folder}/ca.crt",
            # A node is lost after seconds, not minutes.
            "--node-monitor-period=1s", "--node-monitor-grace-period=10s", "--pod-eviction-timeout=15s",
            "--resource-quota-sync-period=10s",
        ]  # fmt: skip

    def _start_part(self, program: str, flags: Sequence[str]) -> None:
        common = [f"--kubeconfig={self.kubeconfig()}", "--leader-elect=false", "--port=0", "--secure-port=0"]
        part = self._daemon(program, common + list(flags))
        self._parts.append(part)
        part.start()
        if program == "kube-controller-manager":
            account = "/api/v1/namespaces/default/serviceaccounts/default"
            part.wait_until(lambda: bool((self.api.find(account) or {}).get("secrets")))

    def _wait_for_server(self) -> None:
        self.server.wait_until(self._serves)

    def _serves(self) -> bool:
        try:
            return self.api.text("/readyz") == "ok" and self.api.find("/api/v1/namespaces/default") is not None
        except (OSError, Refused):
            return False
