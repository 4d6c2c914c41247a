"""What the machine has: its memory, or that of the container that this process is in."""

import contextlib
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


def memory() -> tuple[int, int]:
    """Bytes of memory that can be had still, and that there are; 0, 0 where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
        free, total = found["MemAvailable"], found["MemTotal"]
    except (OSError, ValueError, KeyError, IndexError):
        return 0, 0
    for used, limit in _limits():
        free, total = min(free, max(0, limit - used)), min(total, limit)
    return free, total


def _limits() -> list[tuple[int, int]]:
    """Of each group that this process is in and that has a limit: bytes in use, without files that can be dropped, and
    the limit."""
    found: list[tuple[int, int]] = []
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            number, kinds, path = line.split(":", 2)
            if number == "0":
                names = "memory.max", "memory.current", "inactive_file"
                top = _GROUPS
            elif "memory" in kinds.split(","):
                names = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
                top = _GROUPS / "memory"
            else:
                continue
            folder = top / path.strip("/")
            for group in (folder, *folder.parents):
                if group.is_relative_to(top):
                    found += _limit(group, *names)
    return found


def _limit(group: Path, limit_name: str, used_name: str, dropped_name: str) -> list[tuple[int, int]]:
    try:
        limit, used = int((group / limit_name).read_text()), int((group / used_name).read_text())
        lines = (group / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):  # no such group here, or "max"
        return []
    dropped = next((int(line.split()[1]) for line in lines if line.startswith(dropped_name + " ")), 0)
    return [(used - dropped, limit)]
