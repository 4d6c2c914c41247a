"""Container images made from this machine's files, without a registry: archives as `ctr images import` takes them."""

import hashlib
import importlib.metadata
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement

from tests.kubernetes.binaries import NoKubernetes

_CHECKOUT = Path(__file__).parents[2]
_SITE = "/opt/airloom/site-packages"
_LEFT_OUT = re.compile(
    r"/(__pycache__|tests?|idlelib|tkinter|lib2to3|ensurepip|turtledemo|site-packages|config-3[^/]*)$"
)
_LINE = re.compile(r"(/\S+) \(0x")
#: the name of the image that keeps a pod's namespaces; it is the one that RealNode tells containerd of
PAUSE = "localhost/pause:1"
#: busybox, and Python with Airloom in it: `airloom`, `python`, `python3` and busybox's commands are on its PATH
AIRLOOM = "localhost/airloom:test"


class Files:
    """What an image is to hold: files of this machine at their places, and texts."""

    def __init__(self) -> None:
        self.files: dict[str, Path] = {}
        self.texts: dict[str, str] = {}
        self.links: dict[str, str] = {}

    def add(self, source: Path, target: str = "") -> None:
        """A file, or a folder with all that is needed of it."""
        target = target or str(source)
        if source.is_dir():
            for inner in source.iterdir():
                if not _LEFT_OUT.search(str(inner)) and inner.suffix not in (".a", ".pyc"):
                    self.add(inner, f"{target}/{inner.name}")
        elif source.exists():
            self.files[target] = source.resolve()

    def add_libraries(self) -> None:
        """The shared libraries that the programs and modules among the files want."""
        programs = [str(path) for path in set(self.files.values()) if _is_elf(path)]
        listed = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
        for path in set(_LINE.findall(listed)):
            self.files.setdefault(path, Path(path).resolve())


def make_pause(folder: Path) -> Path:
    """The archive of PAUSE. Raises NoKubernetes where there is no static busybox."""
    files = Files()
    files.add(_busybox(), "/bin/busybox")
    return _pack(folder / "pause.tar", PAUSE, files, ["/bin/busybox", "sleep", "100000000"])


def make_airloom(folder: Path) -> Path:
    """The archive of AIRLOOM, with the sources of this checkout."""
    files = Files()
    files.add(_busybox(), "/bin/busybox")
    for command in ("sh", "cat", "echo", "env", "id", "ls", "sleep", "true", "false", "touch", "kill"):
        files.links[f"/bin/{command}"] = "busybox"
    python = Path(sys.base_prefix).resolve()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    files.add(python / "bin" / version)
    files.add(python / "lib" / version)
    for library in (python / "lib").glob("libpython*.so*"):
        files.add(library)
    for name in ("python", "python3"):
        files.links[f"/usr/local/bin/{name}"] = str(python / "bin" / version)
    for package in sorted(_wanted("airloom", set()) | {"PyYAML"}):
        for path in importlib.metadata.files(package) or []:
            # Scripts lie beside the packages, and are not needed.
            if ".." not in path.parts and path.suffix != ".pyc" and path.parts[0] != "__editable__":
                files.add(Path(str(path.locate())), f"{_SITE}/{path}")
    files.add(_CHECKOUT / "src" / "airloom", f"{_SITE}/airloom")
    start = "import sys; from airloom.cli.main import main; sys.exit(main())"
    files.texts["/usr/local/bin/airloom"] = f"#!/bin/sh\nexec /usr/local/bin/python -c '{start}' \"$@\"\n"
    files.add_libraries()
    return _pack(folder / "airloom.tar", AIRLOOM, files, ["airloom"], [f"PYTHONPATH={_SITE}"])


def _wanted(name: str, found: set[str]) -> set[str]:
    """A package and all that it needs, by the names of the installed distributions."""
    if name not in found:
        found.add(name)
        for line in importlib.metadata.requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": "binary"}):
                _wanted(requirement.name, found)
    return found


def _busybox() -> Path:
    if path := shutil.which("busybox"):
        return Path(path)
    raise NoKubernetes("the images for real nodes are made with busybox: apt-get install busybox-static")


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _pack(archive: Path, name: str, files: Files, command: list[str], environment: Iterable[str] = ()) -> Path:
    """One layer of all files, and what docker-archive wants beside it."""
    path = "PATH=/usr/local/bin:/usr/bin:/bin"
    layer = archive.with_suffix(".layer")
    with tarfile.open(layer, "w") as tar:
        _fill(tar, files)
    digest = hashlib.sha256(layer.read_bytes()).hexdigest()
    config = {
        "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "config": {"Cmd": command, "Env": [path, *environment], "WorkingDir": "/"},
    }  # fmt: skip
    text = json.dumps(config).encode()
    named = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": named, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(archive, "w") as tar:
        _add_text(tar, named, text)
        tar.add(layer, f"{digest}/layer.tar")
        _add_text(tar, "manifest.json", json.dumps(manifest).encode())
    layer.unlink()
    return archive


def _fill(tar: tarfile.TarFile, files: Files) -> None:
    folders = {"/tmp", "/etc", "/proc", "/sys", "/dev", "/run", "/root"}
    for target in (*files.files, *files.texts, *files.links):
        folders |= {str(parent) for parent in Path(target).parents}
    for folder in sorted(folders - {"/"}):
        entry = tarfile.TarInfo(folder[1:])
        entry.type = tarfile.DIRTYPE
        entry.mode = 0o1777 if folder == "/tmp" else 0o755
        tar.addfile(entry)
    users = {"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "/etc/group": "root:x:0:\n"}
    for target, text in (users | files.texts).items():
        _add_text(tar, target[1:], text.encode(), 0o755 if target.startswith("/usr") else 0o644)
    for target, source in sorted(files.links.items()):
        entry = tarfile.TarInfo(target[1:])
        entry.type, entry.linkname = tarfile.SYMTYPE, source
        tar.addfile(entry)
    for target, path in sorted(files.files.items()):
        entry = tarfile.TarInfo(target[1:])
        entry.size, entry.mode = path.stat().st_size, path.stat().st_mode & 0o777
        with path.open("rb") as file:
            tar.addfile(entry, file)


def _add_text(tar: tarfile.TarFile, name: str, text: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(text), mode
    tar.addfile(entry, io.BytesIO(text))
