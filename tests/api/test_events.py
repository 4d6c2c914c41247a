"""Events: told at once, to those who may know, resumed where a client was; nobody is held up and no stream outlives its
server or its login."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from airloom.api import hub as hub_module
from airloom.api.app import make_app
from airloom.api.hub import Audience, Client, Hub
from airloom.api.routes import events
from airloom.api.security import known, watch
from airloom.api.security.authentication import authenticate
from airloom.api.state import Api
from airloom.model.access import Grant, Identity, Role
from airloom.model.events import TriggerRun
from airloom.operations import credentials
from airloom.operations.asking import ask
from airloom.services.reporting import Reporting
from airloom.store import feed
from airloom.store.database import Database
from airloom.store.notify import feed_notifier
from tests.api import logins
from tests.api.conftest import ADMIN
from tests.api.served import DEADLINE, served
from tests.operations.leading import leading

PATH = "/api/v1/events"


class Event:
    """One event of a stream; kind "" is a comment."""

    def __init__(self, text: str) -> None:
        fields = dict(line.split(": ", 1) for line in text.strip().split("\n") if line[:1] not in (":", ""))
        self.kind = fields.get("event", "")
        self.id = int(fields.get("id", -1))
        self.data: dict[str, Any] = json.loads(fields.get("data", "{}"))


def parse(stream: Iterator[str]) -> Iterator[Event]:
    """The events of a stream of lines."""
    lines: list[str] = []
    for line in stream:
        if line:
            lines.append(line)
            continue
        text = "\n".join(lines)
        lines = []
        if not text.startswith("retry:"):
            yield Event(text)


@contextmanager
def following(address: str, query: str = "", **headers: str) -> Iterator[Iterator[Event]]:
    """The events that a client gets."""
    with httpx.stream("GET", f"{address}{PATH}{query}", timeout=DEADLINE, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield parse(answer.iter_lines())


def told(stream: Iterator[Event], wanted: Callable[[dict[str, Any]], bool]) -> Event:
    """The next event of changes that is wanted."""
    return next(event for event in stream if event.kind == "changes" and wanted(event.data))


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the server itself has come and goes would be news too."""
    monkeypatch.setattr(Reporting, "tick", lambda self: 60.0)
    monkeypatch.setattr(Reporting, "close", lambda self: None)


@pytest.fixture
def write(api: Api) -> Callable[[bytes], int]:
    """Adds to the feed and tells that it did; the number of the row."""
    voice = feed_notifier(api.ops.db, api.settings.core.home)

    def act(data: bytes) -> int:
        with api.ops.db.transaction() as conn:
            feed.write(conn, data, 1.0)
            number = feed.bounds(conn)[1]
        voice.notify()
        return number

    return act


def app_for(api: Api, identity: Identity) -> FastAPI:
    app = make_app(api)
    app.dependency_overrides[authenticate] = lambda: identity
    return app


def test_a_run_is_followed_to_its_end(api: Api) -> None:
    with served(app_for(api, ADMIN), "on") as address, following(address) as stream, leading(api.settings):
        assert next(stream).kind == "ready"
        ask(api.ops, TriggerRun(dag_id="flights", run_id="r"))
        states: dict[str, str] = {}
        ended = False
        while not ended:
            event = told(stream, lambda data: bool(data["runs"] or data["tis"]))
            assert set(event.data) == {"at", "runs", "tis", "dags", "pools", "topics"}
            ended = any(run["state"] == "success" for run in event.data["runs"])
            states |= {task: state for tis in event.data["tis"] for task, _, state, _ in tis["changes"]}
        assert states == {"load": "success", "join": "success", "report": "success"}


def test_who_comes_back_gets_what_happened_meanwhile(api: Api, write: Callable[[bytes], int]) -> None:
    with served(app_for(api, ADMIN), "on") as address:
        with following(address) as stream:
            next(stream)
            last = write(b'{"dags":["flights"]}')
            assert told(stream, lambda data: data["dags"] == ["flights"]).id == last
        newest = [write(b'{"dags":["weather"]}'), write(b'{"pools":true}')][-1]
        for query, headers in (("", {"Last-Event-ID": str(last)}), (f"?last_event_id={last}", {})):
            with following(address, query, **headers) as stream:
                event = next(stream)
                assert (event.kind, event.id) == ("changes", newest)
                assert (event.data["dags"], event.data["pools"]) == (["weather"], True)
        with following(address, f"?last_event_id={newest}") as stream:
            assert next(stream).kind == "ready"


def test_who_was_away_too_long_is_told_to_begin_anew(api: Api, write: Callable[[bytes], int]) -> None:
    first = write(b'{"dags":["flights"]}')
    newest = [write(b'{"dags":["weather"]}') for _ in range(3)][-1]
    with api.ops.db.transaction() as conn:
        feed.trim(conn, 2.0)
    with served(app_for(api, ADMIN), "on") as address, following(address, f"?last_event_id={first}") as stream:
        event = next(stream)
        assert (event.kind, event.id) == ("resync", newest)
        write(b'{"pools":true}')
        assert told(stream, lambda data: data["pools"]).id == newest + 1


def test_one_dag_alone_can_be_followed(api: Api, write: Callable[[bytes], int]) -> None:
    with served(app_for(api, ADMIN), "on") as address, following(address, "?dag_id=weather") as stream:
        next(stream)
        write(b'{"dags":["flights"],"pools":true,"topics":["variables"]}')
        write(b'{"dags":["flights","weather"]}')
        event = told(stream, lambda data: True)
        assert (event.data["dags"], event.data["pools"], event.data["topics"]) == (["weather"], False, [])


def test_nobody_hears_of_a_dag_that_they_do_not_see(api: Api, write: Callable[[bytes], int]) -> None:
    eve = Identity(username="eve", grants=(Grant(pattern="wea*", role=Role.VIEWER),))
    with served(app_for(api, eve), "on") as address:
        assert httpx.get(f"{address}{PATH}?dag_id=flights").status_code == 404
        with following(address) as stream:
            next(stream)
            write(b'{"dags":["flights"],"pools":true}')
            write(b'{"dags":["weather"]}')
            assert told(stream, lambda data: True).data["dags"] == ["weather"]


def test_silence_is_broken_by_comments(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_HEARTBEAT", 0.01)
    with served(app_for(api, ADMIN), "on") as address, following(address) as stream:
        assert [next(stream).kind for _ in range(4)] == ["ready", "", "", ""]


def test_a_stream_ends_with_its_token(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((events, "_HEARTBEAT"), (watch, "_LOOK"), (known, "_BELIEVED")):
        monkeypatch.setattr(module, name, 0.02)
    logins.add(api.ops, "eve")
    made = credentials.make_token(api.ops, "eve", "a test's")
    with served(make_app(api), "on") as address, following(address, **logins.bearer(made.text)) as stream:
        assert [next(stream).kind for _ in range(3)] == ["ready", "", ""]
        credentials.delete_token(api.ops, made.row.id)
        assert all(event.kind == "" for event in stream)


def test_so_many_streams_are_open_at_once_and_no_more(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_MOST", 1)
    with served(app_for(api, ADMIN), "on") as address, following(address) as stream:
        next(stream)
        assert httpx.get(f"{address}/api/v1/events", timeout=DEADLINE).status_code == 429


def test_streams_end_when_the_server_does(api: Api) -> None:
    app = app_for(api, ADMIN)
    with served(app, "on") as address, following(address) as stream:
        next(stream)
        app.state.live.hub.close()
        assert list(stream) == []


# --- the hub by itself, on each database ------------------------------------------------------------------------------
@asynccontextmanager
async def running(db: Database, home: Path) -> AsyncIterator[Hub]:
    """A hub at work in this event loop."""
    hub = Hub(db, home)
    hub.start()
    try:
        yield hub
    finally:
        hub.close()
        await asyncio.to_thread(hub.join, DEADLINE)


async def joined(hub: Hub, audience: Audience | None = None) -> Client:
    client = Client(audience or Audience())
    await asyncio.to_thread(hub.add, client, None)
    return client


async def heard(client: Client) -> Event | None:
    async with asyncio.timeout(DEADLINE):
        event = await client.get()
    return None if event is None else Event(event.decode())


def tell(db: Database, home: Path, data: bytes) -> None:
    with db.transaction() as conn:
        feed.write(conn, data, 1.0)
    voice = feed_notifier(db, home)
    voice.notify()
    voice.close()


def test_a_commit_wakes_the_hub(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "_PATIENCE", 10 * DEADLINE)

    async def scene() -> None:
        async with running(db, tmp_path) as hub:
            client = await joined(hub)
            # What the hub does when it starts may have hidden the first.
            for dag_id in ("a", "b", "c"):
                await asyncio.to_thread(tell, db, tmp_path, b'{"dags":["%s"]}' % dag_id.encode())
                event = await heard(client)
                assert event is not None
                assert event.data["dags"] == [dag_id]

    asyncio.run(scene())


def test_a_hint_that_is_lost_only_costs_time(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "_PATIENCE", 0.02)

    async def scene() -> None:
        async with running(db, tmp_path) as hub:
            client = await joined(hub)
            with db.transaction() as conn:
                feed.tell(conn, "variables")
            event = await heard(client)
            assert event is not None
            assert event.data["topics"] == ["variables"]

    asyncio.run(scene())


def test_a_client_that_does_not_keep_up_holds_up_nobody(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "_GATHER", 0.0)
    count = hub_module._QUEUE + 5

    async def scene() -> None:
        async with running(db, tmp_path) as hub:
            slow, quick = await joined(hub), await joined(hub)
            ids = []
            for number in range(count):
                await asyncio.to_thread(tell, db, tmp_path, b'{"dags":["d%d"]}' % number)
                event = await heard(quick)
                assert event is not None
                assert (event.kind, event.data["dags"]) == ("changes", [f"d{number}"])
                ids.append(event.id)
            event = await heard(slow)
            assert event is not None
            assert event.kind == "resync"
            assert event.id == ids[hub_module._QUEUE]
            event = await heard(slow)
            assert event is not None
            assert (event.kind, event.id) == ("changes", ids[hub_module._QUEUE + 1])

    asyncio.run(scene())


def test_clients_that_hear_the_same_share_one_message(db: Database, tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(db, tmp_path) as hub:
            clients = [await joined(hub) for _ in range(3)]
            narrow = await joined(hub, Audience(key="a", sees=lambda dag_id: dag_id == "a"))
            await asyncio.to_thread(tell, db, tmp_path, b'{"dags":["a","b"]}')
            messages = [await client.get() for client in clients]
            assert all(message is messages[0] for message in messages)
            event = await heard(narrow)
            assert event is not None
            assert event.data["dags"] == ["a"]

    asyncio.run(scene())


def test_older_news_than_a_client_came_with_is_not_told_to_it() -> None:
    async def scene() -> None:
        client = Client(Audience())
        client.put(b"old", 3)
        client.position = 4
        client.put(b"older", 4)
        client.put(b"new", 5)
        assert await client.get() == b"new"

    asyncio.run(scene())


def test_nothing_is_missed_by_who_comes_after_a_time_without_clients(db: Database, tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(db, tmp_path) as hub:
            for number in range(20):
                await asyncio.to_thread(tell, db, tmp_path, b'{"dags":["before"]}')
                client = await joined(hub)
                await asyncio.to_thread(tell, db, tmp_path, b'{"dags":["d%d"]}' % number)
                event = await heard(client)
                assert event is not None
                assert f"d{number}" in event.data["dags"]
                hub.remove(client)
            assert hub.clients == 0

    asyncio.run(scene())


def test_a_row_that_cannot_be_read_has_everybody_begin_anew(db: Database, tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(db, tmp_path) as hub:
            client = await joined(hub)
            await asyncio.to_thread(tell, db, tmp_path, b"of another version")
            event = await heard(client)
            assert event is not None
            assert event.kind == "resync"
            await asyncio.to_thread(tell, db, tmp_path, b'{"dags":["a"]}')
            event = await heard(client)
            assert event is not None
            assert (event.kind, event.data["dags"]) == ("changes", ["a"])

    asyncio.run(scene())


def test_a_hub_that_ends_tells_its_clients(db: Database, tmp_path: Path) -> None:
    async def scene() -> None:
        async with running(db, tmp_path) as hub:
            client = await joined(hub)
            hub.close()
            assert await heard(client) is None
            assert hub.closed

    asyncio.run(scene())
