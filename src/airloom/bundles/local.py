"""A folder of DAG files on this machine, used as it is."""

import hashlib
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from stat import S_ISREG

import msgspec

IGNORE_FILE = ".airloomignore"
#: A file that mentions none of these defines no DAG, and is not imported to find out (as in Airflow).
_MARKS = (b"airloom", b"airflow")


class FileStat(msgspec.Struct, frozen=True):
    """What tells a changed file without reading it."""

    mtime: float
    size: int


class LocalFolder:
    """A bundle without versions: what runs is what is there."""

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self.root = root

    def scan(self) -> dict[str, FileStat]:
        """Every Python file below the folder, by path, but hidden ones and those that .airloomignore names.

        Raises OSError when the folder itself cannot be read: it may be a mount that is away, not an empty folder.
        """
        with os.scandir(self.root):
            pass
        ignored = self._ignored()
        found: dict[str, FileStat] = {}
        for path in self._walk():
            rel_path = path.relative_to(self.root).as_posix()
            if _unwritable(rel_path) or any(fnmatchcase(rel_path, pattern) for pattern in ignored):
                continue
            try:
                stat = path.stat()
            except OSError:
                continue
            # Reading a pipe or a device could wait for ever.
            if S_ISREG(stat.st_mode):
                found[rel_path] = FileStat(stat.st_mtime, stat.st_size)
        return found

    def read(self, rel_path: str) -> bytes:
        """A file's bytes. Raises OSError."""
        return (self.root / rel_path).read_bytes()

    def _walk(self) -> Iterator[Path]:
        walked: set[tuple[int, int]] = set()
        for folder, folders, files in os.walk(self.root, followlinks=True):
            try:
                stat = Path(folder).stat()
            except OSError:
                continue
            if (stat.st_dev, stat.st_ino) in walked:  # a link that leads back
                folders.clear()
                continue
            walked.add((stat.st_dev, stat.st_ino))
            folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
            for name in sorted(files):
                if name.endswith(".py") and not name.startswith("."):
                    yield Path(folder) / name

    def _ignored(self) -> list[str]:
        """Glob patterns, one a line; a folder's name ignores all in it."""
        try:
            lines = (self.root / IGNORE_FILE).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return []
        patterns = [line.strip().rstrip("/") for line in lines if line.strip() and not line.startswith("#")]
        return [form for pattern in patterns for form in (pattern, f"{pattern}/*", f"*/{pattern}", f"*/{pattern}/*")]


def _unwritable(name: str) -> bool:
    """Whether a file's name is no UTF-8, so that no database could hold it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return True
    return False


def content_hash(source: bytes) -> str:
    """What names a version of a file."""
    return hashlib.sha256(source).hexdigest()


def may_define_dags(source: bytes) -> bool:
    """Whether a file is worth importing: it mentions Airloom or Airflow, and a dag."""
    lower = source.lower()
    return b"dag" in lower and any(mark in lower for mark in _MARKS)


def keep_source(path: Path, source: bytes) -> None:
    """Keep a file's text at `path`, which names its content, unless it is there. It is there whole or not at all.

    Raises OSError.
    """
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(source)
    draft.replace(path)
