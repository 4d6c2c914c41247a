"""The routes of logs: pages, download, live, rendered fields. Logs are untrusted, and their files are ours alone."""

import dataclasses
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete

from airloom.api.app import make_app
from airloom.api.routes import logs
from airloom.api.security import known, watch
from airloom.api.security.authentication import authenticate
from airloom.api.state import Api
from airloom.model.access import Grant, Identity, Role
from airloom.model.log_lines import RENDERED, LogLine
from airloom.model.plan import Plan, TIChange
from airloom.model.report import TryKey
from airloom.model.states import TIState
from airloom.model.wire import LogChunk
from airloom.operations import credentials
from airloom.operations.log_store import LogPlaces, LogStore
from airloom.operations.ops import Ops, open_ops
from airloom.operations.try_logs import keep_chunks
from airloom.runtime.logs import TryLog, log_path
from airloom.runtime.masking import Masker
from airloom.sections import Settings
from airloom.services.log_keeping import LogKeeper
from airloom.store.tables import task_instance, task_try
from tests.api import logins
from tests.api.conftest import ADMIN
from tests.api.past import DAG, NOW, ODD, commit, write
from tests.api.served import DEADLINE, served
from tests.waiting import wait_for

BASE = "/api/v1"
TRY = f"{BASE}/dags/{DAG}/runs/{quote(ODD)}/tasks/count/tries"
LIVE = f"{BASE}/dags/{DAG}/runs/third/tasks/zones/tries/1"
GUEST = Identity(username="guest", grants=(Grant(pattern="fl*", role=Role.VIEWER),))


@pytest.fixture(autouse=True)
def _past(ops: Ops) -> None:
    write(ops)


def path_of(api: Api, run: str = ODD, task: str = "count", index: int = 1, attempt: int = 2) -> Path:
    """Where the log of a try is."""
    return Path(log_path(str(api.settings.core.home), DAG, run, task, index, attempt))


def say(api: Api, *texts: str, level: str = "INFO", fields: dict[str, str] | None = None, **of: Any) -> None:
    """Write to the log of a try."""
    log = TryLog(str(path_of(api, **of)), Masker(), 10_000_000)
    if fields is not None:
        log.rendered(NOW, fields)
    for text in texts:
        log.record(NOW, level, "root", text)
    log.close()


def get(client: TestClient, query: str = "", attempt: int = 2) -> dict[str, Any]:
    """A page of the log of `count[1]`."""
    answer = client.get(f"{TRY}/{attempt}/log?map_index=1{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_log_is_read_page_by_page_to_its_end(client: TestClient, api: Api) -> None:
    say(api, *(f"line {number}" for number in range(5)), fields={"a": "b"})
    page = get(client, "&limit=3")
    assert [(line["number"], line["text"]) for line in page["lines"]] == [(1, "line 0"), (2, "line 1"), (3, "line 2")]
    assert page["lines"][0]["time"].startswith("2023-11-14T22:13:20")
    assert page["ended"] is False
    page = get(client, f"&limit=3&cursor={page['next']}")
    assert [line["number"] for line in page["lines"]] == [4, 5]
    assert page["ended"] is True
    assert get(client, f"&cursor={page['next']}")["lines"] == []


def test_a_log_is_read_from_its_end(client: TestClient, api: Api) -> None:
    say(api, *(f"line {number}" for number in range(50)), fields={"a": "b"})
    assert [line["number"] for line in get(client, "&tail=2")["lines"]] == [49, 50]
    assert get(client, "&tail=0")["lines"] == []


def test_a_log_is_filtered_by_level_and_text(client: TestClient, api: Api) -> None:
    say(api, "began")
    say(api, "failed: <script>", "again", level="ERROR")
    assert [line["text"] for line in get(client, "&level=warning")["lines"]] == ["failed: <script>", "again"]
    assert [line["number"] for line in get(client, "&search=FAILED")["lines"]] == [2]


def test_a_log_of_a_live_try_has_not_ended(client: TestClient, api: Api) -> None:
    page = client.get(f"{LIVE}/log").json()
    assert (page["lines"], page["ended"]) == ([], False)
    say(api, "hello", run="third", task="zones", index=-1, attempt=1)
    page = client.get(f"{LIVE}/log?cursor={page['next']}").json()
    assert [line["text"] for line in page["lines"]] == ["hello"]
    assert page["ended"] is False


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{TRY}/3/log?map_index=1", 404),
        (f"{TRY}/0/log?map_index=1", 422),
        (f"{TRY}/1/log", 404),
        (f"{TRY}/2/log?map_index=1&cursor=..%2F..", 422),
        (f"{TRY}/2/log?map_index=1&level=loud", 422),
    ],
)
def test_what_names_no_log_is_refused(client: TestClient, path: str, status: int) -> None:
    assert client.get(path).status_code == status


@pytest.mark.parametrize(
    "path",
    [
        f"/dags/{DAG}/runs/UPUPetc/tasks/count/tries/1/log",
        f"/dags/{DAG}/runs/first/tasks/UPUPscheduler.log/tries/1/log",
        "/dags/UPUPUPetc%2Fpasswd/runs/first/tasks/count/tries/1/log/download",
        f"/dags/{DAG}/runs/first/tasks/count/tries/UP1/log",
    ],
)
@pytest.mark.parametrize("up", ["..%2F", "..%2f", "%2e%2e%2f", "..%5C", "..%252F"])
def test_no_path_leads_out_of_the_logs(client: TestClient, path: str, up: str) -> None:
    assert client.get(BASE + path.replace("UP", up)).status_code in (400, 404, 422)


def test_whoever_does_not_see_the_dag_reads_none_of_its_logs(
    as_: Callable[[Identity | None], TestClient], api: Api
) -> None:
    say(api, "secret")
    for end in ("log", "log/download", "log/stream", "rendered"):
        assert as_(GUEST).get(f"{TRY}/2/{end}?map_index=1").status_code == 404


def test_the_download_is_plain_text_that_does_nothing(client: TestClient, api: Api) -> None:
    say(
        api,
        "\x1b[31mred\x1b[0m",
        "bell\x07 \x1b]0;title\x07",
        "one\ntwo",
        "<script>alert(1)</script>",
        fields={"a": "b"},
    )
    answer = client.get(f"{TRY}/2/log/download?map_index=1")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    at = "2023-11-14T22:13:20.000000+00:00"
    assert answer.text.splitlines() == [
        f"{at} INFO red",
        f"{at} INFO bell\ufffd \ufffd]0;title\ufffd",
        f"{at} INFO one\ufffdtwo",
        f"{at} INFO <script>alert(1)</script>",
    ]


def test_the_name_of_a_download_holds_nothing_that_ends_a_header(client: TestClient) -> None:
    value = client.get(f"{TRY}/2/log/download?map_index=1").headers["content-disposition"]
    assert value == (
        'attachment; filename="trips.a+b___.__1.count_1_.2.log"; '
        "filename*=UTF-8''trips.a%2Bb%3A%20%C3%BC.%25%201.count%5B1%5D.2.log"
    )


def test_rendered_fields_are_shown_as_they_were_filled_in(client: TestClient, api: Api) -> None:
    say(api, "one", fields={"bash_command": "echo <b>", "env": "{}"})
    answer = client.get(f"{TRY}/2/rendered?map_index=1").json()
    assert answer == {"try_number": 2, "fields": {"bash_command": "echo <b>", "env": "{}"}}
    assert client.get(f"{TRY}/1/rendered?map_index=1").json() == {"try_number": 1, "fields": {}}


# --- live -------------------------------------------------------------------------------------------------------------
Event = tuple[str, str, dict[str, Any]]


@pytest.fixture
def address(api: Api) -> Iterator[str]:
    """A real server."""
    app = make_app(api)
    app.dependency_overrides[authenticate] = lambda: ADMIN
    with served(app) as address:
        yield address


def events(response: httpx.Response) -> Iterator[Event]:
    """(kind, id, data) of each event."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "event" in fields:
            yield fields["event"], fields["id"], json.loads(fields["data"])
            fields = {}


def texts(event: Event) -> list[str]:
    """The texts of the lines of an event."""
    assert event[0] == "lines"
    return [line["text"] for line in event[2]["lines"]]


def test_a_stream_follows_the_log_from_before_its_first_line_to_the_end_of_the_try(
    address: str, api: Api, ops: Ops
) -> None:
    of: dict[str, Any] = {"run": "third", "task": "zones", "index": -1, "attempt": 1}
    with httpx.stream("GET", f"{address}{LIVE}/log/stream", timeout=DEADLINE) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        found = events(response)
        say(api, "one", fields={"a": "b"}, **of)
        first = next(found)
        while not texts(first):
            first = next(found)
        assert texts(first) == ["one"]
        say(api, "two", "three", **of)
        more: list[str] = []
        while len(more) < 2:
            more += texts(next(found))
        assert more == ["two", "three"]
        say(api, "last", **of)
        end(ops)
        rest = list(found)
        assert [text for event in rest[:-1] for text in texts(event)] == ["last"]
        assert rest[-1][0] == "end"


def test_a_stream_goes_on_from_the_last_event(address: str, api: Api) -> None:
    say(api, *(f"line {number}" for number in range(4)))
    url = f"{address}{TRY}/2/log/stream?map_index=1"
    cursor = httpx.get(f"{address}{TRY}/2/log?map_index=1&limit=3", timeout=DEADLINE).json()["next"]
    with httpx.stream("GET", url, headers={"Last-Event-ID": cursor}, timeout=DEADLINE) as response:
        lines, last = list(events(response))
    assert texts(lines) == ["line 3"]
    assert last[0] == "end"
    with httpx.stream("GET", f"{url}&tail=1", headers={"Last-Event-ID": last[1]}, timeout=DEADLINE) as response:
        assert [event[0] for event in events(response)] == ["end"]


def test_a_stream_is_filtered_and_yet_gets_on(address: str, api: Api) -> None:
    say(api, *("noise" for _ in range(3_000)))
    say(api, "wanted", level="ERROR")
    with httpx.stream("GET", f"{address}{TRY}/2/log/stream?map_index=1&level=error", timeout=DEADLINE) as response:
        found = list(events(response))
    assert [text for event in found[:-1] for text in texts(event)] == ["wanted"]


def test_a_stream_from_a_place_that_was_made_up_is_refused(address: str) -> None:
    answer = httpx.get(
        f"{address}{TRY}/2/log/stream?map_index=1", headers={"Last-Event-ID": "nowhere"}, timeout=DEADLINE
    )
    assert answer.status_code == 422


def test_a_stream_ends_with_its_token(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((watch, "_LOOK"), (known, "_BELIEVED")):
        monkeypatch.setattr(module, name, 0.02)
    logins.add(api.ops, "eve")
    made = credentials.make_token(api.ops, "eve", "a test's")
    headers = logins.bearer(made.text)
    with (
        served(make_app(api)) as address,
        httpx.stream("GET", f"{address}{LIVE}/log/stream", headers=headers, timeout=DEADLINE) as response,
    ):
        assert response.status_code == 200
        credentials.delete_token(api.ops, made.row.id)
        assert list(events(response)) == []


def test_so_many_logs_are_followed_at_once_and_no_more(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_MOST_STREAMS", 1)
    url = f"{address}{LIVE}/log/stream"
    with httpx.stream("GET", url, timeout=DEADLINE) as response:
        lines = response.iter_lines()
        assert next(lines) == "retry: 1000"
        assert httpx.get(url, timeout=DEADLINE).status_code == 429

    def served_again() -> bool:
        with httpx.stream("GET", url, timeout=DEADLINE) as response:
            return response.status_code == 200

    wait_for(served_again, "the place of the stream that ended")


def test_a_stream_ends_with_its_run(address: str, api: Api, ops: Ops) -> None:
    with httpx.stream("GET", f"{address}{LIVE}/log/stream", timeout=DEADLINE) as response:
        with ops.db.transaction() as conn:
            conn.execute(delete(task_try))
            conn.execute(delete(task_instance))
        assert [event[0] for event in events(response)] == []


def test_a_reader_that_goes_away_is_not_followed_any_more(address: str) -> None:
    with httpx.stream("GET", f"{address}{LIVE}/log/stream", timeout=DEADLINE) as response:
        assert next(response.iter_lines()) == "retry: 1000"
    answers: list[int] = []

    def ask() -> None:
        answers.append(httpx.get(f"{address}{LIVE}/log", timeout=DEADLINE).status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(DEADLINE)
    assert answers == [200]


def end(ops: Ops, at: float = NOW + 5) -> None:
    """End the live try well."""
    plan = Plan(
        ti_changes={10: TIChange(id=10, expected=TIState.RUNNING, state=TIState.SUCCESS, values={"ended_at": at})},
        try_changes={TryKey(10, 1): {"state": TIState.SUCCESS, "ended_at": at}},
    )
    commit(ops, plan)


# --- of runners on other machines -------------------------------------------------------------------------------------
def sent(ops: Ops, offset: int, *texts: str, last: bool = False) -> int:
    """Have a runner elsewhere send lines of the live try to some API; where its log goes to."""
    lines = (LogLine(t="2023-11-14T22:13:20", level="INFO", source="stdout", text=text) for text in texts)
    data = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    (place,) = keep_chunks(ops, [LogChunk(key=TryKey(10, 1), offset=offset, data=data, last=last)], 10**6)
    assert place == offset + len(data)
    return place


@pytest.fixture
def elsewhere(api: Api, settings: Settings, tmp_path: Path) -> Iterator[Api]:
    """Another API on another machine: all that it shares is the database."""
    with open_ops(settings) as ops:
        yield dataclasses.replace(api, ops=dataclasses.replace(ops, logs=LogPlaces(folder=tmp_path / "other" / "logs")))


def test_a_log_that_one_api_takes_is_followed_at_another(elsewhere: Api, ops: Ops) -> None:
    app = make_app(elsewhere)
    app.dependency_overrides[authenticate] = lambda: ADMIN
    with (
        served(app) as address,
        httpx.stream("GET", f"{address}{LIVE}/log/stream", timeout=DEADLINE) as response,
    ):
        found = events(response)
        place = sent(ops, 0, "one")
        assert texts(next(found)) == ["one"]
        place = sent(ops, place, "two", "three")
        more: list[str] = []
        while len(more) < 2:
            more += texts(next(found))
        assert more == ["two", "three"]
        # The try's end is known before the rest of its log has come.
        end(ops, at=time.time())
        sent(ops, place, "last", last=True)
        rest = list(found)
    assert [text for event in rest[:-1] for text in texts(event)] == ["last"]
    assert rest[-1][0] == "end"


def test_a_log_of_the_database_is_read_in_pages_filtered_and_downloaded(client: TestClient, ops: Ops, api: Api) -> None:
    place = sent(ops, 0, *(f"line {number}" for number in range(50)))
    sent(ops, place, "wanted", "end", last=True)
    page = client.get(f"{LIVE}/log?limit=3").json()
    assert [line["number"] for line in page["lines"]] == [1, 2, 3]
    page = client.get(f"{LIVE}/log?cursor={page['next']}&search=WANTED").json()
    assert [(line["number"], line["text"]) for line in page["lines"]] == [(51, "wanted")]
    assert page["ended"] is False
    assert [line["number"] for line in client.get(f"{LIVE}/log?tail=2").json()["lines"]] == [51, 52]
    assert len(client.get(f"{LIVE}/log/download").text.splitlines()) == 52
    end(ops, at=time.time())
    assert client.get(f"{LIVE}/log?tail=2").json()["ended"] is True


def test_the_rendered_fields_of_a_try_elsewhere_are_shown(client: TestClient, ops: Ops) -> None:
    line = LogLine(t="2023-11-14T22:13:20", level="INFO", source=RENDERED, text='{"bash_command": "true"}')
    data = msgspec.json.encode(line) + b"\n"
    keep_chunks(ops, [LogChunk(key=TryKey(10, 1), offset=0, data=data)], 10**6)
    assert client.get(f"{LIVE}/rendered").json()["fields"] == {"bash_command": "true"}
    assert client.get(f"{LIVE}/log").json()["lines"] == []


def test_a_log_in_a_store_that_is_away_is_answered_with_the_reason(api: Api, ops: Ops, tmp_path: Path) -> None:
    folder = tmp_path / "objects"
    stored = dataclasses.replace(ops, logs=LogPlaces(store=LogStore(f"file://{folder}", {})))
    sent(stored, 0, "one", last=True)
    LogKeeper(stored, lambda: True, 60.0).tick()
    app = make_app(dataclasses.replace(api, ops=stored))
    app.dependency_overrides[authenticate] = lambda: ADMIN
    client = TestClient(app, base_url="http://127.0.0.1:8080")
    assert [line["text"] for line in client.get(f"{LIVE}/log").json()["lines"]] == ["one"]
    shutil.rmtree(folder)
    folder.write_text("in the way")
    for path in ("log", "log/download", "rendered"):
        answer = client.get(f"{LIVE}/{path}")
        assert answer.status_code == 503
        assert "the store of logs" in answer.json()["detail"]
