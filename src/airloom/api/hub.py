"""Hands what the feed tells to all browsers that listen: one thread reads it, however many there are.

A client has a queue of bounded length; one that does not keep up is told to fetch everything anew, and holds up nobody.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from airloom.decide.feed import RunChange, TIChanges, about_dags
from airloom.model.errors import StoreError
from airloom.operations import following
from airloom.operations.following import News
from airloom.store.database import Database
from airloom.store.notify import Listener, feed_listener

log = logging.getLogger("airloom.api")

#: seconds after which the feed is read though no hint came: hints may be lost
_PATIENCE = 1.0
#: seconds between two messages: what comes meanwhile is merged into the next, and needs no hint of its own
_GATHER = 0.05
#: messages that wait for a client at most
_QUEUE = 64


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The data of an event of /events (schemas.home.Changes)."""

    at: float
    runs: list[RunChange]
    tis: list[TIChanges]
    dags: list[str]
    pools: bool
    topics: list[str]


class Audience(msgspec.Struct, frozen=True, kw_only=True):
    """What a client is to hear of. sees: whether a dag is; None: of everything. key: the same for clients that are to
    hear the same, so that it is encoded once for all of them."""

    key: object = None
    sees: Callable[[str], bool] | None = None


class Client:
    """One who listens. `get` gives events as they are sent; None: the server ends the stream."""

    def __init__(self, audience: Audience) -> None:
        self.audience = audience
        #: the last row of which the client knew when it came
        self.position = 0
        self._queue: asyncio.Queue[tuple[int, bytes | None]] = asyncio.Queue(_QUEUE)

    async def get(self) -> bytes | None:
        """The next event."""
        while True:
            position, event = await self._queue.get()
            # What came while the client was about to be told of its position is older news than that.
            if event is None or position > self.position:
                return event

    def put(self, event: bytes | None, position: int) -> None:
        """Called in the event loop. What waits is thrown away when there is too much of it."""
        if event is not None and self._queue.full():
            event = resync(position)
        if event is None or self._queue.full():
            while not self._queue.empty():
                self._queue.get_nowait()
        self._queue.put_nowait((position, event))


class Hub:
    """Reads the feed of one database for one server process."""

    def __init__(self, db: Database, home: Path) -> None:
        self._db = db
        self._home = home
        self._clients: set[Client] = set()
        #: who comes while nobody listened must not miss what is skipped then
        self._lock = threading.Lock()
        self._position = 0
        self._closed = threading.Event()
        self._listener: Listener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._follow, name="feed", daemon=True)

    def start(self) -> None:
        """Begin to follow, for clients in the event loop that runs now. Raises AirloomError."""
        self._loop = asyncio.get_running_loop()
        self._listener = feed_listener(self._db, self._home)
        self._thread.start()

    def close(self) -> None:
        """End all streams, and the thread. Any thread may call it, and more than once; it does not wait."""
        self._closed.set()
        if self._listener is not None:
            self._listener.close()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._end_streams)

    def _end_streams(self) -> None:
        for client in list(self._clients):
            client.put(None, 0)

    def join(self, seconds: float) -> None:
        """Wait for the end of the thread."""
        if self._thread.ident is not None:
            self._thread.join(seconds)

    @property
    def closed(self) -> bool:
        """Whether the server ends."""
        return self._closed.is_set()

    @property
    def clients(self) -> int:
        """How many listen."""
        return len(self._clients)

    def add(self, client: Client, last: int | None) -> bytes:
        """Have a client hear what comes; its first event. `last`: the number of the last event that it has, if it has
        any: it gets what has happened since, or is told to fetch everything anew. Raises StoreError."""
        with self._lock:
            if not self._clients:  # while there were none, nothing was read
                self._position = following.newest(self._db)
            self._clients.add(client)
        try:
            if last is None:
                client.position = following.newest(self._db)
                return _event("ready", client.position, b"{}")
            client.position, news, whole = following.missed(self._db, last)
        except BaseException:
            self.remove(client)
            raise
        if not whole:
            return resync(client.position)
        event = None if news is None else _encode(news, client.audience)
        return event or _event("ready", client.position, b"{}")

    def remove(self, client: Client) -> None:
        """A client has gone. Never waits."""
        self._clients.discard(client)

    # --- in the thread ------------------------------------------------------------------------------------------------
    def _follow(self) -> None:
        assert self._listener is not None
        failed = False
        while not self._closed.is_set():
            try:
                if self._pass_on():
                    self._closed.wait(_GATHER)
                    continue
                failed = False
            except StoreError as error:
                if not failed:
                    log.error("changes cannot be read: %s; it is tried again", error)
                failed = True
            except Exception:
                # A row of another version of Airloom, or a fault of ours: nobody may go on without what it told.
                log.exception("changes cannot be told; everybody fetches everything anew")
                self._give_up()
            self._listener.wait(_PATIENCE)

    def _give_up(self) -> None:
        with contextlib.suppress(StoreError), self._lock:
            self._position = following.newest(self._db)
            self._send([(client, resync(self._position)) for client in list(self._clients)], self._position)

    def _pass_on(self) -> bool:
        """Send what is new; whether there was anything."""
        with self._lock:
            clients = list(self._clients)
            if not clients:
                return False
            news = following.since(self._db, self._position)
            if news is None:
                return False
            self._position = news.position
        encoded: dict[object, bytes | None] = {}
        batch: list[tuple[Client, bytes]] = []
        for client in clients:
            if client.audience.key not in encoded:
                encoded[client.audience.key] = _encode(news, client.audience)
            event = encoded[client.audience.key]
            if event is not None:
                batch.append((client, event))
        self._send(batch, news.position)
        return True

    def _send(self, batch: list[tuple[Client, bytes]], position: int) -> None:
        assert self._loop is not None
        if not self._closed.is_set():
            self._loop.call_soon_threadsafe(_deliver, batch, position)


def _deliver(batch: list[tuple[Client, bytes]], position: int) -> None:
    for client, event in batch:
        client.put(event, position)


def _encode(news: News, audience: Audience) -> bytes | None:
    part = news.changes if audience.sees is None else about_dags(news.changes, audience.sees)
    if part is None:
        return None
    message = Message(at=news.at, runs=part.runs, tis=part.tis, dags=part.dags, pools=part.pools, topics=part.topics)
    return _event("changes", news.position, msgspec.json.encode(message))


def resync(position: int) -> bytes:
    """The event that tells a client to fetch everything anew."""
    return _event("resync", position, b"{}")


def _event(kind: str, position: int, data: bytes) -> bytes:
    return b"event: %b\nid: %d\ndata: %b\n\n" % (kind.encode(), position, data)
