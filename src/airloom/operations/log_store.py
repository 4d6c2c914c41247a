"""Where logs are beside the database: in files of this machine, and in an object store, which fsspec reaches."""

import importlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

from airloom.model.errors import AirloomError, LogsAway, NotFound, SettingsError
from airloom.sections import Settings
from airloom.settings import mask_url

_BLOCK = 1024 * 1024
#: characters of an option that is not shown
_SHORTEST_SECRET = 6


class LogStore:
    """An object store. Nothing is loaded or asked before it is used; any thread may use it."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        """`options`: what fsspec is told beside the address."""
        self._url = url
        self._options = options

    @property
    def address(self) -> str:
        """The address, fit to be shown."""
        return mask_url(self._url)

    def check(self) -> None:
        """Raise SettingsError unless what reaches a store of this kind is installed."""
        protocol, separator, _ = self._url.partition("://")
        if not separator:
            raise SettingsError(
                f"[logs] store is {self.address!r}, which is no address such as s3://bucket/path; a folder is file:///path"
            )
        try:
            importlib.import_module("fsspec").get_filesystem_class(protocol)
        except ImportError as error:
            raise SettingsError(
                f"[logs] store is {self.address}, and what reaches it is not installed: {error}; install it beside "
                "airloom, with fsspec"
            ) from None
        except ValueError:
            raise SettingsError(
                f"[logs] store is {self.address}: {protocol!r} is no kind of store that fsspec knows, such as s3"
            ) from None

    def put(self, name: str, source: BinaryIO) -> int:
        """Write an object, or write it again; its bytes. Raises LogsAway."""
        with self._worded("written"):
            try:
                return self._copy(name, source)
            except FileNotFoundError:
                source.seek(0)
                self._files.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)
                return self._copy(name, source)

    def _copy(self, name: str, source: BinaryIO) -> int:
        with self._files.open(self._path(name), "wb") as target:
            shutil.copyfileobj(source, target, _BLOCK)
            return int(target.tell())

    def open(self, name: str) -> BinaryIO:
        """Read an object. Raises LogsAway; NotFound when it is not there."""
        with self._worded("read"):
            return cast(BinaryIO, self._files.open(self._path(name), "rb", block_size=_BLOCK))

    def delete(self, name: str) -> None:
        """Delete an object, if it is there. Raises LogsAway."""
        try:
            with self._worded("written"):
                self._files.rm_file(self._path(name))
        except NotFound:
            return

    def read(self, file: BinaryIO, offset: int, size: int) -> bytes:
        """Bytes of an object that was opened here. Raises LogsAway; NotFound when it is gone."""
        with self._worded("read"):
            file.seek(offset)
            return file.read(size)

    @contextmanager
    def _worded(self, done: str) -> Iterator[None]:
        try:
            yield
        except AirloomError:
            raise
        except FileNotFoundError:
            raise NotFound(f"the store of logs {self.address} does not have it any more") from None
        except Exception as error:  # each kind of store has errors of its own
            why = self._masked(str(error) or type(error).__name__)
            raise LogsAway(f"the store of logs {self.address} cannot be {done}: {why}") from None

    def _masked(self, text: str) -> str:
        """An error of a store's library, which may tell what it was told."""
        text = text.replace(self._url, self.address)
        for secret in _texts(self._options):
            text = text.replace(secret, "***") if len(secret) >= _SHORTEST_SECRET else text
        return text

    @cached_property
    def _place(self) -> tuple[Any, str]:
        self.check()
        files, root = importlib.import_module("fsspec").core.url_to_fs(self._url, **self._options)
        return files, root.rstrip("/")

    @property
    def _files(self) -> Any:
        return self._place[0]

    def _path(self, name: str) -> str:
        return f"{self._place[1]}/{name}"


def _texts(value: Any) -> Iterator[str]:
    """The texts in what fsspec is told, at any depth."""
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(part)


@dataclass(frozen=True)
class LogPlaces:
    """folder: of this machine's logs; None: it has none. store: where finished logs go, if that is wanted."""

    folder: Path | None = None
    store: LogStore | None = None

    def check(self) -> None:
        """Raise SettingsError unless what reaches the store is installed."""
        if self.store is not None:
            self.store.check()


def places_of(settings: Settings) -> LogPlaces:
    """As the settings say. Nothing is opened."""
    logs = settings.logs
    store = LogStore(logs.store, logs.store_options) if logs.store else None
    return LogPlaces(folder=settings.core.home / "logs", store=store)
