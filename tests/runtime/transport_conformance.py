"""What every transport between runner and server promises. A test module for one subclasses TransportConformance."""

import select
from typing import Any, Protocol

import pytest

from airloom.model.errors import AirloomError
from airloom.model.report import Ended, Outcome, TryKey, XComValue
from airloom.model.wire import (
    Ack,
    Ask,
    Claim,
    FromRunner,
    GetVariable,
    Heartbeat,
    Hello,
    LogChunk,
    Reply,
    Reports,
    Stop,
    ToRunner,
)
from airloom.runtime.channel import Closed
from airloom.runtime.transport import Transport

SECONDS = 20.0


class Server(Protocol):
    """The other end, as the tests drive it. `receive` waits for the next message."""

    def send(self, message: ToRunner) -> None: ...

    def receive(self) -> FromRunner: ...

    def hold(self) -> None:
        """Take nothing before `receive` or `reading_aside` asks for it."""

    def drop(self) -> None:
        """End the connection."""


def wait_and_receive(transport: Transport) -> list[ToRunner]:
    """What comes next, within SECONDS."""
    while True:
        ready, _, _ = select.select([transport], [], [], SECONDS)
        assert ready, "nothing came"
        if messages := transport.receive():
            return messages


class TransportConformance:
    """Subclasses define the fixture `ends`: a connected transport, and the server's end of it."""

    @pytest.fixture
    def ends(self) -> tuple[Transport, Server]:
        raise NotImplementedError

    def test_messages_arrive_whole_and_in_order(self, ends: tuple[Transport, Any]):
        transport, server = ends
        sent: list[FromRunner] = [
            Hello(protocol=1, runner="r", host="h", pid=7, version="1", live=(TryKey(1, 1),), pending=(TryKey(2, 1),)),
            Reports(seq=1, reports=(Ended(key=TryKey(2, 1), at=1.5, outcome=Outcome.SUCCESS),)),
            Ask(id=1, key=TryKey(1, 1), request=GetVariable(key="region")),
            LogChunk(key=TryKey(1, 1), offset=0, data=b"a line"),
        ]
        for message in sent:
            transport.send(message)
        assert [server.receive() for _ in sent] == sent

    def test_what_is_sent_together_arrives_in_order(self, ends: tuple[Transport, Any]):
        transport, server = ends
        sent: list[FromRunner] = [
            LogChunk(key=TryKey(2, 1), offset=0, data=b"the last line", last=True),
            Reports(seq=1, reports=(Ended(key=TryKey(2, 1), at=1.5, outcome=Outcome.SUCCESS),)),
        ]
        transport.send_together(sent)
        assert [server.receive() for _ in sent] == sent

    def test_what_is_urgent_arrives_whatever_else_does(self, ends: tuple[Transport, Any]):
        transport, server = ends
        sent: list[FromRunner] = [
            Reports(seq=1, reports=(Ended(key=TryKey(2, 1), at=1.5, outcome=Outcome.SUCCESS),)),
            Heartbeat(live=(TryKey(1, 1),)),
            Claim(keys=(TryKey(3, 1),), tokens=("t",)),
        ]
        for message in sent:
            transport.send(message)
        heard = [server.receive() for _ in sent]
        assert [message for message in heard if message in sent[1:]] == sent[1:]
        assert sent[0] in heard

    def test_what_the_server_says_arrives_in_order(self, ends: tuple[Transport, Any]):
        transport, server = ends
        said: list[ToRunner] = [Ack(seq=3), Reply(id=1, value={"a": [1, None]}), Stop(grace=0.0)]
        for message in said:
            server.send(message)
        heard: list[ToRunner] = []
        while len(heard) < len(said):
            heard += wait_and_receive(transport)
        assert heard == said

    def test_receiving_does_not_wait(self, ends: tuple[Transport, Any]):
        transport, _server = ends
        assert transport.receive() == []

    def test_a_large_message_is_taken_at_once_and_arrives_whole(self, ends: tuple[Transport, Any]):
        transport, server = ends
        big = XComValue(key="return_value", value=b"x" * (24 * 1024 * 1024))
        message = Reports(seq=1, reports=(Ended(key=TryKey(1, 1), at=1.0, outcome=Outcome.SUCCESS, xcoms=(big,)),))
        small = Ask(id=1, key=TryKey(1, 1), request=GetVariable(key="region"))
        server.hold()
        # What was sent to make the connection has been answered: only what is sent when nothing else is blocks anew.
        assert select.select([], [transport], [], SECONDS)[1]
        blocked: list[bool] = []
        transport.on_blocked = lambda: blocked.append(True)
        transport.send(message)  # nobody reads yet
        transport.send(small)
        assert bool(blocked) == transport.blocked
        with server.reading_aside() as received:
            while transport.blocked:
                select.select([], [transport], [], SECONDS)
                transport.flush()
        assert received[:2] == [message, small]

    def test_the_end_of_the_connection_is_told(self, ends: tuple[Transport, Any]):
        transport, server = ends
        server.send(Ack(seq=9))
        server.drop()
        assert wait_and_receive(transport) == [Ack(seq=9)]
        with pytest.raises(Closed):
            wait_and_receive(transport)

    def test_garbage_is_an_error_and_no_message(self, ends: tuple[Transport, Any]):
        transport, server = ends
        server.send_raw(b"\x00\x00\x00\x03abc")
        with pytest.raises(AirloomError):
            wait_and_receive(transport)
