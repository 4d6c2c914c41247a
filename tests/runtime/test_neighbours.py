"""Parts of two neighbouring releases: what a runner makes of a server that is newer or older than it."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from airloom.api.remote import app
from airloom.model.errors import AirloomError
from airloom.model.report import Ended, HandedBack, Outcome, Started, TryKey
from airloom.model.wire import (
    OLDEST_PROTOCOL,
    PROTOCOL,
    Ack,
    FrameError,
    FromIntake,
    FromRunner,
    Heartbeat,
    Reports,
    Slots,
    Standing,
    ToIntake,
    ToRunner,
    Unframer,
    frame,
)
from airloom.runtime import http_transport
from airloom.runtime.fence import Fence
from airloom.runtime.http_server import HttpServer
from airloom.runtime.http_transport import HttpTransport
from tests.runtime.test_http_transport import TOKEN, ScriptedDesk, end_of, hello, serving
from tests.runtime.transport_conformance import SECONDS, wait_and_receive


def raw(*fields: Any) -> bytes:
    """A frame as another release may send it."""
    body = msgspec.msgpack.encode(fields)
    return len(body).to_bytes(4, "big") + body


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> ScriptedDesk:
    monkeypatch.setattr(http_transport, "_AFTER_REFUSAL", 0.0)
    return ScriptedDesk()


@pytest.fixture
def transport(tmp_path: Path, desk: ScriptedDesk) -> Iterator[HttpTransport]:
    """A connection to that desk, not greeted yet."""
    (tmp_path / "token").write_text(TOKEN)
    with serving(desk) as port:
        transport = HttpTransport(HttpServer(f"http://127.0.0.1:{port}", str(tmp_path / "token")))
        yield transport
        transport.close()


def welcome(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    """The server's welcome has these fields and no others."""
    monkeypatch.setattr(app, "Welcome", lambda **_: {"session": "session", "alive": 15.0, **fields})


# --- the frames -------------------------------------------------------------------------------------------------------
def test_messages_of_a_kind_that_is_not_known_are_passed_over():
    unframer: Unframer[ToRunner] = Unframer(ToRunner)
    data = raw("news", 1, {"a": [2]}) + frame(Ack(seq=1)) + raw("news") + frame(Ack(seq=2))
    assert unframer.feed(data[:10]) == []
    assert unframer.feed(data[10:]) == [Ack(seq=1), Ack(seq=2)]
    assert unframer.unknown == {"news"}
    assert unframer.whole


def test_fields_that_are_not_known_are_passed_over():
    unframer: Unframer[ToRunner] = Unframer(ToRunner)
    assert unframer.feed(raw("ack", 3, "more", [1])) == [Ack(seq=3)]
    assert unframer.unknown == set()


@pytest.mark.parametrize("fields", [(), ("ack",), ("ack", "x"), (1, 2), ({"a": 1},), (["ack"],)])
def test_what_is_no_message_is_an_error_all_the_same(fields: tuple[Any, ...]):
    with pytest.raises(FrameError):
        Unframer(ToRunner).feed(raw(*fields))


def test_a_message_with_many_fields_of_a_kind_that_is_not_known_is_passed_over():
    unframer: Unframer[ToRunner] = Unframer(ToRunner)
    assert unframer.feed(raw("news", *range(100)) + frame(Ack(seq=1))) == [Ack(seq=1)]


# --- a newer server ---------------------------------------------------------------------------------------------------
def test_a_newer_server_is_understood_and_what_it_says_besides_is_told_once(
    transport: HttpTransport, desk: ScriptedDesk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    welcome(monkeypatch, longest=2**24, protocol=PROTOCOL + 1, now=0.0, colour="red")
    transport.send(hello())
    for seq in range(3):
        desk.say(raw("news", seq) + raw("ack", seq, "more"))
        assert wait_and_receive(transport) == [Ack(seq=seq)]
    assert caplog.text.count("says what this runner does not know: news") == 1


# --- an older server --------------------------------------------------------------------------------------------------
def test_an_older_server_that_says_less_is_understood(
    transport: HttpTransport, desk: ScriptedDesk, monkeypatch: pytest.MonkeyPatch
):
    welcome(monkeypatch)
    transport.send(hello())
    desk.say(frame(Ack(seq=1)))
    assert wait_and_receive(transport) == [Ack(seq=1)]


def test_a_server_that_is_too_old_is_named(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    welcome(monkeypatch, protocol=OLDEST_PROTOCOL - 1)
    transport.send(hello())
    end_of(transport)
    assert "update the server" in caplog.text


# --- what was added at the end ----------------------------------------------------------------------------------------
def test_a_release_that_does_not_know_of_troubles_and_one_that_does_understand_each_other():
    slots, standing, beat = ["slots", 2], ["standing", True, "", False], ["heartbeat", [[1, 1]], ["t"], 2, 3, 4, False]
    assert Unframer[ToIntake](ToIntake).feed(raw(*slots)) == [Slots(slots=2)]
    assert Unframer[FromIntake](FromIntake).feed(raw(*standing)) == [Standing(taking=True)]
    (heard,) = Unframer[FromRunner](FromRunner).feed(raw(*beat))
    assert isinstance(heard, Heartbeat)
    assert heard.trouble == ""
    told = (
        Slots(slots=2, trouble="x"),
        Standing(taking=True, trouble="x"),
        msgspec.structs.replace(heard, trouble="x"),
    )
    for message, before in zip(told, (slots, standing, beat), strict=True):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(message)) == [*before, "x"]


# --- clocks -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("ahead", "corrected", "told"), [(0.0, False, False), (30.0, True, False), (-300.0, True, True)]
)
def test_times_in_reports_are_the_servers_if_the_clocks_differ(
    transport: HttpTransport,
    desk: ScriptedDesk,
    caplog: pytest.LogCaptureFixture,
    ahead: float,
    corrected: bool,
    told: bool,
):
    caplog.set_level(logging.WARNING)
    desk.ahead = ahead
    transport.send(hello())
    key = TryKey(1, 1)
    reports = (
        Started(key=key, at=1000.0),
        Ended(key=key, at=1001.0, outcome=Outcome.SUCCESS, started_at=1000.0),
        HandedBack(key=TryKey(2, 1), at=1002.0, detail="d"),
    )
    transport.send(Reports(seq=1, reports=reports))
    desk.heard.get(timeout=SECONDS)
    heard = desk.heard.get(timeout=SECONDS)
    assert isinstance(heard, Reports)
    started, ended, handed_back = heard.reports
    assert isinstance(ended, Ended)
    assert ended.started_at is not None
    moved = [started.at - 1000.0, ended.started_at - 1000.0, ended.at - 1001.0, handed_back.at - 1002.0]
    assert all(abs(seconds - (ahead if corrected else 0.0)) < 2.0 for seconds in moved)
    if not corrected:
        assert heard.reports == reports
    assert ("this machine's clock is 300 s ahead of the server's" in caplog.text) == told


# --- several addresses ------------------------------------------------------------------------------------------------
def test_the_next_address_is_taken_when_one_does_not_answer(
    tmp_path: Path, desk: ScriptedDesk, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "token").write_text(TOKEN)
    with serving(desk) as gone:
        pass
    with serving(desk) as port:
        urls = f"http://127.0.0.1:{gone}, http://127.0.0.1:{port}"
        watch = Fence(60.0, 0.0)
        server = HttpServer(urls, str(tmp_path / "token"), watch=watch)
        first = HttpTransport(server)
        first.send(hello())
        end_of(first)
        first.close()
        assert watch.trouble == f"the server at http://127.0.0.1:{gone} is not reached: Connection refused"
        second = HttpTransport(server)
        second.send(hello())
        desk.say(frame(Ack(seq=1)))
        assert wait_and_receive(second) == [Ack(seq=1)]
        second.close()
        assert watch.trouble == ""
    assert caplog.text.count(f"{gone} is not reached") == 1


def test_each_address_is_checked(tmp_path: Path):
    with pytest.raises(AirloomError, match="http://HOST:PORT"):
        HttpServer("http://a:1,b:2", str(tmp_path / "token"))
