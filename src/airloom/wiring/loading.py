"""The loaders of a process, one for each bundle."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from airloom.bundles.local import LocalFolder
from airloom.bundles.sources import FolderSource, GitSource, Source
from airloom.model.bundles import Bundle, GitBundle
from airloom.model.processes import ProcessKind
from airloom.operations.ops import Ops
from airloom.runtime.parsing import ParserPool
from airloom.sections import Settings
from airloom.services.duty import Duty
from airloom.services.loader import FolderWatch, Loader, LoaderSettings, retire_others
from airloom.services.reporting import Told
from airloom.services.service import Bell, Daemon
from airloom.wiring.process import FILE_BUNDLE


class Loaders:
    """The loaders of this process. `tell_leader` is called after a commit that the leader should know of."""

    def __init__(self, settings: Settings, ops: Ops, tell_leader: Callable[[], None]) -> None:
        self._tell_leader = tell_leader
        mine = {FILE_BUNDLE, *settings.bundles}
        self._duty = Duty(ops.db, partial(retire_others, ops.db, mine, ops.now))
        self._bells = {name: Bell() for name in settings.bundles}
        self._loaders = [self._loader(settings, ops, name, bundle) for name, bundle in settings.bundles.items()]

    def daemons(self) -> list[Daemon]:
        """To be started and stopped."""
        return [Daemon(loader, self._bells[loader.state.bundle]) for loader in self._loaders]

    def tell(self) -> Iterator[Told]:
        """What there is to tell of each."""
        for loader in self._loaders:
            place = f"{ProcessKind.LOADER.value}:{socket.gethostname()}:{os.getpid()}:{loader.state.bundle}"
            yield Told(kind=ProcessKind.LOADER, state=loader.state, id=place)

    def close(self) -> None:
        """Let another process load."""
        self._duty.resign()

    def _loader(self, settings: Settings, ops: Ops, name: str, bundle: Bundle) -> Loader:
        def notify() -> None:
            self._tell_leader()
            # An id may have come free for which a file of another bundle has waited.
            for other, bell in self._bells.items():
                if other != name:
                    bell.ring()

        loader = Loader(
            ops.db,
            source_of(settings.core.home, name, bundle),
            ParserPool(settings.loader.processes, settings.loader.parse_timeout),
            notify,
            ops.now,
            LoaderSettings(
                interval=settings.loader.interval,
                refresh=settings.loader.refresh,
                paused=settings.core.dags_are_paused_at_creation,
                home=settings.core.home,
            ),
            self._duty.term,
        )
        if not isinstance(bundle, GitBundle):
            loader.watch(FolderWatch(Path(bundle.path), self._bells[name].ring))
        return loader


def source_of(home: Path, name: str, bundle: Bundle) -> Source:
    """What the loader of a bundle looks at."""
    if isinstance(bundle, GitBundle):
        return GitSource(str(home), name, bundle, time.time)
    return FolderSource(LocalFolder(name, Path(bundle.path)))
