"""Runs containers for the test kubelet: local processes that see this machine's files as their own copy, with the
pod's volumes at their places, as process 1 of their own process namespace.

A process of its own, without threads, which alone may fork safely; it dies with the kubelet, and they with it.
"""

import ctypes
import os
import select
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

#: of mounts, of host names, of processes
_NAMESPACES = 0x20000 | 0x4000000 | 0x20000000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
_PR_SET_PDEATHSIG = 1
#: bytes of an order: a pod's arguments and environment
_ORDER = 1 << 20
_DEVICES = tuple(f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty"))
_libc = ctypes.CDLL(None, use_errno=True)


class Bind(msgspec.Struct, frozen=True):
    """A file or folder of this machine at a place in the container."""

    source: str
    target: str
    read_only: bool = False


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to run. folder: the container's own, where its log is kept as `log`."""

    id: str
    folder: str
    hostname: str
    command: list[str]
    environment: dict[str, str]
    directory: str = "/"
    user: int | None = None
    group: int | None = None
    read_only: bool = False
    binds: list[Bind] = []


class News(msgspec.Struct, frozen=True, kw_only=True):
    """pid: it runs. code: it has ended, by a signal with 128 more. error: it could not be started."""

    id: str
    at: float
    pid: int = 0
    code: int | None = None
    error: str = ""


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    arguments = (source.encode(), target.encode(), kind.encode() or None, flags, options.encode() or None)
    _check(_libc.mount(*arguments), f"mount {source} at {target}")


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def why_not() -> str:
    """Why containers cannot run on this machine; empty: they can."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if _libc.unshare(_NAMESPACES) == 0 else ctypes.get_errno())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == 0:
        return ""
    return (
        "the test kubelet runs containers in namespaces of Linux, and may make none here "
        f"({os.strerror(code)}): run these tests as root, in a container with SYS_ADMIN"
    )


def _other_mounts(paths: Sequence[str]) -> list[str]:
    """The mount points beside / that these paths lie in; a copy of / lacks them."""
    found = set()
    for path in map(os.path.realpath, paths):
        while not os.path.ismount(path):
            path = str(Path(path).parent)
        found.add(path)
    return sorted(found - {"/"})


def _make_root(order: Order, paths: Sequence[str]) -> str:
    """The container's file system; all of it is gone with the namespace."""
    place = order.folder
    _mount("none", "/", flags=_MS_REC | _MS_PRIVATE)
    binds = [Bind(mount, mount) for mount in (*_DEVICES, "/sys", *_other_mounts(paths))]
    # What a tmpfs over the folder would hide, and what links would lead out of the new root, is looked up before it.
    sources = [os.open(bind.source, os.O_PATH) for bind in (*binds, *order.binds)]
    targets = [os.path.realpath(bind.target) for bind in (*binds, *order.binds)]
    _mount("tmpfs", place, "tmpfs")
    root = f"{place}/root"
    for name in ("upper", "work", "root"):
        Path(f"{place}/{name}").mkdir()
    _mount("overlay", root, "overlay", 0, f"lowerdir=/,upperdir={place}/upper,workdir={place}/work")
    _mount("proc", f"{root}/proc", "proc")
    _mount("tmpfs", f"{root}/dev", "tmpfs")
    Path(f"{root}/dev/shm").mkdir(mode=0o777)
    for name, target_of_link in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        Path(f"{root}/dev/{name}").symlink_to(f"/proc/self/{target_of_link}")
    for bind, source, place_in in zip((*binds, *order.binds), sources, targets, strict=True):
        target, real = Path(root + place_in), Path(f"/proc/self/fd/{source}")
        if real.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        _mount(str(real), str(target), flags=_MS_BIND | _MS_REC)
        if bind.read_only:
            _mount("none", str(target), flags=_MS_BIND | _MS_REMOUNT | _MS_RDONLY)
    for passed in {parent for path in paths for parent in Path(root + os.path.realpath(path)).parents}:
        # In an image anybody may get to its programs, wherever this machine has them.
        if passed.is_relative_to(root) and not passed.stat().st_mode & 0o001:
            passed.chmod(0o755)
    Path(root + order.directory).mkdir(parents=True, exist_ok=True)
    if order.read_only:
        _mount("none", root, flags=_MS_BIND | _MS_REMOUNT | _MS_RDONLY)
    return root


def _become(order: Order, paths: Sequence[str], failed: int) -> None:
    """Process 1 of the container: it returns never."""
    try:
        _die_with_parent()
        root = _make_root(order, paths)
        hostname = order.hostname[:63].encode()
        _check(_libc.sethostname(hostname, len(hostname)), "sethostname")
        os.chroot(root)
        os.chdir(order.directory)
        if order.group is not None:
            os.setgroups([])
            os.setgid(order.group)
        if order.user is not None:
            os.setuid(order.user)
            _die_with_parent()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.execvpe(order.command[0], order.command, order.environment)
    except BaseException as error:
        os.write(failed, repr(error).encode() if not isinstance(error, OSError) else str(error).encode())
        os._exit(128)


def _pump(pid: int, streams: dict[int, str], log: int) -> int:
    """Write what a container says to its log, a time before each line, until it has ended; returns its exit code."""
    ended, rest = os.pidfd_open(pid), dict.fromkeys(streams, b"")
    poll = select.poll()
    for number in (ended, *streams):
        poll.register(number, select.POLLIN)
    alive = True
    while alive or streams:
        for number, _ in poll.poll():
            if number == ended:
                # All processes of its namespace are gone with it, so that the streams end as well.
                alive = False
                poll.unregister(ended)
                continue
            piece = os.read(number, 65536)
            *lines, rest[number] = (rest[number] + piece).split(b"\n")
            if not piece and rest[number]:
                lines = [rest[number]]
            if lines:
                now = time.time()
                stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e9):09d}Z"
                head = f"{stamp} {streams[number]} F ".encode()
                os.write(log, b"".join(head + line + b"\n" for line in lines))
            if not piece:
                poll.unregister(number)
                del streams[number]
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code


def _tend(order: Order, paths: Sequence[str], line: socket.socket) -> None:
    """The process beside a container: starts it, keeps its log, tells its end."""
    _die_with_parent()
    os.setsid()
    Path(order.folder).mkdir(parents=True, exist_ok=True)
    # Opened before the folder is hidden from the container by its own file system.
    log = os.open(f"{order.folder}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    out, err, failed = os.pipe(), os.pipe(), os.pipe()
    _check(_libc.unshare(_NAMESPACES), "unshare")
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(out[1], 1)
        os.dup2(err[1], 2)
        _become(order, paths, failed[1])
    for pipe in (out, err, failed):
        os.close(pipe[1])
    # At its end by exec nothing was written.
    error = os.read(failed[0], 4096).decode(errors="replace")
    news = News(id=order.id, at=time.time(), pid=0 if error else pid, error=error)
    line.send(msgspec.json.encode(news))
    code = _pump(pid, {out[0]: "stdout", err[0]: "stderr"}, log)
    if not error:
        line.send(msgspec.json.encode(News(id=order.id, at=time.time(), code=code)))


def _serve(line: socket.socket, paths: Sequence[str]) -> None:
    """Run what is ordered, until the other side is gone."""
    _die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # A stop of the kubelet is its own matter: it ends its containers as it goes.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while text := line.recv(_ORDER):
        order = msgspec.json.decode(text, type=Order)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                _tend(order, paths, line)
            except BaseException as error:
                line.send(msgspec.json.encode(News(id=order.id, at=time.time(), error=repr(error))))
            os._exit(0)


def spawn(paths: Sequence[str]) -> socket.socket:
    """Start the process; orders go into the socket, news come out of it. To be called before there are threads.

    paths: what containers need to see of this machine, on whatever file systems it is.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ORDER)
    if os.fork() == 0:
        ours.close()
        _serve(theirs, paths)
        os._exit(0)
    theirs.close()
    return ours
