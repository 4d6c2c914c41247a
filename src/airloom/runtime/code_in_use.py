"""What tries in hand use of the commits' folders and of the server's texts is marked from time to time: whoever tidies
up goes by its time. The texts are tidied up here, for the server has them still.
"""

import contextlib
import os
import time
from pathlib import Path

from airloom.model.report import TryKey
from airloom.runtime.loop import Loop

#: seconds between two marks, and after which a text goes that was not marked
_MARK, _UNUSED = 3600.0, 7 * 86400.0


class CodeInUse:
    """The paths that the tries of one runner use. fetched: the folder of the server's texts."""

    def __init__(self, loop: Loop, fetched: str) -> None:
        self._loop = loop
        self._fetched = Path(fetched)
        self._uses: dict[TryKey, str] = {}
        self._marked: set[str] = set()
        self._loop.later(0.0, self._go_round)

    def use(self, key: TryKey, path: str) -> None:
        """The try does so from now on."""
        self._uses[key] = path
        if path not in self._marked:
            self._mark(path)

    def forget(self, key: TryKey) -> None:
        """The try is over."""
        self._uses.pop(key, None)

    def _mark(self, path: str) -> None:
        with contextlib.suppress(OSError):
            os.utime(path)
            self._marked.add(path)

    def _go_round(self) -> None:
        self._marked.clear()
        for path in set(self._uses.values()):
            self._mark(path)
        for kept in self._fetched.glob("*"):
            with contextlib.suppress(OSError):
                if time.time() - kept.stat().st_mtime > _UNUSED:
                    kept.unlink()
        self._loop.later(_MARK, self._go_round)
